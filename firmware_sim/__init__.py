"""The sensor side: what runs on, or beside, a programmable focal plane.

The light parts are here at once; `Emulator` is loaded on first use, because it brings Numba.
"""

from typing import TYPE_CHECKING, Any

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import NAMED_TILES, RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import PRESETS, NoiseProfile, preset

if TYPE_CHECKING:
    from focalloop.firmware_sim.emulator.emulator import Emulator

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
        from focalloop.firmware_sim.emulator.emulator import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
