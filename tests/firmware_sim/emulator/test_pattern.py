from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.emulator import Emulator, EmulatorError
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.fixed_pattern import Defect, FixedPattern, FixedPatternError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset

SHAPE = (24, 40)
MIXED = RatioMap.random(SHAPE, {1: 1, 2: 1, 8: 1}, seed=2)
SCENE = np.random.default_rng(1).integers(0, 256, (2, 16, *SHAPE), np.uint8)
NOISY = replace(preset("scamp5"), prnu=0.02, dark_signal=0.01, row_noise=0.003)
EXACT = NoiseProfile(name="exact", bits=16, black_level_dn=8192, full_scale_dn=32768)


def test_a_drawn_pattern_is_the_one_that_the_seed_gives():
    drawn = draw_pattern(NOISY, SHAPE, seed=7)
    own = Emulator(MIXED, NOISY, seed=7).read_out(SCENE)
    given = Emulator(MIXED, NOISY, seed=7, pattern=drawn).read_out(SCENE)
    np.testing.assert_array_equal(own, given)
    other = Emulator(MIXED, NOISY, seed=7, pattern=draw_pattern(NOISY, SHAPE, seed=8))
    assert (other.read_out(SCENE) != own).mean() > 0.5


def test_defects_of_a_drawn_pattern_are_as_many_as_asked_for():
    drawn = draw_pattern("scamp5", (50, 60), 3, defects=0.03, serial="bench")
    counts = np.bincount(drawn.defects.ravel(), minlength=4)
    assert (counts == [2910, 30, 30, 30]).all()
    assert drawn.serial == "bench"
    good = drawn.defects == 0
    np.testing.assert_array_equal(
        drawn.offset[good], draw_pattern("scamp5", (50, 60), 3).offset[good]
    )


def with_defects(**kinds):
    """A pattern whose pixel (0, i) is the i-th of `kinds`, with the offset given."""
    offset, defects = np.zeros(SHAPE), np.zeros(SHAPE, int)
    for x, (kind, value) in enumerate(kinds.items()):
        defects[0, x], offset[0, x] = Defect[kind.upper()], value
    return FixedPattern(offset, np.ones(SHAPE), defects)


def reads_of(level, pattern, scene=SCENE, profile=EXACT):
    ratio_map = RatioMap.uniform(level, SHAPE)
    emulator = Emulator(ratio_map, profile, pattern=pattern)
    return emulator.plan.planes(profile.signal(emulator.read_out(scene)))[:, :level]


@pytest.mark.parametrize("level", [1, 2, 8])
def test_a_hot_pixel_collects_its_signal_in_proportion_to_the_span(level):
    hot = reads_of(level, with_defects(hot=0.5)) - reads_of(level, None)
    np.testing.assert_allclose(hot[:, :, 0, 0], 0.5 / level, atol=1e-4)
    assert not hot[:, :, 0, 1:].any()


def test_a_dead_pixel_reads_black_with_noise_and_a_stuck_one_gives_a_single_code():
    pattern = with_defects(dead=0, stuck=0.25)
    exact = reads_of(4, pattern)
    assert not exact[:, :, 0, 0].any()
    assert (exact[:, :, 0, 1] == 0.25).all()
    noisy = reads_of(4, pattern, profile=replace(EXACT, s_r=0.01))
    assert len(np.unique(noisy[:, :, 0, 0])) > 4
    assert (noisy[:, :, 0, 1] == 0.25).all()


def test_threads_and_batches_do_not_change_what_a_pattern_gives():
    pattern = draw_pattern(NOISY, SHAPE, 1, defects=0.02)
    whole = Emulator(MIXED, NOISY, pattern=pattern).read_out(SCENE)
    shared = Emulator(MIXED, NOISY, pattern=pattern, threads=3)
    np.testing.assert_array_equal(shared.read_out(SCENE), whole)
    np.testing.assert_array_equal(shared.read_out(SCENE[1], 1), whole[1])


def test_a_pattern_that_the_sensor_cannot_have_is_refused(tmp_path):
    pattern = with_defects()
    with pytest.raises(FixedPatternError, match="40x24 pixels, but the array has 8x8"):
        Emulator(RatioMap.uniform(1, (8, 8)), EXACT, pattern=pattern)
    with pytest.raises(EmulatorError, match="ideal is exact"):
        Emulator(MIXED, "ideal", pattern=pattern)
    with pytest.raises(FixedPatternError, match="cannot read"):
        Emulator(MIXED, EXACT, pattern=tmp_path / "missing.npz")
