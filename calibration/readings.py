"""The input of a calibration: repeated reads of the same pixels under even light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Level:
    """Repeated reads of the same pixels under one even light, with one exposure and one gain.

    Parameters
    ----------
    reads : ndarray of uint8 or uint16, shape (R, H, W)
        ADC codes, DN; may be mapped from a file.
    dark : bool
        Whether the level was taken without light.
    exposure : float
        Exposure time, 0 or longer, in the `exposure_unit` of `Readings`.
    light : float or None
        Radiance of the even light in [0, 1]; for data with photon counts, photons per pixel
        during the exposure. None if unknown.
    pixels : ndarray of bool, shape (H, W), or None
        Pixels that were read at this level; the others of `reads` are meaningless. None: all.
    name : str
        File or series of the level, for messages.
    times_s : ndarray of float64, shape (R,), or None
        Time of each read, in seconds from any origin.
    temperature_c : float or None
        Temperature of the sensor, degrees Celsius.
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
    """Everything that one calibration uses.

    Parameters
    ----------
    levels : tuple of Level
        In any order; all of the same size, ADC and gain.
    bits : int
        Resolution of the ADC, 1 to 16.
    full_scale_dn : float or None
        Codes from black to signal 1.0, as the board declares them. None if nothing declares them
        (EMVA 1288 data): signal 1.0 is then the saturation code minus the black level.
    black_level_dn : float or None
        Declared black level, which the estimate is compared with.
    slots : int or None
        Slots per window T; None where exposures are in seconds.
    exposure_unit : {"slots", "s"}
        Unit of every level's exposure.
    origin : mapping
        Board and files with their SHA-256, as JSON values: the provenance of the profile.
    full_scale_relative_error : float
        Relative standard uncertainty of `full_scale_dn`, carried into every estimate in signal
        units.
    """

    levels: tuple[Level, ...]
    bits: int
    full_scale_dn: float | None
    black_level_dn: float | None
    slots: int | None
    exposure_unit: Literal["slots", "s"]
    origin: Mapping[str, Any]
    full_scale_relative_error: float = 0.0
