"""Search for a tile of levels and phases, judged by the linear estimate: greedy swaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.straddling.linear_gaussian import SLOTS, estimated, frames, window_reads
from focalloop.firmware_sim.maps.tiles import repeat
from focalloop.models.map_learning.tile_candidates import altered

REACH = 2
"""Pixels around the tile whose reads count."""
PERIOD = 4
"""Side of the tiles, pixels."""
PHASE_MOVES = 0.6
"""Share of the tries that change phases and no level, where there are phases."""

Tile = NDArray[np.uint8]
Rows = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class PhasedTile:
    """Levels and phases (h, w), and whether a window includes the reads that end in the next."""

    levels: Tile
    phases: Tile
    late: bool = False

    @classmethod
    def of(cls, levels: Rows, phases: Rows = ((0,),), *, late: bool = False) -> PhasedTile:
        """Repeat rows of levels, and of phases, 0 by default, to `PERIOD`."""
        level, phase = (
            repeat(np.array(rows, np.uint8), PERIOD, PERIOD) for rows in (levels, phases)
        )
        return cls(level, phase, late)

    @property
    def psnr(self) -> NDArray[np.float64]:
        """PSNR of the linear estimate at each speed, dB."""
        reads = window_reads(self.levels, self.phases, reach=REACH, late=self.late)
        return estimated(reads, frames(*self.levels.shape)).psnr


def searched(start: PhasedTile, tries: int, seed: int, *, phases: bool = True) -> PhasedTile:
    """Change a few cells at a time, and keep what raises the mean PSNR over the speeds.

    Parameters
    ----------
    start : PhasedTile
        Tile to begin with; its reads per pixel are kept.
    tries : int
        Changes to judge.
    seed : int
        Seed of every random choice.
    phases : bool, optional
        Whether phases may change; levels always may.
    """
    rng = np.random.default_rng(seed)
    best, score = start, start.psnr.mean()
    for _ in range(tries):
        changed = _changed(rng, best, phases)
        psnr = changed.psnr.mean()
        if psnr > score:
            best, score = changed, psnr
    return best


def _changed(rng: np.random.Generator, tile: PhasedTile, phases: bool) -> PhasedTile:
    """Redraw the phases of one to three pixels that are read, or levels of two to four places."""
    levels, redrawn = tile.levels, np.zeros(tile.levels.shape, bool)
    if phases and rng.random() < PHASE_MOVES:
        measured = np.flatnonzero(levels)
        count = min(len(measured), int(rng.integers(1, 4)))
        redrawn.flat[rng.choice(measured, count, replace=False)] = True
    else:
        levels = altered(rng, levels)
        redrawn = levels != tile.levels
    spans = np.where(levels > 0, SLOTS // np.maximum(levels, 1), 1)
    drawn = rng.integers(spans) if phases else np.zeros_like(tile.phases)
    return PhasedTile(levels, np.where(redrawn, drawn, tile.phases).astype(np.uint8), tile.late)
