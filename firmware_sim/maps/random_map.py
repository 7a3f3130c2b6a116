"""Random maps of a wanted ratio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import DEFAULT_LEVEL_SET, RatioMapError


def shares_for_mean(
    mean_level: float, level_set: Sequence[int] = DEFAULT_LEVEL_SET
) -> dict[int, float]:
    """Shares of the levels that are spread the widest for an average of `mean_level`.

    Of all histograms with that mean this one has the greatest entropy: shares proportional to
    ``exp(b * n)``.

    Parameters
    ----------
    mean_level : float
        Wanted measurements a pixel, from the smallest level to the largest.
    level_set : sequence of int, optional
        Levels to use.

    Returns
    -------
    Share of each level, summing to 1.

    Raises
    ------
    RatioMapError
        If no mixture of the levels has that mean.
    """
    levels = np.array(sorted(level_set), np.float64)
    if not levels[0] <= mean_level <= levels[-1]:
        raise RatioMapError(
            f"levels {tuple(level_set)} cannot average {mean_level:g} measurements a pixel: "
            f"ask for {levels[0]:g} to {levels[-1]:g}"
        )

    def shares_at(slope: float) -> np.ndarray:
        weights = np.exp(slope * levels - np.max(slope * levels))
        return np.asarray(weights / weights.sum())

    low, high = -100.0, 100.0  # at these slopes all but e^-100 is on the smallest or largest level
    for _ in range(100):
        middle = (low + high) / 2
        if shares_at(middle) @ levels < mean_level:
            low = middle
        else:
            high = middle
    shares = shares_at(high)
    return {int(level): float(share) for level, share in zip(levels, shares, strict=True)}
