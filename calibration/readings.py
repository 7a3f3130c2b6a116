"""What a calibration is made from: repeated reads of the same pixels under even light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Level:
    """Repeated reads of the same pixels under one even light, one span and one gain.

    Parameters
    ----------
    reads : uint8 or uint16 (R, H, W)
        Codes, DN; may be mapped from a file.
    dark : bool
        Whether there was no light at all.
    exposure : float
        How long it was exposed, 0 and up, in the unit of `Readings`.
    light : float or None
        Radiance of the even light in [0, 1]; with EMVA 1288 data, photons a pixel collected in
        the exposure; None where unknown.
    pixels : bool (H, W) or None
        Pixels that this level measured, the others of `reads` being meaningless; None: all.
    name : str
        File or series that it came from, for messages.
    times_s : float64 (R,) or None
        When each read was taken, seconds of any epoch.
    temperature_c : float or None
        Of the sensor.
    """

    reads: NDArray[np.uint8] | NDArray[np.uint16]
    dark: bool
    exposure: float
    light: float | None = None
    pixels: NDArray[np.bool_] | None = None
    name: str = ""
    times_s: NDArray[np.float64] | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, eq=False)
class Readings:
    """Everything that one calibration is made from.

    Parameters
    ----------
    levels : tuple of Level
        In any order; of one size, one converter and one gain.
    bits : int
        Resolution of the converter, 1..16.
    full_scale_dn : float or None
        From black to signal 1.0, as the board declares it. None where nobody does (EMVA 1288
        data): signal 1.0 is then the saturation code less the black level.
    black_level_dn : float or None
        As declared; the estimate is compared with it.
    slots : int or None
        T, slots of a window; None where exposures are seconds.
    exposure_unit : {"slots", "s"}
        Unit of every level's exposure.
    origin : mapping
        Board and files with their SHA-256, as JSON values: the provenance of the profile.
    full_scale_relative_error : float
        Standard uncertainty of `full_scale_dn` over its value; carried into every estimate in
        signal units.
    """

    levels: tuple[Level, ...]
    bits: int
    full_scale_dn: float | None
    black_level_dn: float | None
    slots: int | None
    exposure_unit: Literal["slots", "s"]
    origin: Mapping[str, Any]
    full_scale_relative_error: float = 0.0
