"""One window as the user gets it: what was measured, under which map, and when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.pictures import gray, png
from focalloop.firmware_sim.wire import HelloAnswer, WindowDescriptor, WindowKind


@dataclass(frozen=True, eq=False)
class Window:
    """One window: what was measured, under which map, and when.

    Attributes
    ----------
    number : int
        The board's count of windows read out since it started.
    ratio_map : RatioMap
        Map under which the window was read.
    plan : ReadPlan
        Order of its reads.
    codes : ndarray of uint8 or uint16, shape (plan.count,)
        ADC codes in plan order, DN; of an emulator without ADC and a float32 scene, the signal.
    black_level_dn : float
        Code that stands for no light, DN.
    full_scale_dn : float
        Codes from the black level to signal 1.0, DN.
    bits : int
        Resolution of the ADC.
    time_s : float
        End of the last slot, on the host's ``time.monotonic`` clock.
    kind : WindowKind
        What it was exposed to: the scene, no light, or uniform light.
    skipped : int
        Windows that the board exposed but did not read out, since it started.
    descriptor : WindowDescriptor or None
        What the board announced it with; None if it did not come from a board.
    board : HelloAnswer or None
        What the board was when it sent it.
    grid : tuple of AdaptiveMap and bytes, or None
        Adaptive map and grid that composed its map, if one did.
    """

    number: int
    ratio_map: RatioMap
    plan: ReadPlan
    codes: NDArray[np.uint8] | NDArray[np.uint16]
    black_level_dn: float
    full_scale_dn: float
    bits: int
    time_s: float
    kind: WindowKind = WindowKind.SCENE
    skipped: int = 0
    descriptor: WindowDescriptor | None = None
    board: HelloAnswer | None = None
    grid: tuple[AdaptiveMap, bytes] | None = None

    @property
    def signal(self) -> NDArray[np.float32]:
        """Measurements in plan order, float32 (count,), in signal units: 1.0 is a white window."""
        black, scale = np.float32(self.black_level_dn), np.float32(self.full_scale_dn)
        return (self.codes.astype(np.float32) - black) / scale

    def __repr__(self) -> str:
        kind = self.kind.name.lower()
        reads = f"{self.plan.count} reads of {self.bits} bit, whole"
        return f"<Window {self.number}, {kind}: {reads}; {self.ratio_map.summary}>"

    @property
    def light(self) -> NDArray[np.float32]:
        """Light of the whole window, pixel by pixel, float32 (H, W), in signal units."""
        light: NDArray[np.float32] = self.reads.sum(axis=0)
        if self.ratio_map.aperture is not None:
            open_share = self.ratio_map.aperture.mean(axis=0, dtype=np.float32)
            light = light / np.maximum(open_share, np.float32(1 / self.plan.slots))
        return light

    def _repr_png_(self) -> bytes:
        """Show the light of the whole window, pixel by pixel, for a notebook."""
        return png(gray(self.light))

    @cached_property
    def reads(self) -> NDArray[np.float32]:
        """Measurements as planes, float32 (max_reads, H, W): first to last, padded with zeros."""
        return self.plan.planes(self.signal)
