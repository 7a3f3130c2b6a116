"""Tiles to try in a search: drawn at random, or altered from good ones, at a given cost."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.level_shares import shares_for_mean

Tile = NDArray[np.uint8]

HALF_PERIOD_SHARE = 0.8
"""Share of regular tiles that equal themselves when shifted by half a period."""


def drawn(rng: np.random.Generator, period: tuple[int, int], reads: int, *, regular: bool) -> Tile:
    """Draw a tile (h, w) of `reads` measurements.

    A regular tile equals itself when shifted by some vector, as grids, diagonals, checkerboards and
    repeats of smaller tiles do.
    """
    cells = period[0] * period[1]
    # A shift by half a period leaves the most cells free, so more tiles are drawn with it.
    half = np.array(period) // 2 * np.array([(0, 1), (1, 0), (1, 1)])[rng.integers(3)]
    shift = half if rng.random() < HALF_PERIOD_SHARE else rng.integers(period)
    orbits = _orbits(period, shift) if regular else np.arange(cells)
    size = cells // (orbits.max() + 1)
    if reads % size:
        orbits, size = np.arange(cells), 1
    count = cells // size
    prior = rng.dirichlet(np.ones(len(DEFAULT_LEVEL_SET))) + 1e-6
    shares = np.array([*shares_for_mean(reads / cells, prior=prior).values()])
    return levels_of_sum(rng, count, reads // size, shares)[orbits].reshape(period)


def altered(rng: np.random.Generator, tile: Tile) -> Tile:
    """Redraw the levels of two to four places, with the same sum.

    A place is a cell, or all cells that are connected by a shift that maps the tile to itself.
    """
    flat, (height, width) = tile.reshape(-1), tile.shape
    shifts = np.stack(np.divmod(np.arange(flat.size), width), axis=1)
    same = [shift for shift in shifts if (np.roll(tile, shift, (0, 1)) == tile).all()]
    orbits = _orbits((height, width), same[rng.integers(len(same))])
    firsts = np.unique(orbits, return_index=True)[1]
    values = flat[firsts].copy()
    if len(values) > 1:
        places = rng.choice(len(values), min(len(values), int(rng.integers(2, 5))), replace=False)
        shares = np.full(len(DEFAULT_LEVEL_SET), 1 / len(DEFAULT_LEVEL_SET))
        total = int(values[places].sum(dtype=int))
        values[places] = levels_of_sum(rng, len(places), total, shares)
    return values[orbits].reshape(tile.shape)


def levels_of_sum(
    rng: np.random.Generator, count: int, total: int, shares: NDArray[np.float64]
) -> Tile:
    """Draw `count` levels independently by `shares`, given that they sum to `total`.

    Returns
    -------
    ndarray of uint8, shape (count,)
        The levels.
    """
    levels = np.array(DEFAULT_LEVEL_SET)
    # chances[k, s]: the probability that k levels sum to s.
    chances = np.zeros((count + 1, total + 1))
    chances[0, 0] = 1.0
    for k in range(count):
        for level, share in zip(levels, shares, strict=True):
            chances[k + 1, level:] += share * chances[k, : max(0, total + 1 - level)]
    chosen = np.zeros(count, np.uint8)
    for k in range(count - 1, -1, -1):
        fits = levels <= total
        weights = np.where(fits, shares * chances[k, np.where(fits, total - levels, 0)], 0.0)
        chosen[k] = rng.choice(levels, p=weights / weights.sum())
        total -= int(chosen[k])
    return chosen


def _orbits(period: tuple[int, int], shift: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return a number for each cell, equal for cells that repeated shifts connect."""
    height, width = period
    y, x = np.divmod(np.arange(height * width), width)
    repeats = np.arange(np.lcm(height, width))[:, None]
    reached = (y + repeats * shift[0]) % height * width + (x + repeats * shift[1]) % width
    return np.unique(reached.min(0), return_inverse=True)[1]


def canonical(tile: Tile) -> Tile:
    """Return the lexicographically first of all shifts, mirror images and turns of a tile.

    Training scenes are shifted, mirrored and turned, so these tiles are equally good.
    """
    same = tile.reshape(-1)[_symmetries(*tile.shape)]
    first: Tile = same[np.lexsort(same.T[::-1])[0]]
    return first.reshape(tile.shape)


@lru_cache
def _symmetries(height: int, width: int) -> NDArray[np.int_]:
    """Return (symmetries, cells): the cell that each symmetry puts in each place."""
    cells = np.arange(height * width).reshape(height, width)
    turned = [cells, cells.T] if height == width else [cells]
    mirrored = [part[::dy, ::dx] for part in turned for dy in (1, -1) for dx in (1, -1)]
    return np.stack(
        [
            np.roll(part, (dy, dx), (0, 1)).reshape(-1)
            for part in mirrored
            for dy in range(height)
            for dx in range(width)
        ]
    )
