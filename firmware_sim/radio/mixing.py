"""Mixing: every symbol of a payload is spread over all of them, and none is a peak any more.

A few values of a window hold much of its power, and an amplifier that limits peaks would cut them
off. So the payload is multiplied by fixed phases and Fourier-transformed, which is unitary: power
and noise stay what they are, and the receiver undoes it. What goes into one symbol of the air is a
sum of all values, and looks like noise. A fade of one symbol then costs all values a little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B1)
"""2^32 over the golden ratio: successive squares times it are spread evenly over the circle."""


def mixed(symbols: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """Return ``y_m = n^(-1/2) sum_k x_k e^(j p_k - 2 pi j k m / n)`` for symbols x (n,).

    The phases are ``p_k = 2 pi (A k^2 mod 2^32) / 2^32`` with A = 0x9E3779B1. Without them, the
    transform of values that are alike would be a peak itself.
    """
    spread: NDArray[np.complex128] = np.fft.fft(_phases(symbols.size) * symbols, norm="ortho")
    return spread


def unmixed(symbols: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """Undo `mixed`."""
    gathered: NDArray[np.complex128] = np.fft.ifft(symbols, norm="ortho")
    return gathered * _phases(symbols.size).conj()


def unmixed_from_noise(
    symbols: NDArray[np.complex64], noise_variance: NDArray[np.float32], power: float
) -> tuple[NDArray[np.complex128], float]:
    """Undo `mixed` for symbols whose noise differs, so that those with much of it count little.

    Parameters
    ----------
    symbols : (n,) complex64
        Equalised symbols.
    noise_variance : (n,) float32
        Of each complex symbol.
    power : float
        Mean power of the symbols without noise.

    Returns
    -------
    (n,) complex128, float
        What was mixed, without bias, and the variance of its noise, which is the same for all.
    """
    # Wiener's rule before the transform. Of each symbol the share `trust` is kept; the mean share
    # is what the transform back leaves of every value, and what is missing of it becomes noise.
    trust = power / (power + noise_variance.astype(np.float64))
    kept = trust.mean()
    return unmixed(trust * symbols) / kept, float(power * (1 - kept) / kept)


def _phases(count: int) -> NDArray[np.complex128]:
    """Return ``e^(j p_k)`` (count,)."""
    k = np.arange(count, dtype=np.uint64)
    turns = (k * k * _STEP & np.uint64(0xFFFFFFFF)) / 2.0**32
    phases: NDArray[np.complex128] = np.exp(2j * np.pi * turns)
    return phases
