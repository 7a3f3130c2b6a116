"""How to calibrate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_DRIFT = 0.03
"""Largest relative change of light within a level: six times the 0.5 % flicker of a poor lamp."""

MAX_SHADING = 0.1
"""Largest relative standard deviation of the light over the array that is not reported."""


@dataclass(frozen=True)
class Settings:
    """How to calibrate.

    Parameters
    ----------
    protocol : {"weighted", "emva"}
        "weighted": every usable level, weighted by its information. "emva": as in EMVA 1288
        Release 4, from two reads per level, an unweighted line through the dark point up to 70 %
        of saturation.
    name : str
        Name of the noise profile.
    """

    protocol: Literal["weighted", "emva"] = "weighted"
    name: str = "calibrated"
