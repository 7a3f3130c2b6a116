"""The error of this package."""

from focalloop.firmware_sim.errors import FocalloopError


class CalibrationError(FocalloopError, ValueError):
    """No noise profile can be made from these captures; the text says which, why and what to do."""
