"""Choice of every location's rate: least error for a budget of transmitted reals.

The transmitter knows, or predicts, the error of each location at each rate. PSNR adds the errors of
a clip, so what counts is the sum of them (`focalloop.firmware_sim.allocation`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.allocation import BudgetError, allocate


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
    error = np.exp(values - values.max()).reshape(len(cost), -1)
    chosen = allocate(error, np.repeat(cost[:, None], count, axis=1), reals)
    return chosen.reshape(values.shape[1:]).astype(np.uint8)
