"""`focalloop evaluate` and `focalloop reconstruct` as a user runs them."""

import json
import sys
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.cli.main import main
from focalloop.models.zoo import DEFAULT_BUNDLE, TOLD_BUNDLE, UNIVERSAL_BUNDLE
from tests.support.command_line import complaint, run, run_json
from tests.support.made_windows import BOARD, make_window
from tests.support.served import make_map
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle


@pytest.fixture
def bundle(tmp_path):
    return write_tiny_bundle(tmp_path / "tiny")


def test_evaluate_scores_bundles_map_and_baseline(clips, bundle):
    results = run_json(
        "evaluate", clips, "--bundle", bundle, "--map", "tile-1of16", "--baseline", "--seed", "3"
    )["results"]
    assert [result["bundle"] for result in results] == [
        "tiny",
        "initial",
        "network-free",
        "initial",
    ]
    assert [result["r_avg"] for result in results] == [0.125, 0.125, 0.0625, 0.0625]
    for result in results:
        assert (result["seed"], result["profile"]) == (3, "paper")
        assert [clip["name"] for clip in result["clips"]] == ["one", "two"]
        mean = np.mean([clip["psnr"] for clip in result["clips"]])
        assert result["mean"]["psnr"] == pytest.approx(mean)
    # filling the holes of a sparse map is worth much
    assert results[2]["mean"]["psnr"] > results[3]["mean"]["psnr"] + 5


def test_the_default_bundle_clearly_beats_the_closed_form_on_the_clip_that_comes_along():
    clip = files("focalloop.host") / "clips" / "box.mp4"
    network, closed_form = run_json("evaluate", clip, "--baseline", "--limit", 2)["results"]
    assert network["bundle"] == DEFAULT_BUNDLE
    assert network["mean"]["psnr"] > closed_form["mean"]["psnr"] + 3
    assert network["mean"]["ssim"] > closed_form["mean"]["ssim"] + 0.1


def test_a_bundle_for_any_map_is_scored_under_the_one_given(clips, tmp_path):
    bundle = write_tiny_bundle(tmp_path / "any", reach=3)
    words = ("evaluate", clips, "--bundle", bundle, "--map")
    ratios = [result["r_avg"] for result in run_json(*words, "fixed-4of16")["results"]]
    assert ratios == [0.25, 0.25]
    own = write_tiny_bundle(tmp_path / "own")
    words = ("--bundle", own, "--map", "fixed-4of16")
    ratios = [result["r_avg"] for result in run_json("evaluate", clips, *words)["results"]]
    assert ratios == [0.125, 0.25]
    out = tmp_path / "out.npz"
    words = ("--bundle", bundle, "--map", "fixed-4of16", "-o", out)
    assert run_json("reconstruct", clips, *words)["bundle"] == "tiny"

    sparse = np.zeros((8, 8), np.uint8)
    sparse[0, 0] = 1
    RatioMap(sparse).save(tmp_path / "sparse.npz")
    refused = run("evaluate", clips, "--bundle", bundle, "--map", tmp_path / "sparse.npz")
    assert refused.exit_code == 2
    assert "within 3 pixels" in complaint(refused)


def test_evaluate_is_reproducible_by_its_seed(clips):
    words = ("evaluate", clips, "--map", "tile-2of16", "--seed")
    assert run_json(*words, 7) == run_json(*words, 7)
    assert run_json(*words, 7) != run_json(*words, 8)


def test_evaluate_prints_a_table_of_clips_and_means(clips):
    printed = run("evaluate", clips, "--map", "tile-2of16").stdout
    for word in ("one", "two", "mean", "network-free", "0.1250"):
        assert word in printed


def test_evaluate_takes_a_profile_of_ones_own_and_fewer_clips(clips, tmp_path):
    preset("scamp5").save(tmp_path / "mine.json")
    words = ("evaluate", clips, "--map", "tile-2of16", "--limit", 1, "--profile")
    mine = run_json(*words, tmp_path / "mine.json")
    assert mine == run_json(*words, "scamp5")
    assert len(mine["results"][0]["clips"]) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".npz"])
