from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.fixed_pattern import FixedPattern, FixedPatternError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.evaluate import initial
from tests.support.tiny_bundle import write_tiny_bundle

SHAPE = (24, 40)
MIXED = RatioMap.random(SHAPE, {0: 1, 1: 1, 2: 1, 8: 1}, seed=2)
SCENE = np.random.default_rng(1).integers(0, 256, (16, *SHAPE), np.uint8)
EXACT = NoiseProfile(name="exact", bits=16, black_level_dn=16384, full_scale_dn=16 * 255 * 4)
"""A code for each sum of light, so that nothing is lost by rounding."""


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_a_sensor_without_noise_is_corrected_by_its_own_pattern_exactly(seed):
    rng = np.random.default_rng(seed)
    # Whole codes and powers of two, which the converter passes on exactly.
    offset = rng.integers(-100, 100, SHAPE) / EXACT.full_scale_dn
    gain = 2.0 ** rng.integers(-1, 2, SHAPE)
    defects = rng.choice(4, SHAPE, p=[0.985, 0.005, 0.005, 0.005])
    pattern = FixedPattern(offset, gain, defects)

    even, uneven = (
        Emulator(MIXED, EXACT, seed=seed, pattern=own).capture(SCENE).reads
        for own in (None, pattern)
    )
    corrected, corrected_map = Correction(pattern)(uneven, MIXED)
    good = defects == 0
    # Both are sums of light in units of 1/4 DN, times 2^-14 at most.
    np.testing.assert_allclose(corrected, even * good, atol=1e-7)
    np.testing.assert_array_equal(corrected_map.levels, MIXED.levels * good)
    assert not corrected[:, ~good].any()


@pytest.mark.parametrize("pattern", [None, draw_pattern("scamp5", SHAPE, 3, defects=0.03)])
def test_a_bent_response_is_undone_after_the_offset_and_before_the_gain(pattern):
    straight = replace(EXACT, black_level_dn=8192, full_scale_dn=32768)
    bent = replace(straight, bend=-0.05, bend_cubic=0.02)
    if pattern is not None:
        gain = 1 + np.linspace(-0.2, 0.2, pattern.gain.size).reshape(SHAPE)
        pattern = replace(pattern, gain=gain)
    own = Emulator(MIXED, bent, pattern=pattern).capture(SCENE).reads
    truth = Emulator(MIXED, straight).capture(SCENE).reads
    corrected, corrected_map = Correction.needed(pattern, bent)(own, MIXED)
    rounding = 1.5 / straight.full_scale_dn / 0.8
    np.testing.assert_allclose(corrected, truth * (corrected_map.levels > 0), atol=rounding)
    assert np.abs(own - truth).max() > 10 * rounding


def test_an_even_and_straight_sensor_needs_no_correction():
    assert Correction.needed(None, preset("paper")) is None


def test_what_is_left_of_a_noisy_sensors_pattern_is_its_rounding():
    profile = preset("scamp5")
    pattern = draw_pattern(profile, SHAPE, 4)
    windows = [
        Emulator(MIXED, which, seed=4).capture(SCENE).reads
        for which in (profile, replace(profile, pixel_offset=0, column_offset=0))
    ]
    corrected, same_map = Correction(pattern)(windows[0], MIXED)
    assert same_map is MIXED
    measured = windows[1] != 0
    before, after = (np.std((reads - windows[1])[measured]) for reads in (windows[0], corrected))
    assert before * profile.full_scale_dn == pytest.approx(3, rel=0.15)
    assert after * profile.full_scale_dn < 0.6


def test_defects_are_unmeasured_for_whatever_reconstructs():
    offset, defects = np.full(SHAPE, 0.25), np.zeros(SHAPE, int)
    defects[5, 6] = 1
    full = RatioMap.uniform(1, SHAPE, level_set=(1, 2))
    correction = Correction(FixedPattern(offset, np.full(SHAPE, 0.5), defects))
    reads = np.full((2, *SHAPE), 0.5, np.float32)
    reads[1] = 0
    video = initial(*correction(reads, full))
    assert (video[:, 5, 6] == 0).all()
    assert (np.delete(video.reshape(16, -1), 5 * SHAPE[1] + 6, axis=1) == 0.5).all()
    assert correction.map_for(full).level_set == (0, 1, 2)
    assert correction.map_for(full) is correction(reads, full)[1]
    assert (correction(np.stack([reads, reads]), full)[0] == correction(reads, full)[0]).all()
    assert (reads[0] == 0.5).all()


def test_reads_of_another_array_are_refused():
    correction = Correction(draw_pattern("scamp5", SHAPE))
    with pytest.raises(FixedPatternError, match="40x24 pixels, but the array has 8x8"):
        correction(np.zeros((8, 8, 8), np.float32), RatioMap.uniform(1, (8, 8)))


def test_a_bundle_reconstructs_a_window_from_its_corrected_reads(tmp_path):
    pattern = draw_pattern("scamp5", SHAPE, 1, defects=0.02)
    bundle = Bundle.load(write_tiny_bundle(tmp_path / "tiny"))
    ratio_map = bundle.ratio_map.tiled_to(*SHAPE)
    window = Emulator(ratio_map, "scamp5", pattern=pattern).capture(SCENE)
    correction = Correction(pattern)
    corrected = bundle.reconstruct(window, correction)
    expected = bundle.reconstructor()(*correction(window.reads, ratio_map))
    np.testing.assert_array_equal(corrected.video, expected)
