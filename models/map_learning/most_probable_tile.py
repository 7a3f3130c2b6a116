"""The most probable tile of a budget: what a policy over levels deploys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def most_probable(
    scores: NDArray[np.float64], levels: NDArray[np.int64], reads: int
) -> NDArray[np.uint8]:
    """Choose a level for each cell so that they sum to `reads` and their scores to the maximum.

    Where no choice sums to `reads`, which happens only in tiny tiles, the nearest sum counts.

    Parameters
    ----------
    scores : ndarray of float64, shape (cells, levels)
        Log-probabilities.
    levels : ndarray of int64
        Measurements of each level.
    reads : int
        Wanted sum.

    Returns
    -------
    ndarray of uint8, shape (cells,)
        The levels.
    """
    sums = reads + int(levels.max()) + 1
    best = np.full(sums, -np.inf)
    best[0] = 0.0
    choices = np.zeros((len(scores), sums), np.int64)
    for cell, score in enumerate(scores):
        options = np.full((len(levels), sums), -np.inf)
        for k, level in enumerate(levels):
            options[k, level:] = best[: sums - level] + score[k]
        choices[cell] = options.argmax(0)
        best = options.max(0)
    possible = np.flatnonzero(np.isfinite(best))
    left = int(possible[np.abs(possible - reads).argmin()])
    chosen = np.zeros(len(scores), np.uint8)
    for cell in range(len(scores) - 1, -1, -1):
        chosen[cell] = levels[choices[cell, left]]
        left -= int(chosen[cell])
    return chosen
