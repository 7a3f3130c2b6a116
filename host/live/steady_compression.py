"""Compression for a stream: the quality follows the budget from window to window.

A window alone tries seven qualities for its symbols. Windows of a stream resemble each other, so
each begins with the quality of the one before, and mostly keeps it.
"""

from __future__ import annotations

from focalloop.firmware_sim.radio.bitstream import CodedWindow
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.host.radio.codec import Codec
from focalloop.host.radio.compressed import Compressed
from focalloop.host.radio.ldpc import MeasuredLink, symbols_of
from focalloop.host.radio.methods import Sensing
from focalloop.host.reconstruction.reconstruct import Float32

_ENOUGH = 0.95
"""Share of a budget below which the next window gets a higher quality."""


class SteadyCompression(Compressed):
    """Learned compression over LDPC codes that fail as often as they were measured to.

    So neither torch nor Sionna is loaded, and no window waits for a decoder of blocks.

    Parameters
    ----------
    sensing : Sensing
        Map of the windows.
    codec : Codec
        Turns reads into bits, and back.

    Raises
    ------
    RadioError
        The codec is for another map.
    """

    def __init__(self, sensing: Sensing, codec: Codec) -> None:
        self._measured = MeasuredLink()
        super().__init__("compr-ldpc", sensing, codec, self._measured)
        self._asked: int | None = None
        self._quality = 0

    def compress(self, reads: Float32, channel: Channel, symbols: int | None = None) -> CodedWindow:
        """Return what is sent of one window; the quality is found anew for another budget.

        More symbols than the highest quality takes are no error: the next scene may need them.
        """
        if symbols is None:
            return super().compress(reads, channel)
        if symbols != self._asked:
            window = self.within(reads, channel, symbols)
            self._asked, self._quality = symbols, window.quality
            return window
        window = self.codec.encode(reads, self._quality)
        while self._spent(window, channel) > symbols:
            if window.quality == 0:
                return self.within(reads, channel, symbols)  # says what the least is
            window = self.codec.encode(reads, window.quality - 1)
        within = self._spent(window, channel) < _ENOUGH * symbols
        self._quality = min(window.quality + within, self.codec.qualities - 1)
        return window

    def _spent(self, window: CodedWindow, channel: Channel) -> int:
        return symbols_of(len(window.data), self._measured.scheme, channel).total
