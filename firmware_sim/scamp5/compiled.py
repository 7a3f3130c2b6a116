"""The array in integer mode, compiled: a whole program at once for a block of elements.

A program becomes rows of small integers (`compile_program`) that one kernel interprets. The kernel
takes a block of elements that fits into the cache through all instructions before the next block,
so a register is fetched once per program and not once per instruction. Blocks are independent, and
distributed over the threads. Access to neighbours is a barrier between blocks: a plane is shifted
into another, which the bus then reads like any register.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.scamp5 import kernels
from focalloop.firmware_sim.scamp5.instructions import (
    DNEWS_SELECT,
    NEIGHBOUR_DIRECTION,
    NEIGHBOURS,
    STEPS,
    Areg,
    Dreg,
    Instruction,
    Op,
    blurred,
)
from focalloop.firmware_sim.scamp5.kernels import (
    ANALOG_PLANES,
    BLOCK,
    DIGITAL_PLANES,
    OUTGOING,
    Code,
)
from focalloop.firmware_sim.scamp5.reference import MAX_LSB, RESET_LEVEL, integer_gain, selected

_BARRIERS = (Code.SHIFT, Code.DNEWS, Code.PROP, Code.SELECT, Code.BLUR)
_R0, _R12, _FLAG = Dreg.R0.value, Dreg.R12.value, Dreg.FLAG.value
_NEWS = Areg.NEWS.value

Row = tuple[int, ...]


def compile_program(words: Sequence[Instruction], flag_known: bool) -> list[NDArray[np.int64]]:
    """Compile instructions to stretches of rows (n, 9), separated at barriers.

    `flag_known` states that FLAG is 1 everywhere at the start, so writes need no mask.
    """
    rows: list[Row] = []
    sampled = True
    for word in words:
        reads_pix = Areg.PIX in word.sources
        if reads_pix and not sampled:
            rows.append((Code.SAMPLE,))
        sampled = (sampled or reads_pix or word.op is Op.RPIX) and word.op is not Op.EXPOSE
        rows += _compiled(word, masked=not flag_known)
        if word.op in (Op.WHERE, Op.WHERE_DIGITAL, Op.ALL):
            flag_known = word.op is Op.ALL
    if not sampled:
        rows.append((Code.SAMPLE,))
    padded = [row + (0,) * (9 - len(row)) for row in rows]
    stretches = []
    for barrier, stretch in groupby(padded, lambda row: row[0] in _BARRIERS):
        together = list(stretch)
        parts = [[row] for row in together] if barrier else [together]
        stretches += [np.array(part, np.int64) for part in parts]
    return stretches


def _compiled(word: Instruction, masked: bool) -> list[Row]:
    sources = [source.value for source in word.sources]
    news = [
        (Code.SHIFT, source.value, 0, _NEWS, *STEPS[NEIGHBOUR_DIRECTION[source]])
        for source in word.sources
        if source in NEIGHBOURS
    ]
    match word.op:
        case Op.BUS:
            share = len(word.targets)
            if word.targets[0] in NEIGHBOURS:
                down, right = STEPS[NEIGHBOUR_DIRECTION[word.targets[0]]]
                out = (Code.BUS, OUTGOING, 0, share, len(sources), *sources)
                return [*news, out, (Code.SHIFT, _NEWS, masked, OUTGOING, -down, -right)]
            return news + [
                (Code.BUS, target.value, masked, share, len(sources), *sources)
                for target in word.targets
            ]
        case Op.WHERE:
            return [*news, (Code.WHERE, 0, 0, 0, len(sources), *sources)]
        case Op.WHERE_DIGITAL:
            return [(Code.LOGIC, _FLAG, 0, 0, len(sources), *sources)]
        case Op.ALL:
            return [(Code.FLAG,)]
        case Op.OR | Op.NOR:
            inverted = word.op is Op.NOR
            # R12 first: it is gated by R0 as it was before.
            targets = sorted(word.targets, key=lambda target: target is not Dreg.R12)
            return [
                (Code.LOGIC, target.value, 0, inverted, len(sources), *sources)
                for target in targets
            ]
        case Op.RPIX:
            return [(Code.RESET,)]
        case Op.IN:
            return [(Code.FILL, Areg.IN.value, 0, word.value)]
        case Op.EXPOSE:
            return [(Code.EXPOSE, 0, 0, word.value)]
        case Op.SCAN:
            return [(Code.SCAN, sources[0], 0, word.value)]
        case Op.DNEWS:
            return [(Code.DNEWS, word.targets[0].value, 0, word.value, sources[0])]
        case Op.BLUR:
            return [(Code.BLUR, word.targets[0].value, masked, word.value, sources[0])]
        case Op.PROP:
            return [(Code.PROP, 0, 0, word.value)]
        case Op.SELECT:
            return [(Code.SELECT, 0, 0, word.value)]
        case _:
            return []


class CompiledArray:
    """Registers of an array of processing elements in integer mode.

    Attributes
    ----------
    analog : ndarray of int8, shape (15, H, W)
        By `Areg`; the planes above IN are scratch.
    digital : ndarray of int8, shape (16, H, W)
        By `Dreg`; 0 or -1; the last plane is scratch.
    charge : ndarray of uint16, shape (H, W)
        Light on PIX since its reset, in units of the scene.
    """

    def __init__(self, shape: tuple[int, int], threads: int = 1) -> None:
        self.analog = np.zeros((ANALOG_PLANES, *shape), np.int8)
        self.digital = np.zeros((DIGITAL_PLANES, *shape), np.int8)
        self.digital[_FLAG] = -1
        self.charge = np.zeros(shape, np.uint16)
        self.analog[Areg.PIX.value] = RESET_LEVEL
        count = shape[0] * shape[1]
        blocks = np.linspace(0, count, max(threads, -(-count // BLOCK)) + 1).astype(int)
        bounds = blocks[np.linspace(0, len(blocks) - 1, threads + 1).round().astype(int)]
        self._bands = list(pairwise(bounds.tolist()))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def load(self, dreg: Dreg, plane: NDArray[np.bool_]) -> None:
        """Set a digital register to `plane` (H, W)."""
        self.digital[dreg.value] = -plane.astype(np.int8)

    def run(
        self,
        stretches: Sequence[NDArray[np.int64]],
        light: NDArray[np.uint8],
        gain: float,
        scans: NDArray[np.uint8],
    ) -> None:
        """Run a compiled program once per window.

        Parameters
        ----------
        stretches : sequence of ndarray
            From `compile_program`.
        light : ndarray of uint8, shape (N, T, H, W)
            The scene of each window.
        gain : float
            LSB of PIX per unit of the scene.
        scans : ndarray of uint8, shape (N, S, H, W)
            Receives the result of each SCAN in each window, value + 128.
        """
        # Without barriers a block runs through all windows before the next block starts.
        batches = [slice(0, len(light))]
        if any(rows[0, 0] in _BARRIERS for rows in stretches):
            batches = [slice(window, window + 1) for window in range(len(light))]
        for batch in batches:
            for rows in stretches:
                if rows[0, 0] in _BARRIERS:
                    self._barrier(rows[0])
                else:
                    self._run_blocks(rows, light[batch], gain, scans[batch])

    def _run_blocks(
        self,
        rows: NDArray[np.int64],
        light: NDArray[np.uint8],
        gain: float,
        scans: NDArray[np.uint8],
    ) -> None:
        scaled, top = integer_gain(gain)

        def flat(planes: NDArray[Any]) -> NDArray[Any]:
            return planes.reshape(*planes.shape[:-2], self.charge.size)

        def work(band: tuple[int, int]) -> None:
            kernels.run_block(
                rows,
                flat(self.analog),
                flat(self.digital),
                flat(self.charge),
                flat(light),
                flat(scans),
                np.uint32(scaled),
                np.uint16(top),
                band[0],
                band[1],
            )

        if self._pool is None:
            work(self._bands[0])
            return
        for _ in self._pool.map(work, self._bands):
            pass  # retrieving the results raises exceptions of the threads

    def _barrier(self, row: NDArray[np.int64]) -> None:
        code, target, masked, value, *rest = row.tolist()
        match code:
            case Code.SHIFT:
                moved = _shifted(self.analog[value], rest[0], rest[1], 0)
                gate = self.digital[_FLAG] < 0 if masked else True
                np.copyto(self.analog[target], moved, where=gate)
            case Code.BLUR:
                total, weight = blurred(self.analog[rest[0]].astype(np.int16), value)
                # Quotients to nearest, halves away from 0; minus -128 saturates.
                size = np.minimum((2 * np.abs(total) + weight) // (2 * weight), 128)
                held = np.where(total > 0, -size, np.minimum(size, MAX_LSB)).astype(np.int8)
                gate = self.digital[_FLAG] < 0 if masked else True
                np.copyto(self.analog[target], held, where=gate)
            case Code.DNEWS:
                seen = np.zeros_like(self.digital[0])
                for dreg, direction in DNEWS_SELECT.items():
                    moved = _shifted(self.digital[rest[0]], *STEPS[direction], -value)
                    seen |= self.digital[dreg.value] & moved
                gate = self.digital[_R0] < 0 if target == _R12 else True
                np.copyto(self.digital[target], seen, where=gate)
            case Code.PROP:
                kernels.propagate(self.digital, -value)
            case Code.SELECT:
                chosen = selected(value, self.charge.shape)
                self.digital[Dreg.SELECT.value] = -chosen.astype(np.int8)


def _shifted(plane: NDArray[np.int8], down: int, right: int, beyond: int) -> NDArray[np.int8]:
    """Return for each element the value `down` rows below and `right` columns to the right."""
    height, width = plane.shape
    moved = np.full_like(plane, beyond)
    to_rows = slice(max(0, -down), height - max(0, down))
    to_columns = slice(max(0, -right), width - max(0, right))
    from_rows = slice(max(0, down), height - max(0, -down))
    from_columns = slice(max(0, right), width - max(0, -right))
    moved[to_rows, to_columns] = plane[from_rows, from_columns]
    return moved
