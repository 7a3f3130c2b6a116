"""Choice of every location's rate: least error for a budget of transmitted reals.

The transmitter knows, or predicts, the error of each location at each rate. A location takes the
rate with the least ``error / mean error + price * reals``: PSNR adds the errors of a clip, so what
counts is a location's share of it. The price is bisected until the reals of all locations meet the
budget; what discrete prices leave is given to the locations where it helps most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.kernel_cache import kernel

_BISECTIONS = 40


class BudgetError(FocalloopError):
    """A budget below the least, or above the most, that a window can send."""


def rates_for_budget(log_error: ArrayLike, rates: Sequence[int], reals: float) -> NDArray[np.uint8]:
    """Choose the rate of every location so that `reals` are sent in all, or just fewer.

    Parameters
    ----------
    log_error : array of float, shape (L, h, w)
        Natural logarithm of the error of each location at each rate.
    rates : sequence of int
        Reals that a location sends at each rate, ascending; L of them.
    reals : float
        Budget of the window.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        Rates as indices. The reals that they send are at most `reals`, and fewer by less than one
        location's largest step between rates.

    Raises
    ------
    BudgetError
        If the least rates exceed the budget, or the highest do not use it up.
    """
    values = np.asarray(log_error, np.float64)
    cost = np.asarray(rates, np.float64)
    count = values[0].size
    least, most = cost[0] * count, cost[-1] * count
    if not least <= reals <= most:
        raise BudgetError(
            f"{reals:g} transmitted reals are out of reach of {count} locations: give from "
            f"{least:g} to {most:g}"
        )
    error = np.exp(values - values.max())
    error /= error.mean(axis=(1, 2)).mean()
    low, high = 0.0, 1.0
    while _sent(error, cost, high) > reals:
        high *= 4
    for _ in range(_BISECTIONS):
        price = 0.5 * (low + high)
        if _sent(error, cost, price) > reals:
            low = price
        else:
            high = price
    chosen = rates_at_price(error, cost, high)
    return _filled(chosen, error, cost, reals)


def rates_at_price(
    error: NDArray[np.float64], cost: NDArray[np.float64], price: float
) -> NDArray[np.intp]:
    """Return the rate (h, w) with the least ``error + price * cost`` of every location."""
    chosen: NDArray[np.intp] = np.argmin(error + price * cost[:, None, None], axis=0)
    return chosen


@kernel
def _sent(error: NDArray[np.float64], cost: NDArray[np.float64], price: float) -> float:
    """Return the reals that all locations send at a price."""
    rates, height, width = error.shape
    sent = 0.0
    for y in range(height):
        for x in range(width):
            best = 0
            for rate in range(1, rates):
                if error[rate, y, x] + price * cost[rate] < error[best, y, x] + price * cost[best]:
                    best = rate
            sent += cost[best]
    return sent


def _filled(
    chosen: NDArray[np.intp],
    error: NDArray[np.float64],
    cost: NDArray[np.float64],
    reals: float,
) -> NDArray[np.uint8]:
    """Raise rates by one step while the budget allows it, best gain per real first."""
    flat, table = chosen.ravel().copy(), error.reshape(len(error), -1)
    places = np.arange(flat.size)
    left = reals - cost[flat].sum()
    while True:
        above = np.minimum(flat + 1, len(cost) - 1)
        step = cost[above] - cost[flat]
        allowed = (step > 0) & (step <= left)
        if not allowed.any():
            return flat.reshape(chosen.shape).astype(np.uint8)
        gain = (table[flat, places] - table[above, places]) / np.maximum(step, 1)
        best = int(np.argmax(np.where(allowed, gain, -np.inf)))
        flat[best] += 1
        left -= step[best]
