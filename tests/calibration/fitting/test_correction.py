"""Fixed patterns of emulated sensors come back from their dark and flat reads."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.calibration import CalibrationError, Level, Readings, calibrate
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.fixed_pattern import Defect
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from tests.support.made_readings import make_readings

SHAPE = (96, 128)
SENSOR = NoiseProfile(
    name="sensor",
    bits=10,
    black_level_dn=80.0,
    full_scale_dn=800.0,
    shot="gaussian",
    s_ss=5e-3,
    s_r=3e-3,
    dark_signal=4e-3,
    frame_offset=1e-3,
    prnu=0.02,
    pixel_offset=8e-3,
    column_offset=0.01,
)
SPANS = [(light, RatioMap.uniform(n, SHAPE)) for light in (0.0, 0.9) for n in (1, 2, 4, 8)]
LIGHTS = [(light, RatioMap.uniform(1, SHAPE)) for light in (0.0, 0.3, 0.6, 0.9)]
y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
TILED = [
    (light, RatioMap(np.array([8, 4, 2, 1, 1, 1, 1, 1])[(x + 3 * y) % 8])) for light in (0, 0.9)
]
DESIGNS = {"spans": SPANS, "lights": LIGHTS, "tiled": TILED}


def readings_of(pattern, steps=SPANS, profile=SENSOR, reads=8, **declared):
    levels, window = [], 0
    for light, ratio_map in steps:
        emulator = Emulator(ratio_map, profile, pattern=pattern)
        scene = np.full((reads, 16, *SHAPE), light, np.float32)
        planes = emulator.plan.planes(emulator.read_out(scene, window))
        window += reads
        for n in np.unique(ratio_map.levels):
            pixels = ratio_map.levels == n
            levels.append(
                Level(
                    reads=planes[:, :n].reshape(-1, *SHAPE),
                    dark=light == 0,
                    exposure=16 / n,
                    light=light,
                    pixels=None if pixels.all() else pixels,
                )
            )
    settings = {"black_level_dn": profile.black_level_dn, "origin": {"board": {"serial": "no. 7"}}}
    return Readings(
        levels=tuple(levels),
        bits=profile.bits,
        full_scale_dn=profile.full_scale_dn,
        slots=16,
        exposure_unit="slots",
        **(settings | declared),
    )


@pytest.mark.parametrize("design", DESIGNS)
def test_offset_gain_and_every_defect_come_back(design):
    pattern = draw_pattern(SENSOR, SHAPE, 3, defects=0.02)
    found = calibrate(readings_of(pattern, DESIGNS[design])).pattern
    missed = found.defects != pattern.defects
    if design == "tiled":  # where short spans hide the weakest hot pixels
        assert missed.sum() < 8
        missed &= (pattern.defects == Defect.HOT) & (pattern.offset < 0.3)
    assert missed.any() == (design == "tiled")
    assert found.serial == "no. 7"
    good = (pattern.defects == Defect.GOOD) & ~missed
    offset_error = (found.offset - pattern.offset)[good]
    # Eight dark reads or more of each pixel, and the frame offset of each level; with one dark
    # exposure, the dark signal cannot be told from the black level.
    assert offset_error.std() < 1.1 * SENSOR.s_r / np.sqrt(8)
    unknown = SENSOR.dark_signal if design == "lights" else 0.0
    assert abs(offset_error.mean() - unknown) < 4 * SENSOR.frame_offset / np.sqrt(8)
    assert (found.gain - pattern.gain)[good].std() < 0.2 * SENSOR.prnu
    stuck = pattern.defects == Defect.STUCK
    np.testing.assert_allclose(found.offset[stuck], pattern.offset[stuck], atol=1e-3)
    if design != "tiled":  # whose excess is that of each pixel's own span
        hot = pattern.defects == Defect.HOT
        np.testing.assert_allclose(found.offset[hot], pattern.offset[hot], atol=0.03)


def test_a_dead_column_and_a_hot_corner_are_defects_and_the_rest_is_corrected():
    pattern = draw_pattern(SENSOR, SHAPE, 3)
    offset, kinds = pattern.offset.copy(), np.zeros(SHAPE, int)
    kinds[:, 40] = Defect.DEAD
    kinds[:8, :8], offset[:8, :8] = Defect.HOT, 0.3
    broken = replace(pattern, offset=offset, defects=kinds)
    found = calibrate(readings_of(broken)).pattern
    np.testing.assert_array_equal(found.defects, kinds)
    good = kinds == Defect.GOOD
    assert (found.offset - offset)[good].std() < 0.2 * SENSOR.pixel_offset


def test_defects_are_in_no_estimate():
    patterns = [draw_pattern(SENSOR, SHAPE, 3, defects=share) for share in (0, 0.03)]
    whole, broken = (calibrate(readings_of(pattern)).estimates for pattern in patterns)
    for name in ("s_ss", "s_r", "dsnu_dn", "prnu", "dark_signal"):
        half = np.ptp(whole[name].ci95) / 2
        assert broken[name].value == pytest.approx(whole[name].value, abs=0.7 * half), name


def test_a_part_that_is_not_there_is_not_corrected():
    """Gains are known to half a percent; without PRNU, correcting by them would add that."""
    pattern = draw_pattern(replace(SENSOR, prnu=0, column_offset=0), SHAPE, 3)
    found = calibrate(readings_of(pattern, reads=2)).pattern
    assert np.abs(found.gain - 1).max() < 2e-3
    assert found.offset.mean(0).std() < 1.5 * pattern.offset.mean(0).std()


def test_offsets_are_above_the_black_level_that_the_board_declares():
    pattern = draw_pattern(SENSOR, SHAPE, 3)
    found = [
        calibrate(readings_of(pattern, black_level_dn=black)).pattern.offset.mean()
        for black in (80.0, 76.0, None)
    ]
    assert found[1] - found[0] == pytest.approx(4 / SENSOR.full_scale_dn, rel=1e-3)
    assert found[2] == pytest.approx(0, abs=1e-6)


def test_more_defects_than_neighbours_repair_are_no_pattern_but_still_a_profile():
    pattern = draw_pattern(SENSOR, SHAPE, 3, defects=0.049)
    kinds = pattern.defects.copy()
    kinds[:2] = Defect.DEAD
    # More than a `FixedPattern` takes, so by hand.
    readings = readings_of(pattern)
    levels = []
    for level in readings.levels:
        reads = level.reads.copy()
        reads[:, kinds == Defect.DEAD] = 80
        levels.append(replace(level, reads=reads))
    found = calibrate(replace(readings, levels=tuple(levels)))
    assert isinstance(found.pattern, CalibrationError)
    count = np.count_nonzero(kinds)
    assert f"{count} of {kinds.size} pixels are defective" in str(found.pattern)
    assert found.as_dict()["defects"] is None
    assert found.profile.bits == 10


def test_levels_that_do_not_tell_are_no_pattern_but_still_a_profile():
    dark = replace(SENSOR, black_level_dn=0)
    for readings in (
        readings_of(None, LIGHTS[1:]),
        readings_of(None, [*LIGHTS[:1], *LIGHTS[2:]], profile=dark, black_level_dn=0.0),
    ):
        found = calibrate(readings)
        assert isinstance(found.pattern, CalibrationError)
        assert "dark levels" in str(found.pattern)
        assert found.profile.s_ss == pytest.approx(SENSOR.s_ss, rel=0.2)


def test_pixels_that_were_never_lit_have_no_gain():
    readings = readings_of(None)
    seen = np.ones(SHAPE, np.bool_)
    seen[:, :7] = False
    levels = [level if level.dark else replace(level, pixels=seen) for level in readings.levels]
    found = calibrate(replace(readings, levels=tuple(levels)))
    assert f"{7 * SHAPE[0]} pixels were not read both" in str(found.pattern)


def test_a_sensor_without_defects_has_none_by_chance():
    counts = [
        np.count_nonzero(calibrate(make_readings(seed, dsnu_dn=1.0, prnu=0.01)).pattern.defects)
        for seed in range(8)
    ]
    assert counts == [0] * 8
