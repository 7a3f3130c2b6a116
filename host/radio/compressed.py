"""Learned compression of the reads, and a code for its bits: at capacity, or 5G LDPC codes.

The window is one bitstream of `focalloop.host.radio.codec`, sent without the file format around it:
what that says of the window goes into the protected header of the link.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from focalloop.firmware_sim.radio.bitstream import CodedWindow
from focalloop.firmware_sim.radio.budget import capacity_symbols
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.host.radio.codec import Codec
from focalloop.host.radio.ldpc import Bitstream, CodedLink, LdpcLink, symbols_of
from focalloop.host.radio.methods import Delivery, Sensing, SymbolBudgetError, default_symbols
from focalloop.host.reconstruction.reconstruct import Float32

RAW_BITS = 16
"""Bits of an uncompressed read; no window takes more symbols than all its reads as these."""

_LABEL = struct.Struct("<4s4sBHH")
"""Beginnings of the hashes of map and codec, quality, height and width."""


class Compressed:
    """Both ends of the air.

    Parameters
    ----------
    name : str
        Name of the method.
    sensing : Sensing
        Map of the windows.
    codec : Codec
        Turns reads into bits, and back.
    link : CodedLink or None
        What the bits are sent over; None charges them by capacity, and loses none.
    quality : int or None, optional
        Quality of every window; by default each gets the best that its symbols allow.

    Raises
    ------
    RadioError
        The codec is for another map.
    """

    def __init__(
        self,
        name: str,
        sensing: Sensing,
        codec: Codec,
        link: CodedLink | None,
        quality: int | None = None,
    ) -> None:
        self.name, self.codec, self.link, self.quality = name, codec, link, quality
        source = codec.source(sensing.ratio_map)
        self._hashes = source.map_hash, source.model_hash
        self._reads_per_pixel = float(sensing.ratio_map.levels.mean())

    def send(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Delivery:
        """Send one window; as `Method.send`."""
        return self.depart(reads, channel, rng, symbols)()

    def depart(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Callable[[], Delivery]:
        """Send one window up to the receiver; as `StreamMethod.depart`."""
        window = self.compress(reads, channel, symbols)
        shape = window.height, window.width
        label = _LABEL.pack(*self._hashes, window.quality, *shape)
        if self.link is None:
            count = self._cost(window.bits, channel)
            arrived = Bitstream(window.data, label, window.bits, count, 0)
        else:
            arrived = self.link.send(window.data, channel, rng, label)
        return partial(self._arrive, arrived)

    def _arrive(self, arrived: Bitstream) -> Delivery:
        received = None
        if arrived.data is not None and arrived.label is not None:
            received = self.codec.decode(self._window(arrived.data, arrived.label))
        return Delivery(received, None, arrived.symbols, arrived.bits, arrived.block_errors)

    def compress(self, reads: Float32, channel: Channel, symbols: int | None = None) -> CodedWindow:
        """Return what is sent of one window, which may need fewer symbols for its best quality.

        Raises
        ------
        SymbolBudgetError
            The symbols do not suffice for the lowest quality, or are more than it takes to send the
            reads uncompressed.
        """
        if symbols is None:
            if self.quality is not None:
                return self.codec.encode(reads, self.quality)
            try:
                return self.within(reads, channel, default_symbols(*reads.shape[1:]))
            except SymbolBudgetError:
                return self.codec.encode(reads, 0)
        if symbols > self._most(reads, channel):
            raise self._impossible(reads, channel, symbols)
        return self.within(reads, channel, symbols)

    def within(self, reads: Float32, channel: Channel, symbols: int) -> CodedWindow:
        """Return a window at the highest quality that takes no more than so many symbols.

        Raises
        ------
        SymbolBudgetError
            They do not suffice for the lowest quality.
        """
        best = self.codec.encode(reads, 0)
        if self._total(best, channel) > symbols:
            raise self._impossible(reads, channel, symbols)
        low, high = 1, self.codec.qualities
        while low < high:
            middle = (low + high) // 2
            window = self.codec.encode(reads, middle)
            if self._total(window, channel) <= symbols:
                best, low = window, middle + 1
            else:
                high = middle
        return best

    def _impossible(self, reads: Float32, channel: Channel, symbols: int) -> SymbolBudgetError:
        least = self._total(self.codec.encode(reads, 0), channel)
        return SymbolBudgetError(self.name, symbols, least, self._most(reads, channel))

    def _most(self, reads: Float32, channel: Channel) -> int:
        bits = round(self._reads_per_pixel * reads[0].size * RAW_BITS)
        return self._cost(bits, channel).total

    def _total(self, window: CodedWindow, channel: Channel) -> int:
        return self._cost(window.bits, channel).total

    def _cost(self, bits: int, channel: Channel) -> SymbolCount:
        if self.link is not None:
            return symbols_of(-(-bits // 8), self.link.scheme, channel)
        header = capacity_symbols(8 * HEADER_BYTES, channel)
        return SymbolCount(capacity_symbols(bits, channel), 0, header)

    def _window(self, data: bytes, label: bytes) -> CodedWindow:
        *hashes, quality, height, width = _LABEL.unpack_from(label)
        if tuple(hashes) != self._hashes:
            raise RadioError(
                "a compressed window arrived that was made under another ratio map or by another "
                "codec: use the same at both ends"
            )
        return CodedWindow(height, width, quality, data)


def compr_cap(sensing: Sensing, model: str | Path | None = None) -> Compressed:
    """Make the method of this name; see `focalloop.host.radio.methods.METHODS`."""
    return Compressed("compr-cap", sensing, Codec.load(model), None)


def compr_ldpc(sensing: Sensing, model: str | Path | None = None) -> Compressed:
    """Make the method of this name: 16-QAM at code rate 2/3, as published."""
    return Compressed("compr-ldpc", sensing, Codec.load(model), LdpcLink())
