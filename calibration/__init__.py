"""Calibration: noise parameters of a sensor from captures, with confidence intervals.

`Readings` go in, a `Calibration` comes out; ``docs/calibration-math.md`` derives what is between.
"""

from calibration.analysis import Settings
from calibration.errors import CalibrationError
from calibration.estimator import calibrate
from calibration.readings import Level, Readings
from calibration.result import Calibration, Estimate

__all__ = [
    "Calibration",
    "CalibrationError",
    "Estimate",
    "Level",
    "Readings",
    "Settings",
    "calibrate",
]
