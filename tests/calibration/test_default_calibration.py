"""What the correction by a default calibration leaves of a fixed pattern is what is said of it."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.calibration import Level, Readings, calibrate
from focalloop.firmware_sim.default_calibration import (
    DEFAULT_READS,
    corrected,
    span_steps,
    top_light,
)
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset

SHAPE = (96, 128)
SENSOR = NoiseProfile(
    name="sensor",
    bits=10,
    black_level_dn=80.0,
    full_scale_dn=880.0,
    shot="gaussian",
    s_ss=7e-3,
    s_r=4e-3,
    frame_offset=1e-3,
    prnu=0.02,
    pixel_offset=8e-3,
    column_offset=0.01,
)


def calibrated(profile, pattern):
    levels, window = [], 0
    for step in span_steps((1, 2, 4, 8), top_light(profile), DEFAULT_READS):
        emulator = Emulator(RatioMap.uniform(step.level, SHAPE), profile, pattern=pattern)
        scene = np.full((step.windows, 16, *SHAPE), step.light, np.float32)
        reads = emulator.plan.planes(emulator.read_out(scene, window))[:, : step.level]
        window += step.windows
        levels.append(
            Level(reads.reshape(-1, *SHAPE), step.light == 0, 16 / step.level, light=step.light)
        )
    return calibrate(
        Readings(
            levels=tuple(levels),
            bits=profile.bits,
            full_scale_dn=profile.full_scale_dn,
            black_level_dn=profile.black_level_dn,
            slots=16,
            exposure_unit="slots",
            origin={},
        )
    )


@pytest.mark.parametrize("size", [0.1, 1.0], ids=["slight pattern", "strong pattern"])
def test_the_errors_of_offset_and_gain_are_those_of_real_corrections(size):
    sensor = replace(SENSOR, pixel_offset=8e-3 * size, prnu=0.02 * size)
    true = draw_pattern(sensor, SHAPE, seed=3)
    found = calibrated(sensor, true).pattern
    left = corrected(sensor)
    offset, gain = found.offset - true.offset, found.gain / true.gain
    assert left.pixel_offset == pytest.approx(float(offset.std()), rel=0.1)
    assert left.prnu == pytest.approx(float(gain.std()), rel=0.1)
    assert left.column_offset == 0
    assert offset.mean(0).std() < 0.3 * left.pixel_offset


def test_what_a_calibration_measured_says_the_same_as_the_truth():
    profile = calibrated(SENSOR, draw_pattern(SENSOR, SHAPE, seed=3)).profile
    measured, true = corrected(profile), corrected(SENSOR)
    assert measured.pixel_offset == pytest.approx(true.pixel_offset, rel=0.05)
    assert measured.prnu == pytest.approx(true.prnu, rel=0.05)


@pytest.mark.parametrize("name", ["paper", "ideal"])
def test_nothing_is_left_where_nothing_was(name):
    assert corrected(preset(name)) == preset(name)


def test_a_correction_is_never_worse_than_none():
    noisy = replace(SENSOR, s_r=1.0)
    assert corrected(noisy).pixel_offset < noisy.pixel_offset
    assert corrected(noisy).prnu < noisy.prnu
