"""The error of this package."""

from focalloop.firmware_sim.errors import FocalloopError


class CalibrationError(FocalloopError, ValueError):
    """Captures that no noise profile can be made from; the text says which, why and what to do."""
