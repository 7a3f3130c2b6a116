"""Readings that give no profile are refused, each with one clear sentence."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.calibration import CalibrationError, Settings, calibrate
from tests.support.made_readings import make_readings


def with_reads(change, bits=8, **more):
    readings = make_readings(1, shape=(24, 24))
    levels = tuple(replace(level, reads=change(level.reads)) for level in readings.levels)
    return replace(readings, levels=levels, bits=bits, **more)


def drift(reads):
    return reads // 2 + np.arange(4, dtype=np.uint8)[:, None, None] * (reads.mean() > 50) * 8


def with_nan(reads):
    values = reads.astype(float)
    values[0, 0, :3] = np.nan
    return values


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        (replace(make_readings(1), levels=()), "nothing to calibrate from"),
        (make_readings(1, reads=1), "only one read"),
        (make_readings(1, (0.5,)), "only one level can be used"),
        (make_readings(1, (0.5, 0.5)), "no two levels of different light"),
        (make_readings(1, (0.0, 0.0)), "all levels are dark"),
        (make_readings(1, (0.0, 1.5, 2.0)), "100 % of its codes are saturated at 255"),
        (make_readings(1, (0.2, 0.5), black_level_dn=None), "no dark level"),
        (with_reads(np.zeros_like), "all its reads are equal"),
        (with_reads(lambda reads: reads, bits=12), "holds 8-bit codes but 12 bits"),
        (with_reads(lambda reads: reads.astype(np.uint16), bits=12), "no code is above 2[0-9]+, "),
        (with_reads(lambda reads: reads.astype(np.uint16) * 16, bits=12), "16 DN apart"),
        (with_reads(lambda reads: reads, bits=6), "has a code .* but 6 bits end at 63"),
        (with_reads(with_nan), "3 of its values are not numbers"),
        (with_reads(lambda reads: reads / 2), "its values are floats"),
        (with_reads(lambda reads: reads.astype(np.int64)), "uint8 or uint16, not int64"),
        (with_reads(lambda reads: reads[0]), "must hold reads"),
        (with_reads(lambda reads: reads[:, :2]), "too few"),
        (with_reads(drift), "drifts: its reads differ by"),
        (with_reads(lambda reads: reads, bits=17), "1 to 16 bits, not 17"),
        (replace(make_readings(1), full_scale_dn=0.0), "full scale must be a number of DN above 0"),
        (replace(make_readings(1), black_level_dn=float("nan")), "black level must be a number"),
    ],
)
def test_bad_data_is_refused_with_the_reason(readings, words):
    with pytest.raises(CalibrationError, match=words) as caught:
        calibrate(readings)
    assert "\n" not in str(caught.value)


def test_levels_of_two_sizes_are_refused():
    small, large = make_readings(1, shape=(24, 24)), make_readings(1, shape=(24, 32))
    with pytest.raises(CalibrationError, match="24x24, 32x24"):
        calibrate(replace(small, levels=(*small.levels[:3], *large.levels[3:])))


@pytest.mark.parametrize(("field", "value"), [("exposure", -1.0), ("light", float("inf"))])
def test_an_impossible_declaration_of_a_level_is_refused(field, value):
    readings = make_readings(1)
    level = replace(readings.levels[2], **{field: value})
    with pytest.raises(CalibrationError, match=f"{field} of signal 0.1125"):
        calibrate(replace(readings, levels=(*readings.levels[:2], level)))


def test_emva_needs_dark_and_levels_below_saturation():
    with pytest.raises(CalibrationError, match="emva subtracts the dark level"):
        calibrate(make_readings(1, (0.2, 0.5)), Settings(protocol="emva"))
    with pytest.raises(CalibrationError, match="up to 70 %"):
        calibrate(make_readings(1, (0.0, 0.95)), Settings(protocol="emva"))


def test_flicker_and_frame_offsets_are_not_taken_for_drift():
    for seed in range(30):
        calibrate(make_readings(seed, shape=(24, 24), flicker=0.005, frame_offset_dn=0.39))
