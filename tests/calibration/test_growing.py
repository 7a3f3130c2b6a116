"""A calibration that grows by one level after the other: fitted, or told to be too little."""

from dataclasses import replace

import pytest

from focalloop.calibration import CalibrationError, calibrate
from tests.support.made_readings import LIGHT, S_R, make_readings

STEPS = (0.0, 0.0, 0.0, 0.0, LIGHT, LIGHT / 2, LIGHT / 4, LIGHT / 8, 0.75 * LIGHT)
SPANS = (16.0, 8.0, 4.0, 2.0, 16.0, 8.0, 4.0, 2.0, 12.0)


@pytest.mark.parametrize("seed", range(8))
def test_from_the_first_light_on_there_is_a_fit(seed):
    readings = make_readings(seed, STEPS, shape=(24, 24), spans=SPANS)
    widths = []
    for count in range(1, len(STEPS) + 1):
        part = replace(readings, levels=readings.levels[:count])
        if count <= 4:
            with pytest.raises(CalibrationError, match="all levels are dark"):
                calibrate(part)
            continue
        estimate = calibrate(part).estimates["s_r"]
        assert estimate.value == pytest.approx(S_R, rel=0.1)
        widths.append(estimate.ci95[1] - estimate.ci95[0])
    assert widths[-1] < widths[0]


@pytest.mark.parametrize("seed", range(8))
def test_flat_fields_that_no_light_reached_are_refused(seed):
    readings = make_readings(seed, STEPS[:4], shape=(24, 24), frame_offset_dn=0.4)
    dark, *others = readings.levels
    flats = [replace(level, dark=False, light=LIGHT) for level in others]
    with pytest.raises(CalibrationError, match="no two levels of different light"):
        calibrate(replace(readings, levels=(dark, *flats)))
