"""Video over H.264: rebuilt at the sender, coded by x264, and sent as transport blocks.

The conventional system of the method's paper. Its sender runs the whole reconstruction, and then
a video encoder at its best settings; the window is one group of pictures that stands alone. The
stream holds what a decoder needs and nothing else: the supplemental information (SEI) that x264
writes about itself, 700 bytes, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.ldpc import CodedLink, LdpcLink, symbols_of
from focalloop.host.radio.methods import Delivery, Sensing, SymbolBudgetError, default_symbols
from focalloop.host.reconstruction.reconstruct import Float32

if TYPE_CHECKING:
    import av

MIN_CRF = 1.0
MAX_CRF = 51.0
"""Range of the constant rate factor: lower is better, and larger; 0 would be lossless."""

SETTINGS = {
    "preset": "placebo",
    "tune": "psnr",  # no psychovisual means, which cost error
    "profile": "high",
    "threads": "1",  # the same bytes on every machine
    "x264-params": "keyint=infinite:scenecut=0:ref=16:bframes=15:b-adapt=2:aud=0:annexb=1",
}
"""Settings of x264; chosen on validation windows (`python -m benchmarks.radio h264`)."""

_CLIP_RATE = 25  # x264 weighs bits by the duration of a frame: that of usual video
_START_CODE = b"\x00\x00\x01"
_SEI, _DELIMITER = 6, 9  # types of NAL units that a decoder needs not have


_CRF_STEP = 0.05
"""Finest change of the rate factor that is tried for a budget: half a per cent of the size."""

_CLOSE_ENOUGH = 0.99
"""Share of a budget that need not be improved upon."""


class H264Method:
    """Both ends of the air.

    Parameters
    ----------
    sensing : Sensing
        The reconstruction, which runs at the sender.
    link : CodedLink
        What the stream is sent over.
    crf : float or None, optional
        Constant rate factor of every window; by default each gets the best that its symbols allow.
    """

    name = "h264-ldpc"

    def __init__(self, sensing: Sensing, link: CodedLink, crf: float | None = None) -> None:
        self.sensing, self.link, self.crf = sensing, link, crf

    def send(
        self,
        reads: Float32,
        channel: Channel,
        rng: np.random.Generator,
        symbols: int | None = None,
    ) -> Delivery:
        """Send one window; as `Method.send`."""
        arrived = self.link.send(self.stream(reads, channel, symbols), channel, rng)
        shown = None if arrived.data is None else decoded(arrived.data)
        return Delivery(None, shown, arrived.symbols, arrived.bits, arrived.block_errors)

    def stream(self, reads: Float32, channel: Channel, symbols: int | None = None) -> bytes:
        """Return what is sent of one window: it is rebuilt, and encoded."""
        video = self.sensing.reconstruct(reads, self.sensing.ratio_map)
        if symbols is None and self.crf is not None:
            return encoded(video, self.crf)
        return self._fitted(video, channel, symbols)

    def _fitted(self, video: Float32, channel: Channel, asked: int | None) -> bytes:
        """Return the best stream within the symbols that are asked for; as `Method.send`."""
        symbols = default_symbols(*video.shape[1:]) if asked is None else asked

        def cost(stream: bytes) -> int:
            return symbols_of(len(stream), self.link.scheme, channel).total

        chosen, low, high = encoded(video, MAX_CRF), MIN_CRF, MAX_CRF
        least = cost(chosen)
        while high - low > _CRF_STEP and cost(chosen) < _CLOSE_ENOUGH * symbols:
            middle = (low + high) / 2
            stream = encoded(video, middle)
            if cost(stream) > symbols:
                low = middle
            else:
                chosen, high = stream, middle
        too_many = low == MIN_CRF and cost(chosen) < _CLOSE_ENOUGH * symbols
        if asked is not None and (least > symbols or too_many):
            most = cost(encoded(video, MIN_CRF))
            raise SymbolBudgetError(self.name, symbols, least, most)
        return chosen


def h264_ldpc(sensing: Sensing, model: str | Path | None = None) -> H264Method:
    """Return the method as published: 16-QAM at code rate 2/3.

    Raises
    ------
    RadioError
        A model was named, of which H.264 has none, or Sionna is not installed.
    """
    if model is not None:
        raise RadioError(f"h264-ldpc has no model to choose: leave out {str(model)!r}")
    return H264Method(sensing, LdpcLink())


def encoded(video: Float32, crf: float) -> bytes:
    """Encode a window at constant quality.

    Parameters
    ----------
    video : ndarray of float32, shape (T, H, W)
        1.0 is white; clipped to [0, 1], and rounded to 8 bits.
    crf : float
        Constant rate factor, `MIN_CRF` to `MAX_CRF`.

    Returns
    -------
    bytes
        An H.264 byte stream (ITU-T H.264, Annex B), monochrome, with its parameter sets.

    Raises
    ------
    RadioError
        x264 does not take frames of that size, or is not there.
    """
    import av

    frames = np.rint(255 * np.clip(video, 0, 1)).astype(np.uint8)
    try:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.height, encoder.width = frames.shape[1:]
        encoder.pix_fmt = "gray"
        encoder.time_base = Fraction(1, _CLIP_RATE)
        encoder.options = SETTINGS | {"crf": f"{crf:g}"}
        packets = []
        for number, plane in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
            frame.pts = number
            packets += encoder.encode(frame)
        packets += encoder.encode(None)
    except (av.error.FFmpegError, ValueError) as error:
        height, width = frames.shape[1:]
        raise RadioError(f"{height}x{width} video cannot be coded in H.264 ({error})") from None
    stream = b"".join(bytes(packet) for packet in packets)
    return b"".join(
        _START_CODE + unit for unit in _units(stream) if unit[0] & 31 not in (_SEI, _DELIMITER)
    )


def decoded(stream: bytes) -> Float32:
    """Decode what `encoded` returned to float32 (T, H, W), 1.0 is white.

    Raises
    ------
    RadioError
        It is not a whole H.264 stream.
    """
    import av

    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    try:
        frames = [f for packet in decoder.parse(stream) for f in decoder.decode(packet)]
        frames += [f for packet in decoder.parse(b"") for f in decoder.decode(packet)]
        frames += decoder.decode(None)
    except av.error.FFmpegError as error:
        raise RadioError(f"the H.264 stream of a window cannot be decoded ({error})") from None
    if not frames:
        raise RadioError("the H.264 stream of a window holds no frame")
    planes: NDArray[np.uint8] = np.stack([_luma(frame) for frame in frames])
    return planes.astype(np.float32) / np.float32(255)


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    # Not `to_ndarray(format="gray")`, which stretches what it takes for limited range.
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _units(stream: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a byte stream, without start codes and the zeros before them."""
    for unit in stream.split(_START_CODE)[1:]:
        yield unit.rstrip(b"\x00")
