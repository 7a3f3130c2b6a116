"""Settings of a virtual board."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_sim import wire
from firmware_sim.noise import NoiseProfile
from firmware_sim.ratio_map import DEFAULT_LEVEL_SET, RatioMap


@dataclass(frozen=True, kw_only=True)
class BoardSettings:
    """What a virtual board is made with, and goes back to when it is reset.

    Attributes
    ----------
    profile : NoiseProfile
        Noise and converter of its sensor.
    seed : int
        Of the noise.
    slot_rate_hz : float
        Slots a second in real time; 0 makes windows as fast as they can be sent.
    level_set : tuple of int
        Measurements a window that a pixel may be given.
    ratio_map : RatioMap, optional
        Map active from the start; without one a capture is refused until a map is uploaded.
    max_payload : int
        Longest frame body it accepts, in bytes.
    name, serial : str
        Identity in HELLO, 60 bytes of UTF-8 each at most.
    """

    profile: NoiseProfile
    seed: int = 0
    slot_rate_hz: float = 0.0
    level_set: tuple[int, ...] = DEFAULT_LEVEL_SET
    ratio_map: RatioMap | None = None
    max_payload: int = wire.LARGE_MAX_PAYLOAD
    name: str = "focalloop emulator"
    serial: str = "virtual"
