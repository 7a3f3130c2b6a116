"""The interface of all methods that send sensor data over a radio channel, and their names.

A method is both ends of the air: it takes the measurements of a window, sends them over a channel,
and returns what the receiver has, with the complex symbols that this took. What both ends know
before anything is sent, the map and the reconstruction, is the `Sensing`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.host.reconstruction.reconstruct import Float32, Reconstructor

SENSING_BUNDLE = "edge-learned-2.5of16"
"""Bundle whose map and network all methods share unless others are asked for."""

DEFAULT_SYMBOLS_PER_PIXEL = 0.2
"""Complex symbols per pixel of a window where no number is asked for: 13,107 at 256x256."""

LOST_GREY = np.float32(0.5)
"""Brightness of every pixel of a window that was lost."""


class SymbolBudgetError(RadioError):
    """A method cannot send a window with so few, or so many, symbols.

    Attributes
    ----------
    least, most : int
        What it can send it with.
    """

    def __init__(self, method: str, symbols: int, least: int, most: int) -> None:
        self.least, self.most = least, most
        super().__init__(
            f"{method} cannot send this window with {symbols:,} symbols: the least is {least:,}, "
            f"the most {most:,}"
        )


@dataclass(frozen=True, eq=False)
class Delivery:
    """One window as the receiver has it.

    A method sends measurements or video; the other is None, and both are where the window is lost.

    Attributes
    ----------
    reads : ndarray of float32, shape (8, H, W), or None
        Measurements in signal units.
    video : ndarray of float32, shape (T, H, W), or None
        1.0 is white; not clipped.
    symbols : SymbolCount
        Complex symbols that were sent, lost or not.
    bits : int or None
        Information bits that were sent; None for analog methods.
    block_errors : int
        Transport blocks that failed their check, or 1 for a header or rate map that did.
    rate_map : ndarray of uint8, shape (h, w), or None
        Index into the rate table of each location, where the method has rates.
    """

    reads: Float32 | None
    video: Float32 | None
    symbols: SymbolCount
    bits: int | None
    block_errors: int
    rate_map: NDArray[np.uint8] | None = None

    @property
    def lost(self) -> bool:
        """Whether the receiver has nothing of the window."""
        return self.reads is None and self.video is None


@dataclass(frozen=True, eq=False)
class Sensing:
    """What both ends of the air know: the map of the windows and the network that rebuilds them.

    Attributes
    ----------
    ratio_map : RatioMap
        Map of the windows, of their size (H, W).
    reconstruct : Reconstructor
        Turns measurements under that map into video.
    """

    ratio_map: RatioMap
    reconstruct: Reconstructor

    def video(self, delivery: Delivery) -> Float32:
        """Return the video (T, H, W) that the receiver shows: mid-grey where the window is lost."""
        if delivery.video is not None:
            return delivery.video
        if delivery.reads is not None:
            return self.reconstruct(delivery.reads, self.ratio_map)
        return lost_video(self.ratio_map)


def lost_video(ratio_map: RatioMap) -> Float32:
    """Return what is shown of a window that was lost: mid-grey (T, H, W)."""
    return np.full((ratio_map.slots, *ratio_map.shape), LOST_GREY, np.float32)


class Method(Protocol):
    """Both ends of the air for windows of one size."""

    name: str

    def send(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Delivery:
        """Send one window.

        Parameters
        ----------
        reads : ndarray of float32, shape (8, H, W)
            Its measurements, in signal units.
        channel : Channel
            What the symbols pass through; both ends know its kind and mean SNR.
        rng : numpy.random.Generator
            Source of the channel's noise and fading.
        symbols : int, optional
            Complex symbols to spend on it, met within 2 % and never exceeded by more; if left
            out, `default_symbols` or the nearest that is possible.

        Raises
        ------
        SymbolBudgetError
            The method has no way to send it with so few, or so many, symbols.
        """
        ...


class StreamMethod(Method, Protocol):
    """A method whose two ends can work on two windows at the same time."""

    def depart(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Callable[[], Delivery]:
        """Do what transmitter and channel do in `send`; what is returned does the receiver's part.

        Takes and raises what `send` does. The returned function may be called by another thread,
        while the next window departs.
        """
        ...


def default_symbols(height: int, width: int) -> int:
    """Return the symbols that a window of this size is sent with where none are asked for."""
    return round(DEFAULT_SYMBOLS_PER_PIXEL * height * width)


METHODS: dict[str, tuple[str, str]] = {
    "semcom": ("learned, analog, with a rate for each location", "semcom:semcom"),
    "semcom-noran": ("the same with one rate for all locations", "semcom:semcom_noran"),
    "compr-cap": ("learned compression over a code at capacity", "compressed:compr_cap"),
    "compr-ldpc": ("learned compression over LDPC codes of 5G", "compressed:compr_ldpc"),
    "jscc": ("a learned code of one rate, trained for that rate", "semcom:jscc"),
    "h264-ldpc": ("H.264 of the rebuilt video over LDPC codes of 5G", "h264:h264_ldpc"),
    "linear": ("a linear analog code, not trained by video", "linear:linear"),
}
"""What each method is, and where in this package the function is that makes it.

Each takes ``(sensing: Sensing, model: str | Path | None)``, `model` being the name or path of a
radio bundle instead of the method's own, and returns a `Method`. Those that are `ANALOG` take
``max_papr_db`` too.
"""

ANALOG = ("semcom", "semcom-noran", "jscc", "linear")
"""Methods whose symbols are amplitudes. The points that the others send have peaks of 2.6 dB."""

RATED = ("semcom", "semcom-noran", "jscc")
"""Methods that send locations at rates of their own."""


def load_method(
    name: str,
    sensing: Sensing,
    model: str | Path | None = None,
    *,
    max_papr_db: float | None = None,
) -> Method:
    """Load a method by name; its packages and networks are imported and read only now.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    sensing : Sensing
        Map and reconstruction of the windows.
    model : str or Path, optional
        Name or path of a radio bundle, by default the method's own.
    max_papr_db : float, optional
        Peak-to-average power to which one of `ANALOG` clips its symbols, dB.

    Raises
    ------
    RadioError
        The name is unknown, its packages are not installed, or its networks are for another map.
    """
    if name not in METHODS:
        raise RadioError(f"there is no method {name!r}: choose {', '.join(METHODS)}")
    module, _, function = METHODS[name][1].partition(":")
    make = getattr(import_module(f"{__package__}.{module}"), function)
    options = {"max_papr_db": max_papr_db} if name in ANALOG else {}
    method: Method = make(sensing, model, **options)
    return method
