"""The controller of an adaptive map: from what the last windows showed to the next grid.

Small convolutional networks over the blocks predict the mean squared error that each would have
under each tile of the palette (``models.adaptive`` trains them). The tiles are then chosen for the
least predicted error within a budget of reads (`focalloop.firmware_sim.allocation`). PSNR adds
squared errors, so what is predicted is the expected error itself, not that of its logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.allocation import BudgetError, allocate
from focalloop.firmware_sim.block_features import block_features, reading
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.checks import RatioMapError
from focalloop.firmware_sim.maps.tiles import repeat
from focalloop.host.adaptive.network import BlockNetwork

Float32 = NDArray[np.float32]
Grid = NDArray[np.uint8]

CUT_RATIO = 8.0
"""A scene has changed if the step between two windows has this many times the energy of a step over
a quarter of a window ..."""

CUT_ENERGY = 0.005
"""... and this mean square at least, of a white of 1."""

UNREST = 0.35
"""Motion is not to be relied upon if its logarithm changed by so much between two windows ..."""

MEMORY = 4
"""... of the last so many."""

MAX_WINDOW_S = 0.25
"""Longest window for which blocks are given tiles of their own, s: a choice rests on what was two
windows before, which says little once those are longer."""

STILL = 2e-4
"""Mean square of a change over a window that does not count: noise leaves some, more or less as
blocks are read."""

WELL_USED = 0.99
"""Least share of its budget that a grid should read where the palette can."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A reconstructed window, and how it was read.

    Attributes
    ----------
    video : ndarray of float32, shape (T, H, W)
        In [0, 1].
    grid : ndarray of uint8, shape (R, C)
        Its grid.
    """

    video: Float32
    grid: Grid

    @cached_property
    def motion(self) -> float:
        """Logarithm of the mean square by which the picture changes over the window."""
        return float(np.log(np.square(self.video[-1] - self.video[0]).mean() + STILL))


@dataclass(frozen=True, eq=False)
class Controller:
    """Chooses grids for one adaptive map.

    Parameters
    ----------
    adaptive_map : AdaptiveMap
        Of any array size. Its palette has the tile that its resting map repeats.
    network : BlockNetwork
        Predicts the logarithm of the error of every block under every tile.
    margin : float
        Share of the predicted error that a choice block by block must save over `steady` to be
        used: predictions flatter what is chosen by them.
    cautious : int or None
        Index of the tile that loses least where motion comes and goes; None for the one with the
        least predicted error.
    meta : dict of str to any
        What it was made for and from.

    Raises
    ------
    RatioMapError
        The palette lacks the tile of the resting map.
    """

    adaptive_map: AdaptiveMap
    network: BlockNetwork
    margin: float
    cautious: int | None
    meta: dict[str, Any]

    def __post_init__(self) -> None:
        _ = self._resting  # which a file may lack

    def fitted_to(self, height: int, width: int) -> Controller:
        """Return the same controller for an array of another size."""
        return replace(self, adaptive_map=self.adaptive_map.tiled_to(height, width))

    def next_grid(self, seen: Sequence[Seen], budget: float, window_s: float = 0.0) -> Grid:
        """Choose the grid of the next window that can still be told to the board.

        Parameters
        ----------
        seen : sequence of Seen
            The last reconstructed windows of a scene without a gap, the newest last: two at least,
            and of more than `MEMORY` the last.
        budget : float
            Most reads in one window.
        window_s : float, optional
            Length of a window, s; 0 where it is not known.

        Returns
        -------
        ndarray of uint8, shape (R, C)
            One tile for all blocks, `steady`, where windows last longer than `MAX_WINDOW_S`; else
            `at_rest` after a change of the scene, or where predictions are not finite. `steady`
            too where a choice block by block promises to save less than `margin` over it, or where
            the motion of the picture changes from window to window, so that the choice would come
            too late.

        Raises
        ------
        BudgetError
            The budget is below the tiles with the fewest reads.
        """
        rest = self.at_rest(budget)
        features = self.features(seen[-1], seen[-2])
        error = self._errors(features)
        if not np.isfinite(error).all():  # of weights that overflow
            return rest
        everywhere = error.sum(axis=(1, 2))
        steady = self.steady(everywhere, budget)
        calm = np.full_like(rest, steady)
        if window_s > MAX_WINDOW_S:
            return calm
        if is_cut(features):
            return rest
        chosen = self.picks(error, budget)
        promised = np.take_along_axis(error, chosen[None].astype(np.intp), axis=0).sum()
        gains = promised < (1 - self.margin) * everywhere[steady]
        return chosen if gains and not is_restless(seen) else calm

    def steady(self, everywhere: NDArray[np.float64], budget: float) -> int:
        """Return the tile for all blocks where a choice block by block is not to be relied upon.

        Of the tiles within the budget, and that use it if there are such, it is the cautious one,
        or if that is not among them the one with the least error, of `everywhere` (P,).
        """
        reads = self.reads.sum(axis=(1, 2))
        within = reads <= budget
        used = within & (reads >= WELL_USED * budget)
        among = used if used.any() else within
        if self.cautious is not None and among[self.cautious]:
            return self.cautious
        return int(np.where(among, everywhere, np.inf).argmin())

    def at_rest(self, budget: float) -> Grid:
        """Return the grid of one tile for all blocks that is used where nothing is known.

        It is the resting map's tile where its reads are within the budget, else the tile with the
        most reads that are.

        Raises
        ------
        BudgetError
            Every tile of the palette reads more.
        """
        reads = self.reads.sum(axis=(1, 2))
        if reads.min() > budget:
            pixels = np.prod(self.adaptive_map.shape) * self.adaptive_map.resting.slots
            raise BudgetError(
                f"a budget of {budget / pixels:.3g} is below what the palette reads at least, "
                f"{reads.min() / pixels:.3g}: give more, or a palette with sparser tiles"
            )
        within = np.where(reads <= budget, reads, -1.0)
        tile = self._resting if reads[self._resting] <= budget else int(within.argmax())
        return np.full(self.adaptive_map.grid_shape, tile, np.uint8)

    def picks(self, error: NDArray[np.floating[Any]], budget: float) -> Grid:
        """Return the grid (R, C) of least error (P, R, C) within a budget of reads."""
        flat = np.asarray(error, np.float64).reshape(len(error), -1)
        chosen = allocate(flat, self.reads.reshape(flat.shape), budget)
        return chosen.reshape(error.shape[1:]).astype(np.uint8)

    def predicted_error(self, seen: Seen, previous: Seen) -> NDArray[np.float64]:
        """Return the expected squared error of each block under each tile, (P, R, C).

        It is the sum over the block's pixels of the mean over the window, of a white of 1.
        """
        return self._errors(self.features(seen, previous))

    def features(self, seen: Seen, previous: Seen) -> Float32:
        """Return what the last windows showed of every block; the network is given the first."""
        readings = np.concatenate([self._readings[:, w.grid] for w in (seen, previous)])
        return block_features(seen.video, previous.video, readings, self.adaptive_map.block)

    @cached_property
    def reads(self) -> NDArray[np.float64]:
        """Reads of each block under each tile, (P, R, C): fewer where the array cuts it off."""
        height, width = self.adaptive_map.shape
        block = self.adaptive_map.block
        starts = np.arange(0, height, block), np.arange(0, width, block)
        found = []
        for tile in self.adaptive_map.tiles:
            rows = np.add.reduceat(repeat(tile, height, width).astype(np.int64), starts[0], axis=0)
            found.append(np.add.reduceat(rows, starts[1], axis=1))
        return np.stack(found).astype(np.float64)

    @cached_property
    def _readings(self) -> Float32:
        return reading(self.adaptive_map.tiles)

    @cached_property
    def _resting(self) -> int:
        """Index of the tile that the resting map repeats."""
        levels = self.adaptive_map.resting.levels
        for index, tile in enumerate(self.adaptive_map.tiles):
            if np.array_equal(repeat(tile, *levels.shape), levels):
                return index
        raise RatioMapError(
            "a controller needs a palette that has the tile of the resting map: add it"
        )

    def _errors(self, features: Float32) -> NDArray[np.float64]:
        height, width = self.adaptive_map.shape
        block = self.adaptive_map.block
        rows, columns = (
            np.minimum(block, side - np.arange(0, side, block)) for side in (height, width)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            mean: NDArray[np.float64] = np.exp(
                self.network(features[: self.network.inputs]).astype(np.float64)
            )
        mean *= np.outer(rows, columns)
        return mean


def is_cut(features: Float32) -> bool:
    """Whether the scene changed between the two windows that features (F, R, C) were taken from."""
    quarter, between = (np.exp(3 * features[kind] - 9).mean() for kind in (1, 4))
    return bool(between > CUT_ENERGY and between > CUT_RATIO * quarter)


def is_restless(seen: Sequence[Seen]) -> bool:
    """Whether the motion of the picture changed by `UNREST` between two of the last windows."""
    motions = [window.motion for window in seen[-MEMORY:]]
    return bool(np.abs(np.diff(motions)).max() > UNREST)
