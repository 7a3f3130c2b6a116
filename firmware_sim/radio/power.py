"""What amplifiers and converters ask of symbols: low peaks, and points of a finite grid.

All functions keep the mean power. They return the *gain* that this took as well: symbols that were
neither clipped nor rounded are the given ones times the gain, so a receiver that is told divides by
it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import Order, decided, modulated


def peak_to_average_db(symbols: NDArray[np.complex64]) -> float:
    """Return the largest over the mean power of symbols (n,), in dB; 0 or more."""
    power = _power(symbols)
    return float(10 * np.log10(power.max() / power.mean()))


def clipped(symbols: NDArray[np.complex64], max_db: float) -> tuple[NDArray[np.complex64], float]:
    """Limit the amplitude of symbols, so that their peak-to-average power is `max_db` afterwards.

    Phases stay. Since clipping lowers the mean power, the limit is found for what remains.

    Parameters
    ----------
    symbols : (n,) complex64
    max_db : float
        Peak-to-average power in dB, above 0. Symbols that are below it already are returned as
        they are.

    Returns
    -------
    (n,) complex64, float
        The symbols, of the same mean power, and the gain of those that were not clipped.

    Raises
    ------
    RadioError
        No symbol has power, or so many are 0 that the others are above `max_db` even if equal.
    """
    power = _power(symbols)
    top = power_limit(power, max_db)
    if top >= power.max():
        return np.array(symbols, np.complex64), 1.0
    scale = np.sqrt(np.minimum(1, top / np.maximum(power, top)))
    gain = float(np.sqrt(power.mean() / np.minimum(power, top).mean()))
    return (symbols * (gain * scale)).astype(np.complex64), gain


def power_limit(power: NDArray[np.float64], max_db: float) -> float:
    """Return the power to which symbols are clipped, given the power (n,) of each.

    Raises
    ------
    RadioError
        See `clipped`.
    """
    ratio = 10 ** (max_db / 10)
    if power.max() <= ratio * power.mean():
        return float(power.max())
    # With the m largest at the limit A^2 and the rest below: A^2 n = ratio (rest + m A^2).
    falling = np.sort(power)[::-1]
    rest = np.append(falling[::-1].cumsum()[::-1], 0)[1:]
    largest = np.arange(1, power.size + 1)
    room = power.size - ratio * largest
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(room > 0, ratio * rest / room, np.inf)
    possible = (limit <= falling) & (limit >= np.append(falling[1:], 0)) & (limit > 0)
    if not possible.any():
        raise RadioError(
            f"symbols of which {np.count_nonzero(power)} of {power.size} are not 0 "
            f"cannot have a peak-to-average power of {max_db:g} dB"
        )
    return float(limit[np.argmax(possible)])


def rounded_to_qam(
    symbols: NDArray[np.complex64], order: Order = 256
) -> tuple[NDArray[np.complex64], float]:
    """Round symbols to the points of a scaled QAM constellation.

    The scale is that of the least squared error, which trades clipping against steps.

    Parameters
    ----------
    symbols : (n,) complex64
    order : {4, 16, 64, 256}

    Returns
    -------
    (n,) complex64, float
        The points, of the same mean power, and the gain.

    Raises
    ------
    RadioError
        No symbol has power.
    """
    mean = _power(symbols).mean()
    best, least = np.zeros(0), np.inf
    for scale in np.sqrt(mean) * np.geomspace(0.5, 4, 61):
        points = scale * modulated(decided(symbols / scale, order), order)
        error = np.sum(np.abs(points - symbols) ** 2)
        if error < least:
            best, least = points, error
    gain = float(np.sqrt(mean / np.mean(np.abs(best) ** 2)))
    return (gain * best).astype(np.complex64), gain


def _power(symbols: NDArray[np.complex64]) -> NDArray[np.float64]:
    power: NDArray[np.float64] = np.abs(np.asarray(symbols, np.complex128)) ** 2
    if power.ndim != 1 or not power.any() or not np.isfinite(power).all():
        raise RadioError("symbols whose power is asked for are a line of finite numbers, not all 0")
    return power
