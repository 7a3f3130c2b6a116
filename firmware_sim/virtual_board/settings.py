"""Settings of a virtual board."""

from __future__ import annotations

from dataclasses import dataclass

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile

MAX_TEXT_BYTES = 60
"""Longest name or serial number: the answer to HELLO must fit the smallest payload."""

NO_SERIAL = "virtual"
"""Serial number of every virtual board that is given none of its own."""


class BoardSettingsError(FocalloopError, ValueError):
    """A setting of a virtual board is invalid; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class BoardSettings:
    """What a virtual board starts with, and returns to when it is reset.

    Raises
    ------
    BoardSettingsError
        If a text or the payload does not fit HELLO, the slot rate is invalid, or the profile is
        exact and cannot have a pattern.

    Attributes
    ----------
    profile : NoiseProfile
        Noise and converter of its sensor.
    seed : int
        Seed of the noise.
    slot_rate_hz : float
        Slots per second in real time; 0 exposes windows as fast as they can be sent.
    level_set : tuple of int
        Measurements per window that a pixel may have.
    ratio_map : RatioMap, optional
        Map that is active from the start; without one, captures are refused until an upload.
    max_payload : int
        Longest frame body that it accepts, in bytes.
    pattern : FixedPattern, optional
        Fixed pattern of the sensor; without one, it is drawn by the seed.
    name, serial : str
        Identity in HELLO, at most 60 bytes of UTF-8 each.
    """

    profile: NoiseProfile
    seed: int = 0
    slot_rate_hz: float = 0.0
    level_set: tuple[int, ...] = DEFAULT_LEVEL_SET
    ratio_map: RatioMap | None = None
    max_payload: int = wire.LARGE_MAX_PAYLOAD
    pattern: FixedPattern | None = None
    name: str = "focalloop emulator"
    serial: str = NO_SERIAL

    def __post_init__(self) -> None:
        for text in (self.name, self.serial):
            if len(text.encode()) > MAX_TEXT_BYTES or not text.isprintable():
                raise BoardSettingsError(
                    f"a board's name and serial number have at most {MAX_TEXT_BYTES} bytes of "
                    f"printable text, not {text!r}"
                )
        if not wire.MIN_MAX_PAYLOAD <= self.max_payload <= wire.LARGE_MAX_PAYLOAD:
            raise BoardSettingsError(
                f"a board's longest body is {wire.MIN_MAX_PAYLOAD} to {wire.LARGE_MAX_PAYLOAD} "
                f"bytes, not {self.max_payload}"
            )
        if self.pattern is not None and not self.profile.adc:
            raise BoardSettingsError(
                f"the profile {self.profile.name} is exact, so it cannot have a fixed pattern: use "
                "one with an ADC"
            )
        if not 0 <= self.slot_rate_hz < float("inf"):
            raise BoardSettingsError(
                f"a slot rate is 0 (as fast as possible) or more, not {self.slot_rate_hz}"
            )
