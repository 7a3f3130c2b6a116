"""The commands of ``focalloop map``."""

from __future__ import annotations

from typing import Any

_MAKE = {
    "fixed": ("Give every pixel the same level.", f"{__name__}.make:fixed"),
    "tile": ("Repeat a tile over the array.", f"{__name__}.make:tile"),
    "random": (
        "Scatter levels at random, for an average ratio or a histogram.",
        f"{__name__}.make:random",
    ),
    "png": ("Read a map painted in the colours of `focalloop map show`.", f"{__name__}.make:png"),
}

COMMANDS: dict[str, tuple[str, Any]] = {
    "show": (
        "Draw a ratio map, with its average ratio, histogram, reads and hash.",
        f"{__name__}.show:show",
    ),
    "make": ("Make a ratio map.", _MAKE),
    "convert": (
        "Convert an .npz map to a PNG that paint programs edit, or back.",
        f"{__name__}.convert:convert",
    ),
    "suggest": (
        "Name the shipped map that suits the scenes of some clips.",
        f"{__name__}.suggest:suggest",
    ),
    "schedule": (
        "Show what a map's reads demand of ADC, link and power.",
        f"{__name__}.schedule:schedule",
    ),
    "export": (
        "Write a map as a program for the SCAMP-5d developer kit.",
        f"{__name__}.export:export",
    ),
}
