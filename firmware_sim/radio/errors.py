"""The error of everything that a radio sends."""

from focalloop.firmware_sim.errors import FocalloopError


class RadioError(FocalloopError, ValueError):
    """Something cannot be sent over a radio, or what arrived is not what was sent."""
