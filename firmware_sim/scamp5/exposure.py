"""Per-pixel exposure on SCAMP-5: a ratio map as a program.

PIX is reset for all elements at once, between two windows, because the chip is not known to reset
single elements. Sampling it is non-destructive. Register A of each element holds the level at which
its current span began. At the end of a span, ``getpix(B, A)`` leaves the light of the span in B,
and ``add(A, A, B)`` under the FLAG of the elements that are due increases their level by exactly
what was measured. So no light is lost or counted twice between two spans, and B waits for the 8-bit
scan while PIX continues to integrate. After the last sample of a window PIX is reset before B is
scanned, so the next window begins at once.

One digital register per level marks the elements of that level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan, read_slots
from focalloop.firmware_sim.scamp5.instructions import FREE_MASKS, Areg, Dreg, Op, Scamp5Error
from focalloop.firmware_sim.scamp5.machine import Machine
from focalloop.firmware_sim.scamp5.program import Call, Program
from focalloop.firmware_sim.scamp5.readout import Grid, Timing
from focalloop.firmware_sim.scamp5.reference import GAIN_BITS, MIN_LSB, Mode

FULL_SCALE_LSB = 127
"""LSB of a full-window exposure of white: half the range of PIX above its reset level."""
MAX_TILE_CELLS = 64
"""Largest tile, in cells, whose elements are scanned cell by cell instead of all elements."""

_START_LEVEL, _LIGHT = Areg.A, Areg.B
_SPARE = (Dreg.R1, Dreg.R2)
"""Registers for joining more masks than WHERE takes. They are free: only DNEWS uses them, and these
programs have no DNEWS."""


@dataclass(frozen=True)
class SlotRead:
    """The reads after one slot.

    Attributes
    ----------
    slot : int
        The slot, from 0.
    levels : tuple of int
        Levels whose spans end there.
    grids : tuple of Grid
        Parts of the scan, in order: together each element that is due once, or all elements.
    """

    slot: int
    levels: tuple[int, ...]
    grids: tuple[Grid, ...]

    @property
    def count(self) -> int:
        """Number of conversions in the scan."""
        return sum(grid.count for grid in self.grids)


@dataclass(frozen=True)
class Exposure:
    """A ratio map as a program; build it with `Exposure.of`.

    Attributes
    ----------
    ratio_map : RatioMap
        The map.
    masks : dict of Dreg to int
        The level that each mask register marks, highest first.
    reads : tuple of SlotRead
        The slots after which elements are read, first to last.
    start : Program
        Begins the first window.
    program : Program
        One window, and the beginning of the next.
    """

    ratio_map: RatioMap
    masks: dict[Dreg, int]
    reads: tuple[SlotRead, ...]
    start: Program
    program: Program

    @classmethod
    def of(cls, ratio_map: RatioMap) -> Exposure:
        """Compile a ratio map of the array's size.

        Raises
        ------
        Scamp5Error
            The map has a coded aperture, or more levels than there are registers for masks.
        """
        if ratio_map.aperture is not None:
            raise Scamp5Error(
                f"the ratio map has a coded aperture of {ratio_map.slots} planes, but SCAMP-5 has "
                f"only {len(FREE_MASKS)} free registers for masks: use a map without an aperture"
            )
        present = [int(level) for level in np.unique(ratio_map.levels)[::-1] if level]
        if not present:
            raise Scamp5Error("the ratio map has level 0 everywhere: there is nothing to read")
        if len(present) > len(FREE_MASKS):
            raise Scamp5Error(
                f"the ratio map has {len(present)} levels above 0, but SCAMP-5 has only "
                f"{len(FREE_MASKS)} free registers for their masks"
            )
        masks = dict(zip(FREE_MASKS, present, strict=False))
        reads = []
        for slot in range(ratio_map.slots):
            due = tuple(n for n in present if read_slots(ratio_map.slots, n)[slot])
            if due:
                reads.append(SlotRead(slot, due, _grids(ratio_map, due)))
        start, window = list(_begin(masks)), list(_statements(ratio_map.slots, masks, reads))
        return cls(ratio_map, masks, tuple(reads), Program.of(start), Program.of(window))

    @cached_property
    def plan(self) -> ReadPlan:
        """Order of the samples in a readout."""
        return ReadPlan.of(self.ratio_map)

    def mask(self, dreg: Dreg) -> NDArray[np.bool_]:
        """Elements whose level the register marks (H, W)."""
        mask: NDArray[np.bool_] = self.ratio_map.levels == self.masks[dreg]
        return mask

    def run(self, machine: Machine, scene: NDArray[Any]) -> NDArray[Any]:
        """Load the masks and expose one window or a batch of them.

        Parameters
        ----------
        machine : Machine
            Of the map's size.
        scene : ndarray of uint8 or float32, shape (T, H, W) or (N, T, H, W)
            As for `focalloop.firmware_sim.emulator.emulator.Emulator.capture`; uint8 in integer
            mode.

        Returns
        -------
        ndarray, shape (count,) or (N, count)
            Reads in the order of `plan`, in LSB; `FULL_SCALE_LSB` is signal 1.0. int16, or
            float32 in ideal mode.
        """
        for dreg in self.masks:
            machine.load(dreg, self.mask(dreg))
        machine.run(self.start)
        return self.readout(machine.run(self.program, scene, self.gain(scene.dtype)))

    def readout(self, scans: NDArray[Any]) -> NDArray[Any]:
        """Select the reads of the plan from scanned planes (..., S, H, W), in LSB."""
        flat = scans.reshape(*scans.shape[:-2], -1)
        offsets = self.plan.slot_offsets
        picked = [
            flat[..., number, self.plan.pixel[offsets[read.slot] : offsets[read.slot + 1]]]
            for number, read in enumerate(self.reads)
        ]
        codes = np.concatenate(picked, axis=-1)
        return (codes.astype(np.float32 if codes.dtype == np.float32 else np.int16)) + MIN_LSB

    def gain(self, dtype: DTypeLike) -> float:
        """Return the LSB by which one unit of a scene of `dtype` increases PIX per slot."""
        white = 255 if np.dtype(dtype) == np.uint8 else 1
        return FULL_SCALE_LSB / (white * self.ratio_map.slots)

    def error_bound_lsb(self, mode: Mode) -> float:
        """Bound the error of a read against `FULL_SCALE_LSB` times its signal; infinite if noisy.

        In integer mode PIX is rounded when it is sampled, by up to 1/2 LSB at the beginning of the
        span and at its end. The gain is rounded to `GAIN_BITS` binary places, an error of up to
        half the last place per unit of the window's light. All else is exact, because nothing
        saturates. In ideal mode, each float32 operation on values below 128 has an error of at most
        2**-18: two operations per slot and sample, and six in the program.
        """
        slots = self.ratio_map.slots
        if mode is Mode.INTEGER:
            return 1 + 2 * 255 * slots * 2.0 ** -(GAIN_BITS + 1)
        return (4 * slots + 6) * 2.0**-18 if mode is Mode.IDEAL else float("inf")

    @cached_property
    def cycles_per_slot(self) -> tuple[int, ...]:
        """Number of instruction words after each slot."""
        cycles = [0] * self.ratio_map.slots
        slot = 0
        for word in self.program.instructions:
            slot = word.value if word.op is Op.EXPOSE else slot
            cycles[slot] += word.cycles
        return tuple(cycles)

    def slot_rate_hz(self, timing: Timing) -> float:
        """Return the highest slot rate at which each scan ends before the next sample needs B."""
        slots = [read.slot for read in self.reads]
        ends = [*slots[1:], slots[0] + self.ratio_map.slots]
        rates = []
        for read, end in zip(self.reads, ends, strict=True):
            seconds = read.count * timing.analog_read_s
            seconds += self.cycles_per_slot[read.slot] / timing.clock_hz
            rates.append((end - read.slot) / seconds)
        return min(rates)


def _begin(masks: dict[Dreg, int]) -> Iterator[Call]:
    """Begin a window: reset PIX, store its level, and refresh the masks."""
    yield Call("respix", (_START_LEVEL,))
    yield from (Call("REFRESH", (dreg,)) for dreg in masks)


def _statements(slots: int, masks: dict[Dreg, int], reads: list[SlotRead]) -> Iterator[Call]:
    """Yield one window, and the beginning of the next before the last scan.

    The spans of all levels end after the last slot.
    """
    by_slot = {read.slot: number for number, read in enumerate(reads)}
    for slot in range(slots):
        yield Call("expose", (slot,))
        if slot not in by_slot:
            continue
        number = by_slot[slot]
        yield Call("getpix", (_LIGHT, _START_LEVEL))
        if slot == slots - 1:
            yield from _begin(masks)
        else:
            due = reads[number].levels
            yield from _where([dreg for dreg, level in masks.items() if level in due])
            yield Call("add", (_START_LEVEL, _START_LEVEL, _LIGHT))
            yield Call("all")
        yield Call("scan", (_LIGHT, number))


def _where(masks: list[Dreg]) -> Iterator[Call]:
    """Set FLAG to the OR of up to seven masks; WHERE takes three."""
    for spare in _SPARE:
        if len(masks) > 3:
            yield Call("OR", (spare, *masks[:4]))
            masks = [*masks[4:], spare]
    yield Call("WHERE", tuple(masks))


def _grids(ratio_map: RatioMap, due: tuple[int, ...]) -> tuple[Grid, ...]:
    """Scan the elements that are due cell by cell of a small tile, or else all elements."""
    height, width = ratio_map.shape
    tile = ratio_map.tile
    if tile.size > MAX_TILE_CELLS or np.isin(tile, due).all():
        return (Grid(0, 0, height - 1, width - 1),)
    rows, columns = np.nonzero(np.isin(tile, due))
    # The chip counts columns from the right: the first of a cell's columns there is the last here.
    from_right = (width - 1 - columns) % tile.shape[1]
    return tuple(
        Grid(row, column, height - 1, width - 1, *tile.shape)
        for column, row in sorted(zip(from_right.tolist(), rows.tolist(), strict=True))
    )