def test_reconstruct_writes_what_evaluate_scores(clips, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    facts = run_json("reconstruct", clips, "--map", "fixed-8of16", "--profile", "ideal", "-o", path)
    assert facts["bundle"] == "network-free"
    assert (facts["windows"], facts["slots"], facts["height"], facts["width"]) == (2, 16, 24, 32)
    truth, rebuilt = (load_clips(file).clips.astype(float) / 255 for file in (clips, path))
    error = np.mean((truth - rebuilt) ** 2, axis=(1, 2, 3))
    scored = run_json("evaluate", clips, "--map", "fixed-8of16", "--profile", "ideal")
    psnr = [clip["psnr"] for clip in scored["results"][0]["clips"]]
    assert -10 * np.log10(error) == pytest.approx(psnr, abs=0.5)


def test_reconstruct_takes_a_bundle(clips, bundle, tmp_path):
    facts = run_json("reconstruct", clips, "--bundle", bundle, "-o", tmp_path / "out.npz")
    assert facts["bundle"] == "tiny"


def test_a_bundle_with_an_aperture_is_scored_and_reconstructs(clips, tmp_path):
    coded = RatioMap.from_tile([[2, 1]], (8, 8)).with_aperture_tile(APERTURE_TILE)
    path = write_tiny_bundle(tmp_path / "coded", coded, network=tiny_network(aperture=True))
    scored, closed_form = run_json("evaluate", clips, "--bundle", path, "--baseline")["results"]
    assert scored["r_avg"] == closed_form["r_avg"] == 1.5 / 16
    run_json("reconstruct", clips, "--bundle", path, "-o", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as written:
        opened = np.tile(APERTURE_TILE, (6, 8))
        assert not written["video"][:, ~opened].any()
        assert (written["video"][:, opened] > 0.9).all()  # the level, and the reads


def test_gap_tv_reconstructs_clips_and_captures_through_any_aperture(clips, tmp_path, capture):
    coded = tmp_path / "coded.npz"
    RatioMap.uniform(1, (24, 32)).with_random_aperture().save(coded)
    words = ("--bundle", "gap-tv", "--map", coded, "--limit", 1)
    variation, filled = run_json("evaluate", clips, *words)["results"]
    assert (variation["bundle"], filled["bundle"]) == ("gap-tv", "network-free")
    assert variation["mean"]["psnr"] > filled["mean"]["psnr"] + 3
    out = tmp_path / "out.npz"
    assert run_json("reconstruct", clips, *words, "-o", out)["bundle"] == "gap-tv"
    words = ("--bundle", "gap-tv", "--limit", 1, "-o", out)
    assert run_json("reconstruct", capture, *words)["bundle"] == "gap-tv"


def test_a_way_without_network_is_scored_once_where_named(clips):
    words = ("--bundle", "network-free", "--map", "tile-2of16", "--limit", 1)
    assert [one["bundle"] for one in run_json("evaluate", clips, *words)["results"]] == [
        "network-free"
    ]


@pytest.fixture
def capture(clips, tmp_path):
    """A capture folder of both clips under a map of uneven levels, and one window of darkness."""
    ratio_map = RatioMap.from_tile([[8, 2], [0, 4]], (24, 32))
    profile = preset("paper")
    emulator = Emulator(ratio_map, profile, seed=5)
    board = replace(BOARD, height=24, width=32, bits=16)
    with CaptureWriter(tmp_path / "taken", board) as writer:
        for number, scene in enumerate(
            [*load_clips(clips).clips, np.zeros((16, 24, 32), np.uint8)]
        ):
            window = make_window(
                number,
                ratio_map,
                bits=16,
                codes=emulator.read_out(scene, number),
                black_level_dn=profile.black_level_dn,
                full_scale_dn=profile.full_scale_dn,
                kind=WindowKind.SCENE if number < 2 else WindowKind.DARK,
            )
            writer.add(window)
    ratio_map.save(tmp_path / "same.npz")
    return tmp_path / "taken"


def test_reconstruct_takes_a_capture_with_its_own_map(capture, clips, tmp_path):
    facts = run_json("reconstruct", capture, "--bundle", "network-free", "-o", tmp_path / "a.npz")
    assert facts["windows"] == 2  # the dark one is no picture
    # the same as emulating the capture with the same seed
    run_json(
        "reconstruct",
        clips,
        "--map",
        tmp_path / "same.npz",
        "--seed",
        "5",
        "-o",
        tmp_path / "b.npz",
    )
    first, second = (np.load(tmp_path / name)["video"] for name in ("a.npz", "b.npz"))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_reconstruct_takes_what_suits_a_captures_map(capture, tmp_path):
    words = ("reconstruct", capture, "-o", tmp_path / "out.npz")
    result = run(*words, "--json")
    assert json.loads(result.stdout)["bundle"] in {UNIVERSAL_BUNDLE, TOLD_BUNDLE}
    assert "another ratio map" not in result.stderr


def test_reconstruct_takes_a_network_that_is_told_the_noise_where_that_is_better(capture, tmp_path):
    paper = preset("paper")
    loud = replace(paper, name="loud", s_ss=4 * paper.s_ss, s_r=4 * paper.s_r)
    loud.save(tmp_path / "loud.json")
    words = ("reconstruct", capture, "--profile", tmp_path / "loud.json")
    result = run(*words, "-o", tmp_path / "out.npz", "--json")
    assert json.loads(result.stdout)["bundle"] == TOLD_BUNDLE
    assert f"that of loud would cost {UNIVERSAL_BUNDLE} about " in result.stderr
    asked = run(*words, "--bundle", UNIVERSAL_BUNDLE, "-o", tmp_path / "out.npz", "--json")
    assert json.loads(asked.stdout)["bundle"] == UNIVERSAL_BUNDLE
    assert f"against {TOLD_BUNDLE}, which is told the noise" in asked.stderr


def test_reconstruct_notes_that_a_bundle_is_for_another_map(capture, bundle, tmp_path):
    result = run("reconstruct", capture, "--bundle", bundle, "-o", tmp_path / "out.mp4")
    assert result.exit_code == 0
    assert "tiny was trained for another ratio map" in result.stderr
    assert run("reconstruct", capture, "--map", "tile-2of16", "-o", "out.mp4").exit_code == 2


def test_a_damaged_capture_is_told_and_the_output_kept(capture, tmp_path):
    (tmp_path / "out.npz").write_bytes(b"before")
    readouts = next(capture.glob("*.npy"))
    readouts.write_bytes(readouts.read_bytes()[:-1])
    result = run("reconstruct", capture, "--bundle", "network-free", "-o", tmp_path / "out.npz")
    assert "damaged" in str(result.exception)
    assert (tmp_path / "out.npz").read_bytes() == b"before"


BAD = {
    "no clips": (["evaluate", "absent.mp4", "--map", "tile-2of16"], "nothing at absent.mp4"),
    "no bundle": (["evaluate", "CLIPS", "--bundle", "absent"], "no bundle 'absent'"),
    "no map": (["evaluate", "CLIPS", "--map", "absent.npz"], "no ratio map 'absent.npz'"),
    "no profile": (["evaluate", "CLIPS", "--map", "tile-2of16", "--profile", "loud"], "'loud'"),
    "map of another size": (["evaluate", "CLIPS", "--map", "MAP"], "cannot be fitted"),
    "another T": (["evaluate", "CLIPS", "--map", "MAP8"], "T=16"),
    "several T": (["evaluate", "CLIPS", "--map", "MAP8", "--bundle", "BUNDLE"], "8 and 16 slots"),
    "no such kind": (["reconstruct", "CLIPS", "--map", "tile-2of16", "-o", "x.avi"], "x.avi"),
    "no folder": (["reconstruct", "CLIPS", "--map", "tile-2of16", "-o", "no/x.mp4"], "no folder"),
}


@pytest.mark.parametrize(("words", "told"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_sentence(clips, bundle, tmp_path, words, told):
    RatioMap.random((16, 16)).save(tmp_path / "map.npz")
    RatioMap.uniform(2, (24, 32), slots=8).save(tmp_path / "map8.npz")
    names = {
        "CLIPS": clips,
        "BUNDLE": bundle,
        "MAP": tmp_path / "map.npz",
        "MAP8": tmp_path / "map8.npz",
    }
    result = run(*(names.get(word, word) for word in words))
    assert told in complaint(result)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [(("--bundle", "absent"), 2, "no bundle 'absent'"), (("--map", "MAP8"), 1, "T=16")],
)
def test_an_error_is_one_line_on_standard_error(
    tmp_path, clips, words, code, told, monkeypatch, capsys
):
    map8 = str(tmp_path / "map8.npz")
    RatioMap.uniform(2, (24, 32), slots=8).save(map8)
    words = [map8 if word == "MAP8" else word for word in words]
    monkeypatch.setattr(sys, "argv", ["focalloop", "evaluate", str(clips), *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == code
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.startswith("error: ")
    assert told in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["reconstruct", "clips.npz"],
        ["reconstruct", "clips.npz", "--bundle", "network-free", "-o", "out.mp4"],
        ["evaluate", "clips.npz", "--bundle", "gap-tv"],
        ["live", "--bundle", "gap-tv"],
        ["serve", "--port", "absent", "--bundle", "gap-tv"],
        ["evaluate", "clips.npz", "--seed", "-1"],
        ["evaluate"],
    ],
    ids=" ".join,
)
def test_wrong_use_exits_with_2(words):
    assert run(*words).exit_code == 2


def test_a_network_gets_the_noise_of_the_profile_and_what_it_is_not_for_is_said(clips, tmp_path):
    known = {"s_ss": [1e-3, 2.5e-2], "s_r": [5e-3, 1e-2]}
    network = tiny_network(noise=True)
    told = write_tiny_bundle(tmp_path / "told", network=network, noise_range=known)
    out, videos = tmp_path / "out.npz", []
    for profile in ("paper", "scamp5"):
        result = run("reconstruct", clips, "--bundle", told, "--profile", profile, "-o", out)
        assert result.exit_code == 0
        assert ("trained for noise" in result.stderr) == (profile == "scamp5")
        videos.append(load_clips(out).clips.mean())
    # The tiny network multiplies by the noise that it is told.
    assert videos[1] > 1.2 * videos[0]
    result = run("evaluate", clips, "--bundle", told, "--profile", "scamp5")
    assert "of scamp5, s_r 0.014 is above that, and 0.01 is taken instead" in result.stderr
    plain = write_tiny_bundle(tmp_path / "plain")
    result = run("evaluate", clips, "--bundle", plain, "--profile", "scamp5")
    assert "times as noisy as those that tiny learned from" in result.stderr


def test_a_network_with_memory_rebuilds_windows_in_a_row_and_forgets_at_a_gap(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("focalloop.host.reconstruction.memory.SAME_SCENE", -1)  # random light
    network = tiny_network(memory=True, factor=0.01)
    bundle = write_tiny_bundle(tmp_path / "remembers", network=network, reach=64)
    windows = [make_window(number, make_map()) for number in (3, 4, 5, 7)]
    with CaptureWriter(tmp_path / "night", BOARD) as writer:
        for window in windows:
            writer.add(window)
    words = ("reconstruct", tmp_path / "night", "--bundle", bundle)
    run_json(*words, "-o", tmp_path / "video.npz")
    made = np.load(tmp_path / "video.npz")["video"]
    light = [0.01 * (window.reads.sum(axis=0) + window.ratio_map.levels) for window in windows]
    nothing = np.full_like(light[0], -1)
    last = [nothing, *made[:2, -1].clip(0, 1), nothing]  # window 6 is missing
    for video, own, before in zip(made, light, last, strict=True):
        np.testing.assert_allclose(video, np.broadcast_to(own + before / 4, video.shape), atol=1e-5)
