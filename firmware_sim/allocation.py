"""Least error for a budget: which of several options each location takes.

Every location takes the option with the least ``error + price * cost`` (Everett, "Generalized
Lagrange Multiplier Method", Operations Research 11(3), 1963). The price is bisected until the costs
of all locations meet the budget, and is below zero where the cheap options are the better ones: the
budget is there to be used. What discrete prices leave goes where it helps most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.kernel_cache import kernel

Float64 = NDArray[np.float64]

_BISECTIONS = 60
_WIDENINGS = 30


class BudgetError(FocalloopError):
    """A budget below the least, or above the most, that all locations can cost."""


def allocate(error: Float64, cost: Float64, budget: float) -> NDArray[np.intp]:
    """Choose the option of every location, with little error, for at most `budget` in all.

    Parameters
    ----------
    error, cost : ndarray of float64, shape (K, n)
        Error and cost, 0 or more, of each of K options at each of n locations, in any units.
    budget : float
        Most that the locations may cost together.

    Returns
    -------
    ndarray of intp, shape (n,)
        Options. No location could take a dearer one within the budget.

    Raises
    ------
    BudgetError
        The cheapest options exceed the budget.
    """
    least = float(cost.min(axis=0).sum())
    if least > budget:
        raise BudgetError(f"a budget of {budget:g} is below {least:g}, the least that can be spent")
    scaled = error / max(float(error.mean()), np.finfo(np.float64).tiny)
    return _allocated(np.ascontiguousarray(scaled), np.ascontiguousarray(cost), float(budget))


@kernel
def _allocated(error: Float64, cost: Float64, budget: float) -> NDArray[np.intp]:
    """Bisect the price, and spend what is left."""
    low, high = -1.0, 1.0
    chosen = _at_price(error, cost, high)
    while _spent(chosen, cost) > budget:
        high *= 4
        chosen = _at_price(error, cost, high)
    for _ in range(_WIDENINGS):  # in vain where even the dearest options are within the budget
        if _spent(_at_price(error, cost, low), cost) > budget:
            break
        low *= 4
    for _ in range(_BISECTIONS):
        price = 0.5 * (low + high)
        at_price = _at_price(error, cost, price)
        if _spent(at_price, cost) > budget:
            low = price
        else:
            high, chosen = price, at_price
    left = budget - _spent(chosen, cost)
    while True:
        place, option = _best_step(chosen, error, cost, left)
        if place < 0:
            return chosen
        left -= cost[option, place] - cost[chosen[place], place]
        chosen[place] = option


@kernel
def _at_price(error: Float64, cost: Float64, price: float) -> NDArray[np.intp]:
    """Return the option of every location with the least ``error + price * cost``."""
    options, locations = error.shape
    chosen = np.zeros(locations, np.intp)
    for place in range(locations):
        least = error[0, place] + price * cost[0, place]
        for option in range(1, options):
            value = error[option, place] + price * cost[option, place]
            if value < least:
                least, chosen[place] = value, option
    return chosen


@kernel
def _spent(chosen: NDArray[np.intp], cost: Float64) -> float:
    total = 0.0
    for place in range(len(chosen)):
        total += cost[chosen[place], place]
    return total


@kernel
def _best_step(
    chosen: NDArray[np.intp], error: Float64, cost: Float64, left: float
) -> tuple[int, int]:
    """Return the location and dearer option that gain most per cost within `left`; -1 for none."""
    best, found = -np.inf, (-1, -1)
    for place in range(len(chosen)):
        now = chosen[place]
        for option in range(len(error)):
            step = cost[option, place] - cost[now, place]
            if 0 < step <= left:
                gain = (error[now, place] - error[option, place]) / step
                if gain > best:
                    best, found = gain, (place, option)
    return found
