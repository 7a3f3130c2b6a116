"""Calibration: noise parameters of a sensor from captures, with confidence intervals.

`Readings` go in, a `Calibration` comes out; ``docs/calibration-math.md`` derives what is between.
"""

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.estimator import calibrate
from focalloop.calibration.fitting.analysis import Settings
from focalloop.calibration.readings import Level, Readings
from focalloop.calibration.result import Calibration, Estimate

__all__ = [
    "Calibration",
    "CalibrationError",
    "Estimate",
    "Level",
    "Readings",
    "Settings",
    "calibrate",
]
