"""GAP-TV: its projections are exact, and it rebuilds what has little variation."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.reconstruction.gap_tv import GapTv
from focalloop.host.reconstruction.reconstruct import ReconstructError, initial_reconstruction


def captured(scene, ratio_map):
    (reads,) = capture_clips(scene[None], ratio_map, preset("ideal"))
    return reads


def scene_of_patches(seed, side=24):
    """Flat patches, each of which changes once: little variation in space and time."""
    rng = np.random.default_rng(seed)
    before, after = rng.integers(40, 216, (2, 3, 3)).repeat(side // 3, 1).repeat(side // 3, 2)
    slots = np.arange(16)[:, None, None]
    return np.where(slots < 8, before, after).astype(np.uint8)


@given(seed=st.integers(0, 99), coded=st.booleans(), open_share=st.floats(0, 1))
@settings(max_examples=25)
def test_a_step_without_smoothing_is_the_least_norm_video(seed, coded, open_share):
    ratio_map = RatioMap.random((6, 7), seed=seed)
    if coded:
        ratio_map = ratio_map.with_random_aperture(seed, open_share)
    reads = captured(scene_of_patches(seed)[:, :6, :7], ratio_map)
    rebuilt = GapTv(iterations=1, weight=1e-6)(reads, ratio_map)
    least = initial_reconstruction(reads, ratio_map.levels, 16, ratio_map.aperture)
    np.testing.assert_allclose(rebuilt, least, atol=1e-4)


@pytest.mark.parametrize("level", [1, 2])
def test_it_sees_a_change_within_a_span_through_an_aperture(level):
    scene = scene_of_patches(5)
    plain = RatioMap.uniform(level, (24, 24))
    errors = []
    for ratio_map in (plain, plain.with_random_aperture(3)):
        rebuilt = GapTv()(captured(scene, ratio_map), ratio_map)
        assert (rebuilt.shape, rebuilt.dtype) == ((16, 24, 24), np.float32)
        errors.append(np.sqrt(np.mean((rebuilt - scene / 255) ** 2)))
    assert errors[1] < 0.8 * errors[0]


def test_the_video_measures_what_was_measured():
    ratio_map = RatioMap.random((24, 24), {1: 2, 2: 1, 8: 1}, seed=2).with_random_aperture(1)
    reads = captured(scene_of_patches(7), ratio_map)
    rebuilt = GapTv()(reads, ratio_map)
    again = captured((255 * rebuilt).astype(np.float32) / 255, ratio_map)
    np.testing.assert_allclose(again, reads, atol=0.01)


def test_measurements_of_another_map_are_refused():
    with pytest.raises(ReconstructError, match="do not match a 24x24"):
        GapTv()(np.zeros((8, 8, 8), np.float32), RatioMap.uniform(1, (24, 24)))
