"""Shares of the levels that give a ratio map a wanted average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import RatioMapError

_MAX_SLOPE = 100.0
"""At this slope, all but a share of e^-100 is on the smallest or the largest level."""


def shares_for_mean(
    mean_level: float,
    level_set: Sequence[int] = DEFAULT_LEVEL_SET,
    prior: ArrayLike | None = None,
) -> dict[int, float]:
    """Find the shares of the levels that average `mean_level` and are closest to `prior`.

    Closest in relative entropy: the shares are proportional to ``prior * exp(b * level)``. With
    an even prior they have the greatest entropy of all shares with that mean.

    Parameters
    ----------
    mean_level : float
        Wanted measurements per pixel, from the smallest level to the largest.
    level_set : sequence of int
        Levels to use.
    prior : array_like of float, shape (levels,), optional
        Relative share of each level before the mean is imposed, above 0; even by default.

    Returns
    -------
    dict of int to float
        Share of each level; they sum to 1.

    Raises
    ------
    RatioMapError
        No mixture of the levels has that mean.
    """
    levels = np.array(level_set, np.float64)
    if not levels.min() <= mean_level <= levels.max():
        raise RatioMapError(
            f"levels {tuple(level_set)} cannot average {mean_level:g} measurements per pixel: "
            f"ask for {levels.min():g} to {levels.max():g}"
        )
    weights = np.ones(len(levels)) if prior is None else np.asarray(prior, np.float64)

    def shares_at(slope: float) -> NDArray[np.float64]:
        tilted = weights * np.exp(slope * levels - np.max(slope * levels))
        return np.asarray(tilted / tilted.sum())

    low, high = -_MAX_SLOPE, _MAX_SLOPE
    for _ in range(100):
        middle = (low + high) / 2
        if shares_at(middle) @ levels < mean_level:
            low = middle
        else:
            high = middle
    return dict(zip(map(int, level_set), map(float, shares_at(high)), strict=True))
