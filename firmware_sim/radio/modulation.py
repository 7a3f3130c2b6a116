"""Gray-coded square QAM of mean power 1, and the exact log-likelihood ratios of its bits.

The mapping is that of 5G (3GPP TS 38.211, section 5.1): the bits of a symbol go to its real and
imaginary parts in turn, and each part is Gray-coded amplitude modulation on its own.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError

Order = Literal[4, 16, 64, 256]
"""Points of a constellation."""

ORDERS: tuple[Order, ...] = get_args(Order)


def bits_per_symbol(order: Order) -> int:
    """Return log2 of the order, or raise `RadioError` for an order that is not of `ORDERS`."""
    if order not in ORDERS:
        raise RadioError(f"a QAM order is one of {ORDERS}, not {order!r}")
    return order.bit_length() - 1


def modulated(bits: NDArray[np.uint8], order: Order) -> NDArray[np.complex64]:
    """Map bits to symbols.

    Parameters
    ----------
    bits : (n * log2(order),) uint8
        0 or 1.
    order : {4, 16, 64, 256}

    Returns
    -------
    (n,) complex64
        Mean power 1 over equally likely bits.

    Raises
    ------
    RadioError
        The order is unknown, or the bits do not fill whole symbols.
    """
    per_symbol = bits_per_symbol(order)
    bits = np.asarray(bits)
    if bits.ndim != 1 or bits.size % per_symbol or not np.isin(bits, (0, 1)).all():
        raise RadioError(
            f"{order}-QAM takes a line of bits whose number is a multiple of {per_symbol}, "
            f"not {bits.size} values of shape {bits.shape}"
        )
    # (n, bits of a part, part): the index of an amplitude has the part's first bit on top.
    by_part = bits.reshape(-1, per_symbol // 2, 2).astype(np.intp)
    index = np.zeros((len(by_part), 2), np.intp)
    for bit in range(per_symbol // 2):
        index = 2 * index + by_part[:, bit]
    return _amplitudes(order)[index].view(np.complex64)[:, 0]


def llrs(
    symbols: NDArray[np.complex64],
    noise_variance: float | NDArray[np.float32],
    order: Order,
) -> NDArray[np.float32]:
    """Return ``ln P(bit = 0 | symbol) / P(bit = 1 | symbol)`` of every bit, exactly.

    Parameters
    ----------
    symbols : (n,) complex64
        Equalised: a point of the constellation, and noise.
    noise_variance : float or (n,) float32
        Of the complex symbol, above 0.
    order : {4, 16, 64, 256}

    Returns
    -------
    (n * log2(order),) float32
        In the order of `modulated`; the sums over the constellation are not approximated.
    """
    half = bits_per_symbol(order) // 2
    parts = np.ascontiguousarray(symbols, np.complex64).view(np.float32).reshape(-1, 2)
    variance = np.broadcast_to(np.asarray(noise_variance, np.float64), symbols.shape)
    amplitudes = _amplitudes(order).astype(np.float64)
    # (n, part, amplitude): a real part has half of the variance, so the two cancels.
    metric = -((parts[..., None] - amplitudes) ** 2) / variance[:, None, None]
    ratios = np.empty((len(parts), half, 2), np.float32)
    for bit in range(half):
        # The amplitudes by the value of this bit, whose place in their index is known.
        split = metric.reshape(len(parts), 2, 1 << bit, 2, len(amplitudes) >> (bit + 1))
        largest = split.max(axis=(2, 4), keepdims=True)
        logs = largest[:, :, 0, :, 0] + np.log(np.exp(split - largest).sum(axis=(2, 4)))
        ratios[:, bit] = logs[..., 0] - logs[..., 1]
    return ratios.reshape(-1)


def decided(symbols: NDArray[np.complex64], order: Order) -> NDArray[np.uint8]:
    """Return the bits of the nearest point of the constellation, (n * log2(order),) uint8."""
    parts = np.ascontiguousarray(symbols, np.complex64).view(np.float32).reshape(-1, 2)
    amplitudes = _amplitudes(order)
    by_size = np.argsort(amplitudes)
    step = amplitudes[by_size[1]] - amplitudes[by_size[0]]
    place = np.rint((parts - amplitudes[by_size[0]]) / step)
    index = by_size[np.clip(place, 0, len(amplitudes) - 1).astype(np.intp)]
    shifts = np.arange(bits_per_symbol(order) // 2)[::-1]
    bits: NDArray[np.uint8] = ((index[:, None, :] >> shifts[:, None]) & 1).astype(np.uint8)
    return bits.reshape(-1)


@cache
def _amplitudes(order: Order) -> NDArray[np.float32]:
    """Amplitudes of a real part by the number that its bits form, first bit on top."""
    half = bits_per_symbol(order) // 2
    numbers = np.arange(1 << half)
    amplitude = np.ones(1 << half)
    # TS 38.211: (1 - 2 a0) (4 - (1 - 2 a1) (2 - (1 - 2 a2) 1)), from the inside out.
    for place in range(half):
        sign = 1 - 2 * ((numbers >> place) & 1)
        amplitude = sign * (amplitude if place == 0 else (1 << place) - amplitude)
    scale = np.sqrt(2 * (order - 1) / 3)
    scaled: NDArray[np.float32] = (amplitude / scale).astype(np.float32)
    scaled.flags.writeable = False
    return scaled
