"""The read plan: which pixels are read after which slot, and in which order.

Sensor and host both derive it from the ratio map, so a readout carries no addresses. After slot
``t`` the pixels whose span ends there are read row by row, from left to right; a readout consists
of these reads, slot after slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap

Sample = TypeVar("Sample", bound=np.generic)


def read_slots(slots: int, level: int, phase: int = 0) -> NDArray[np.bool_]:
    """Return after which slots a pixel is read: those in which one of its spans ends.

    Parameters
    ----------
    slots : int
        Slots per window (T).
    level : int
        Level of the pixel, above 0.
    phase : int
        Slots by which its spans begin late, 0..T/level - 1 (see the module `staggering`). A span
        that thereby crosses the end of the window is read early in the next one.

    Returns
    -------
    ndarray of bool, shape (T,)
    """
    ends: NDArray[np.bool_] = (np.arange(1, slots + 1) - phase) % (slots // level) == 0
    return ends


@dataclass(frozen=True, eq=False)
class ReadPlan:
    """Order of the reads in one window; build it with `ReadPlan.of`.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the array.
    slots : int
        Slots per window (T).
    max_reads : int
        Largest number of measurements that a pixel can have: the largest level of the level set.
    slot_offsets : ndarray of int64, shape (T + 1,)
        The reads after slot ``t`` are ``slot_offsets[t]:slot_offsets[t + 1]``.
    pixel : ndarray of int32, shape (count,)
        Flat index ``y * W + x`` of the pixel of each read, ascending within a slot.
    read : ndarray of uint8, shape (count,)
        Which of its pixel's measurements each read is, from 0.
    """

    shape: tuple[int, int]
    slots: int
    max_reads: int
    slot_offsets: NDArray[np.int64]
    pixel: NDArray[np.int32]
    read: NDArray[np.uint8]

    @classmethod
    def of(cls, ratio_map: RatioMap) -> ReadPlan:
        """Derive the plan from a ratio map."""
        slots = ratio_map.slots
        levels = ratio_map.levels.reshape(-1)
        measured = np.flatnonzero(levels).astype(np.int32)
        level_of = levels[measured]
        read_after = {level: read_slots(slots, level) for level in ratio_map.level_set if level}
        # The same levels are read after many slots: their pixels are looked for once.
        found: dict[tuple[int, ...], tuple[NDArray[np.int32], NDArray[np.uint8]]] = {}
        pixels: list[NDArray[np.int32]] = []
        reads: list[NDArray[np.uint8]] = []
        for slot in range(slots):
            ending = tuple(level for level, after in read_after.items() if after[slot])
            if ending not in found:
                ends_here = np.zeros(256, np.bool_)
                ends_here[list(ending)] = True
                here = ends_here[level_of]
                found[ending] = measured[here], level_of[here]
            pixel, its_level = found[ending]
            read_of_level = np.zeros(256, np.uint8)
            for level in ending:
                read_of_level[level] = (slot + 1) // (slots // level) - 1
            pixels.append(pixel)
            reads.append(read_of_level[its_level])
        plan = cls(
            shape=ratio_map.shape,
            slots=slots,
            max_reads=max(ratio_map.level_set),
            slot_offsets=np.cumsum([0, *map(len, pixels)], dtype=np.int64),
            pixel=np.concatenate(pixels),
            read=np.concatenate(reads),
        )
        for array in (plan.slot_offsets, plan.pixel, plan.read):
            array.flags.writeable = False
        return plan

    @property
    def count(self) -> int:
        """Reads in one window."""
        return len(self.pixel)

    @property
    def reads_per_slot(self) -> NDArray[np.int64]:
        """Number of reads after each slot (T,)."""
        return np.diff(self.slot_offsets)

    def planes(self, readout: NDArray[Sample]) -> NDArray[Sample]:
        """Sort readouts into one plane per measurement; pixels with fewer measurements get zeros.

        Parameters
        ----------
        readout : ndarray, shape (..., count)
            One or more readouts in plan order, of any dtype.

        Returns
        -------
        ndarray, shape (..., max_reads, H, W)
            Plane ``i`` holds the ``i``-th measurement of every pixel, first to last.

        Raises
        ------
        ValueError
            The last axis does not have `count` samples.
        """
        if readout.shape[-1:] != (self.count,):
            raise ValueError(
                f"a readout of this plan has {self.count} samples, not shape {readout.shape}"
            )
        height, width = self.shape
        planes = np.zeros((*readout.shape[:-1], self.max_reads * height * width), readout.dtype)
        planes[..., self._address] = readout
        return planes.reshape(*readout.shape[:-1], self.max_reads, height, width)

    def readout(self, planes: NDArray[Sample]) -> NDArray[Sample]:
        """Undo `planes`: (..., max_reads, H, W) to (..., count) in plan order.

        Raises
        ------
        ValueError
            The last three axes are not (max_reads, H, W).
        """
        expected = (self.max_reads, *self.shape)
        if planes.shape[-3:] != expected:
            raise ValueError(
                f"planes of this plan have a shape that ends in {expected}, not {planes.shape}"
            )
        flat: NDArray[Any] = planes.reshape(*planes.shape[:-3], -1)
        return flat[..., self._address]

    @cached_property
    def _address(self) -> NDArray[np.intp]:
        """Flat index into (max_reads, H, W) of each read."""
        height, width = self.shape
        return self.read.astype(np.intp) * (height * width) + self.pixel
