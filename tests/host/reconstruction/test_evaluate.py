"""Evaluation end to end through the emulator, against scores computed from the equations."""

import math

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import capture_clips, evaluate, initial
from focalloop.host.reconstruction.quality import psnr_of_mean
from focalloop.host.reconstruction.reconstruct import NetworkFree
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle


@pytest.fixture(scope="module")
def clips():
    scene = SyntheticScene(32, 40, seed=1)
    return Clips(np.stack([scene.window(k) for k in range(3)]), ("a", "b", "c"))


def test_without_noise_the_score_is_that_of_averaging_over_spans(clips):
    result = evaluate(
        clips, RatioMap.uniform(4, (32, 40)), initial, preset("ideal"), name="initial"
    )
    for score, clip in zip(result.clips, clips.clips, strict=True):
        spans = clip.reshape(4, 4, 32, 40).mean(axis=1) / 255
        error = np.mean((np.repeat(spans, 4, axis=0) - clip / 255) ** 2)
        assert score.psnr == pytest.approx(-10 * math.log10(error), abs=1e-3)
    assert [score.name for score in result.clips] == ["a", "b", "c"]
    assert result.psnr == pytest.approx(np.mean([score.psnr for score in result.clips]))
    assert result.psnr_of_mean <= result.psnr
    assert result.r_avg == 0.25


def test_noise_costs_what_the_model_predicts(clips):
    """At level 8 a slot shows 8 e, so the noise's variance is 64 (e s_ss^2 + s_r^2)."""
    still = Clips(np.repeat(clips.clips[:1, :1], 16, axis=1), ("still",))
    ratio_map = RatioMap.uniform(8, (32, 40))
    result = evaluate(still, ratio_map, lambda r, m: initial(r, m), preset("paper"), name="x")
    light = still.clips[0] / 255
    variance = np.mean(64 * (light / 8 * 4.95e-3**2 + 7.25e-3**2))
    assert result.clips[0].mse == pytest.approx(variance, rel=0.05)  # 10,240 draws: 1.4 % sigma


def test_unmeasured_planes_are_zero_signal_under_a_black_level(clips):
    reads = next(capture_clips(clips.clips, RatioMap.uniform(1, (32, 40)), preset("paper")))
    assert reads.shape == (8, 32, 40)
    assert reads[0].any()
    assert not reads[1:].any()


def test_a_seed_fixes_every_score_and_another_changes_them(clips):
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-1of16"], (32, 40))

    def scores(seed, some=clips):
        return evaluate(some, ratio_map, NetworkFree(), preset("paper"), name="x", seed=seed).clips

    assert scores(5) == scores(5)
    assert scores(5) != scores(6)
    # clip k is window k, whether or not others follow
    first = Clips(clips.clips[:1], clips.names[:1])
    assert scores(5, first) == scores(5)[:1]


def test_a_bundles_map_is_fitted_to_the_clips(clips, tmp_path):
    bundle = Bundle.load(write_tiny_bundle(tmp_path / "tiny"))  # its map is 16x16
    done = []
    result = evaluate(
        clips,
        bundle.ratio_map,
        bundle.reconstructor(),
        preset("paper"),
        name=bundle.name,
        progress=lambda: done.append(1),
    )
    assert len(done) == 3
    assert result.r_avg == 0.125


def test_a_bundle_with_an_aperture_rebuilds_the_light_that_it_lets_in(clips, tmp_path):
    coded = RatioMap.uniform(1, (8, 8)).with_aperture_tile(APERTURE_TILE)
    path = write_tiny_bundle(tmp_path / "coded", coded, network=tiny_network(aperture=True))
    bundle, ideal = Bundle.load(path), preset("ideal")
    opened = np.tile(APERTURE_TILE, (1, 8, 10))
    lit = (clips.clips[0] * opened).mean(axis=0) / 255

    reads = next(capture_clips(clips.clips, bundle.ratio_map, ideal))
    np.testing.assert_allclose(reads[0], lit, rtol=1e-6)

    # The tiny network gives the sum of the reads plus the level, which is white, where it is open.
    network = evaluate(clips, bundle.ratio_map, bundle.reconstructor(), ideal, name="coded")
    error = np.mean((opened - clips.clips[0] / 255) ** 2)
    assert network.clips[0].mse == pytest.approx(error, rel=1e-5)

    closed_form = evaluate(clips, bundle.ratio_map, initial, ideal, name="initial")
    spread = np.where(opened, lit * 16 / opened.sum(axis=0), 0)  # CRL Eq. 5
    error = np.mean((spread - clips.clips[0] / 255) ** 2)
    assert closed_form.clips[0].mse == pytest.approx(error, rel=1e-5)


def test_a_map_that_does_not_fit_is_refused(clips):
    with pytest.raises(RatioMapError, match="cannot be fitted"):
        evaluate(clips, RatioMap.random((16, 16)), initial, preset("paper"), name="x")


def test_the_json_entry_has_the_documented_shape(clips):
    result = evaluate(
        clips, RatioMap.uniform(2, (32, 40)), initial, preset("paper"), name="initial", seed=9
    ).as_dict()
    assert list(result) == ["bundle", "r_avg", "seed", "profile", "corrected", "clips", "mean"]
    assert (result["bundle"], result["seed"], result["profile"]) == ("initial", 9, "paper")
    assert [set(clip) for clip in result["clips"]] == [{"name", "psnr", "ssim"}] * 3
    assert set(result["mean"]) == {"psnr", "ssim", "psnr_of_mean"}


def test_a_perfect_clip_is_null_in_json_not_infinity():
    black = Clips(np.zeros((1, 16, 16, 16), np.uint8), ("black",))
    result = evaluate(black, RatioMap.uniform(2, (16, 16)), initial, preset("ideal"), name="x")
    assert result.psnr == math.inf
    assert result.as_dict()["mean"] == {"psnr": None, "ssim": 1.0, "psnr_of_mean": None}
    assert psnr_of_mean([0.0, 0.0]) == math.inf
