"""What the two-parameter model misses is reported in words, and nothing else is."""

import re
from dataclasses import replace

import numpy as np
import pytest

from focalloop.calibration import calibrate
from tests.support.made_readings import make_readings


def said(readings):
    return " ".join(calibrate(readings).warnings)


def test_a_clean_sensor_gets_no_warning():
    alarms = [calibrate(make_readings(seed)).warnings for seed in range(12)]
    assert sum(map(bool, alarms)) <= 1


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        ({"row_noise_dn": 0.4}, "temporal row noise of 0.(39|4|41) "),
        ({"column_noise_dn": 0.4}, "temporal column noise of 0.(39|4|41) "),
        ({"shading": 0.4}, "light is uneven over the array by 2[0-9] %"),
    ],
)
def test_a_disturbance_is_reported_with_its_size(sensor, words):
    readings = (
        make_readings(3, **sensor)
        if "shading" not in sensor
        else make_readings(3, (0.0, 0.1, 0.3, 0.6), **sensor)
    )
    assert re.search(words, said(readings))


BY_LIGHT = {"spans": [16.0] * 5, "signals": (0.0, 0.2, 0.4, 0.6, 0.8)}


def test_too_few_spans_to_tell_a_bend_are_one_warning():
    (text,) = calibrate(make_readings(3, **BY_LIGHT)).warnings
    assert "too few spans to tell whether the response bends" in text


def test_reading_the_same_two_spans_again_tells_no_more_of_a_bend():
    readings = make_readings(3, (0.0, 0.45, 0.9, 0.45, 0.9), spans=[16.0, 8.0, 16.0, 8.0, 16.0])
    assert "too few spans to tell whether the response bends" in said(readings)


def test_stated_lights_show_a_bend_where_spans_do_not():
    (text,) = calibrate(make_readings(3, **BY_LIGHT, bend=-0.06)).warnings
    assert re.search("at full scale it lies [56].* % below", text)


def test_a_response_that_cannot_be_undone_is_left_out_with_a_warning():
    found = calibrate(make_readings(3, bend=-0.39))
    assert any("bends too much for a curve of two coefficients" in text for text in found.warnings)
    assert found.profile.response.straight


def test_saturation_within_the_range_is_reported():
    readings = make_readings(3, (0.0, 0.1, 0.3, 0.5, 0.7, 0.95), full_well=0.9)
    found = calibrate(readings)
    assert not found.levels[-1].used
    assert "saturation" in found.levels[-1].why_not


def test_a_black_level_other_than_declared_is_reported():
    assert "declares 17" in said(make_readings(3, black_level_dn=17.0))


def test_a_steady_drift_of_the_light_is_reported():
    readings = make_readings(3, reads=8)
    top = readings.levels[-1]
    ramp = np.arange(8, dtype=np.uint8)[:, None, None] // 2
    drifting = replace(top, reads=top.reads - ramp)
    text = said(replace(readings, levels=(*readings.levels[:-1], drifting)))
    assert "light drifts steadily in signal 0.9" in text


def test_a_change_of_temperature_is_reported():
    readings = make_readings(3)
    levels = tuple(
        replace(level, temperature_c=20.0 + index) for index, level in enumerate(readings.levels)
    )
    assert "from 20.0 to 25.0 °C" in said(replace(readings, levels=levels))


def test_a_level_with_one_read_is_left_out_with_a_warning():
    readings = make_readings(3)
    single = replace(readings.levels[2], reads=readings.levels[2].reads[:1])
    text = said(replace(readings, levels=(*readings.levels[:2], single, *readings.levels[3:])))
    assert "only one read (signal 0.1125)" in text


def test_a_misfit_is_reported_and_widens_the_intervals():
    readings = make_readings(3, shape=(96, 96))
    # A level from a sensor of another gain.
    stranger = make_readings(4, (0.45,), shape=(96, 96), s_ss=7e-3).levels[0]
    levels = (*readings.levels[:4], stranger, readings.levels[-1])
    found = calibrate(replace(readings, levels=levels))
    assert found.fit.p_value < 1e-6
    assert "does not grow linearly" in found.warnings[0]
    assert np.ptp(found.estimates["s_ss"].ci95) > 3 * np.ptp(
        calibrate(readings).estimates["s_ss"].ci95
    )
