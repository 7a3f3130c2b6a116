"""The error of this package."""

from focalloop.firmware_sim.errors import FocalloopError


class TrainError(FocalloopError):
    """Training data, settings or a run's folder that cannot be used; the text says what and why."""
