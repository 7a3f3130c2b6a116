"""Calibration: noise parameters of a sensor from captures, with confidence intervals.

`calibrate` turns `Readings` into a `Calibration`; ``docs/calibration-math.md`` derives how.
"""

from typing import TYPE_CHECKING, Any

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.readings import Level, Readings
from focalloop.calibration.result import Calibration, Estimate
from focalloop.calibration.settings import Settings

if TYPE_CHECKING:
    from focalloop.calibration.estimator import calibrate

__all__ = [
    "Calibration",
    "CalibrationError",
    "Estimate",
    "Level",
    "Readings",
    "Settings",
    "calibrate",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    if name == "calibrate":  # loads SciPy, which only a fit needs
        from focalloop.calibration.estimator import calibrate

        return calibrate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
