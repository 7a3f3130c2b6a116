"""Windows sent by a method over a channel, one after the other, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.host.radio.methods import Delivery, Method, Sensing
from focalloop.host.reconstruction.quality import mse, psnr_of_mse, ssim
from focalloop.host.reconstruction.reconstruct import Float32


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A window to send.

    Attributes
    ----------
    name : str
        Name of its clip, or of the window in its capture.
    reads : ndarray of float32, shape (8, H, W)
        Its measurements, in signal units.
    truth : ndarray of uint8, shape (T, H, W), or None
        The scene, where it is known.
    """

    name: str
    reads: Float32
    truth: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class SentWindow:
    """A window that was sent.

    Attributes
    ----------
    name : str
        As in `Outgoing`.
    delivery : Delivery
        What the receiver has of it, and what it took.
    video : ndarray of float32, shape (T, H, W)
        What the receiver shows, mid-grey if the window was lost.
    psnr, ssim : float or None
        Quality of the video against the scene, dB and in [-1, 1], where the scene is known.
    """

    name: str
    delivery: Delivery
    video: Float32
    psnr: float | None
    ssim: float | None

    @property
    def symbols(self) -> SymbolCount:
        """Complex symbols that were sent."""
        return self.delivery.symbols


def sent(
    windows: Iterable[Outgoing],
    method: Method,
    sensing: Sensing,
    channel: Channel,
    *,
    symbols: int | None = None,
    seed: int = 0,
) -> Iterator[SentWindow]:
    """Send windows one after the other.

    The noise and fading of window ``k`` depend on `seed` and ``k`` alone.

    Parameters
    ----------
    windows : iterable of Outgoing
        Windows of the size and map of `sensing`.
    method : Method
        Both ends of the air.
    sensing : Sensing
        Reconstructs what a method delivers.
    channel : Channel
        What the symbols pass through.
    symbols : int, optional
        Complex symbols per window; as for `Method.send`.
    seed : int, optional
        Seed of the channel.

    Yields
    ------
    SentWindow

    Raises
    ------
    SymbolBudgetError
        The method cannot send a window with so few, or so many, symbols.
    """
    for number, window in enumerate(windows):
        rng = np.random.default_rng([seed, number])
        delivery = method.send(window.reads, channel, rng, symbols)
        video = sensing.video(delivery)
        psnr = similarity = None
        if window.truth is not None:
            psnr = psnr_of_mse(mse(video, window.truth))
            similarity = ssim(video, window.truth)
        yield SentWindow(window.name, delivery, video, psnr, similarity)


@dataclass(frozen=True, eq=False)
class Report:
    """What ``focalloop radio send`` reports of the windows it sent, at least one.

    Attributes
    ----------
    method : str
        Name of the method.
    channel : Channel
        What the windows passed through.
    windows : tuple of SentWindow
        In the order in which they were sent.
    """

    method: str
    channel: Channel
    windows: tuple[SentWindow, ...]

    @property
    def psnr(self) -> float | None:
        """Mean of the windows' PSNRs, dB; None where a scene is not known."""
        return _mean([window.psnr for window in self.windows])

    @property
    def ssim(self) -> float | None:
        """Mean of the windows' SSIMs; None where a scene is not known."""
        return _mean([window.ssim for window in self.windows])

    @property
    def symbols(self) -> float:
        """Mean of the complex symbols per window."""
        return float(np.mean([window.symbols.total for window in self.windows]))

    @property
    def bits(self) -> float | None:
        """Mean of the information bits per window; None for analog methods."""
        return _mean([window.delivery.bits for window in self.windows])

    @property
    def block_errors(self) -> float:
        """Mean of the blocks per window that failed their check."""
        return float(np.mean([window.delivery.block_errors for window in self.windows]))

    @property
    def lost(self) -> int:
        """Windows of which the receiver has nothing."""
        return sum(window.delivery.lost for window in self.windows)

    def as_dict(self) -> dict[str, Any]:
        """Return the document of ``--json``: means, and each clip; an infinite PSNR is None."""
        return {
            "method": self.method,
            "channel": self.channel.kind,
            "snr": self.channel.snr_db,
            "psnr": _finite(self.psnr),
            "ssim": self.ssim,
            "symbols": self.symbols,
            "bits": self.bits,
            "block_errors": self.block_errors,
            "clips": [
                {
                    "name": window.name,
                    "psnr": _finite(window.psnr),
                    "ssim": window.ssim,
                    "symbols": window.symbols.total,
                    "parts": {
                        "payload": window.symbols.payload,
                        "rate_map": window.symbols.rate_map,
                        "header": window.symbols.header,
                    },
                    "bits": window.delivery.bits,
                    "block_errors": window.delivery.block_errors,
                }
                for window in self.windows
            ],
        }


def _mean(values: list[float | None] | list[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
