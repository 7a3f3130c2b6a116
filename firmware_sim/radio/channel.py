"""The one definition of the radio channel: Es/N0 per complex symbol, AWGN and Rayleigh fading.

A transmitter sends complex symbols ``z`` of mean power 1 per window, and the receiver gets
``h z + n`` with ``n ~ CN(0, N0)`` and ``N0 = 10^(-SNR/10)``, so the noise of each real part has the
variance ``N0/2``. Fading is complex, ``h ~ CN(0, 1)``, and known to the receiver alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError

ChannelKind = Literal["awgn", "rayleigh", "rayleigh-block"]
"""No fading; one fade per symbol, as after a long interleaver; one fade per window."""

CHANNEL_KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)

MIN_SNR_DB = -10.0
MAX_SNR_DB = 40.0

_MIN_GAIN = 1e-6
"""Smallest ``|h|``: a deeper fade, one in 10^12, is as good as none and would divide by zero."""


@dataclass(frozen=True)
class Received:
    """What a receiver has of one window.

    Attributes
    ----------
    symbols : (n,) complex64
        ``h z + n``.
    gain : (n,) complex64
        ``h`` of every symbol.
    noise_variance : float
        ``N0``, above 0.

    Raises
    ------
    RadioError
        A value is not finite, a shape differs, or the variance is not above 0.
    """

    symbols: NDArray[np.complex64]
    gain: NDArray[np.complex64]
    noise_variance: float

    def __post_init__(self) -> None:
        symbols = checked_symbols(self.symbols, "received symbols")
        gain = checked_symbols(self.gain, "gains of received symbols")
        if gain.shape != symbols.shape:
            raise RadioError(f"{symbols.size} received symbols need as many gains, not {gain.size}")
        if not 0 < self.noise_variance < np.inf:
            raise RadioError(
                f"the noise variance of a channel must be above 0, not {self.noise_variance}"
            )
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "gain", gain)

    def equalised(self) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Undo the fading.

        Returns
        -------
        symbols : (n,) complex64
            ``z h* / |h|^2``: what was sent, and noise.
        noise_variance : (n,) float32
            ``N0 / |h|^2`` of every complex symbol, half of it per real part.
        """
        power = np.maximum(np.abs(self.gain), np.float32(_MIN_GAIN)) ** 2
        symbols = self.symbols * self.gain.conj() / power
        return symbols.astype(np.complex64), (self.noise_variance / power).astype(np.float32)


@dataclass(frozen=True)
class Channel:
    """A radio channel.

    Parameters
    ----------
    kind : {"awgn", "rayleigh", "rayleigh-block"}
        Its fading.
    snr_db : float
        Es/N0 per complex symbol, in dB, -10 to 40: with fading, the average over all fades.

    Raises
    ------
    RadioError
        There is no such channel, or the SNR is no number of the range.
    """

    kind: ChannelKind
    snr_db: float

    def __post_init__(self) -> None:
        if self.kind not in CHANNEL_KINDS:
            raise RadioError(f"a channel is {', '.join(CHANNEL_KINDS)}, not {self.kind!r}")
        snr_db = self.snr_db
        number = isinstance(snr_db, int | float | np.integer | np.floating)
        if isinstance(snr_db, bool) or not number:
            raise RadioError(f"the SNR of a channel is a number of decibels, not {snr_db!r}")
        if not MIN_SNR_DB <= snr_db <= MAX_SNR_DB:
            raise RadioError(
                f"the SNR of a channel is {MIN_SNR_DB:g} to {MAX_SNR_DB:g} dB, not {snr_db}"
            )
        object.__setattr__(self, "snr_db", float(snr_db))

    @property
    def noise_variance(self) -> float:
        """``N0`` of a complex symbol: 10^(-SNR/10)."""
        return float(10 ** (-self.snr_db / 10))

    def send(self, symbols: NDArray[np.complex64], rng: np.random.Generator) -> Received:
        """Send one window.

        Parameters
        ----------
        symbols : (n,) complex64
            Of mean power 1; sent as they are, so their power is the sender's business.
        rng : numpy.random.Generator
            Draws the fades, then the noise: the same seed gives the same fades and noise.

        Raises
        ------
        RadioError
            The symbols are not a line of finite complex numbers.
        """
        sent = checked_symbols(symbols, "symbols to send")
        if self.kind == "rayleigh":
            gain = _complex_gaussian(rng, sent.size, 1.0)
        elif self.kind == "rayleigh-block":
            gain = np.repeat(_complex_gaussian(rng, 1, 1.0), sent.size)
        else:
            gain = np.ones(sent.size, np.complex64)
        noise = _complex_gaussian(rng, sent.size, self.noise_variance)
        return Received(gain * sent + noise, gain, self.noise_variance)


def checked_symbols(symbols: NDArray[np.complex64], name: str) -> NDArray[np.complex64]:
    """Return complex symbols as (n,) complex64, or raise `RadioError` naming them `name`."""
    array = np.asarray(symbols)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.complexfloating):
        raise RadioError(
            f"{name} are a one-dimensional array of complex numbers, "
            f"not {array.dtype} of shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        single = array.astype(np.complex64, copy=False)
    finite = np.isfinite(single)
    if not finite.all():
        where = int(np.argmin(finite))
        raise RadioError(f"{name} are finite, but number {where} is {array[where]}")
    return single


def _complex_gaussian(
    rng: np.random.Generator, count: int, variance: float
) -> NDArray[np.complex64]:
    """Draw (count,) from CN(0, `variance`): half of the variance in each real part."""
    parts = rng.standard_normal((count, 2), np.float32)
    parts *= np.float32(np.sqrt(variance / 2))
    return parts.view(np.complex64)[:, 0]
