"""The sensor side: what runs on, or beside, a programmable focal plane.

The light parts are here at once; `Emulator` is loaded on first use, because it brings Numba.
"""

from typing import TYPE_CHECKING, Any

from firmware_sim.errors import FocalloopError
from firmware_sim.noise import PRESETS, NoiseProfile, preset
from firmware_sim.ratio_map import NAMED_TILES, RatioMap
from firmware_sim.read_plan import ReadPlan

if TYPE_CHECKING:
    from firmware_sim.emulator import Emulator

__all__ = [
    "NAMED_TILES",
    "PRESETS",
    "Emulator",
    "FocalloopError",
    "NoiseProfile",
    "RatioMap",
    "ReadPlan",
    "preset",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "Emulator":
        from firmware_sim.emulator import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
