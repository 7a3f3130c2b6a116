"""Video files as gray frames: upright, with square pixels, evenly spaced in time, undamaged.

FFmpeg decodes them, without frame threads: with those it drops what it could not decode and says
nothing, while slices, or none, give the same frames and the same errors on every machine.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.files import media_name
from focalloop.firmware_sim.scenes.frame_times import even_interval, evenly, sampling_note
from focalloop.firmware_sim.scenes.grayscale import covering, cropped, to_gray, weighed
from focalloop.firmware_sim.scenes.messages import one_line
from focalloop.firmware_sim.scenes.value_range import Stored, WhiteScale
from focalloop.firmware_sim.scenes.whole_file import is_cut_short

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData

_BICUBIC, _AREA, _FULL_CHROMA, _ACCURATE_ROUNDING = 4, 32, 0x2000, 0x40000
"""Flags of libswscale by value: PyAV accepts them since 14, and has names for them since 18."""

_NO_VIDEOS = frozenset(
    {"tty", "image2", "bin", "xbin", "adf", "idf", "lrc", "srt", "webvtt", "ass"}
)
"""FFmpeg's names for text and single pictures, which it would also show as video."""

_STREAMS = frozenset({"mpegts", "mpeg", "mpegvideo", "h264", "hevc"})
"""FFmpeg's names for formats that may be recorded from the middle of a broadcast."""

_STATE_DURATION = frozenset({"matroska", "flv", "asf"})
"""FFmpeg's names for formats that state how long they are, where others leave it to be guessed."""

_FRAME_PER_PACKET = frozenset({"h264", "hevc", "mjpeg", "ffv1", "prores", "vp9", "png", "rawvideo"})
"""Codecs that give a frame for each packet, unless the video is interlaced."""

_MAX_PIXEL_ASPECT = 8

_DAMAGED = (ValueError, LookupError, ArithmeticError, OSError, EOFError, zlib.error)
"""What PyAV and gzip raise on damaged files, beside errors of FFmpeg."""


@dataclass(frozen=True)
class Decoded:
    """A decoded frame, and how wide its pixels are for their height."""

    picture: VideoFrame
    pixel_aspect: Fraction = Fraction(1)

    @property
    def square_shape(self) -> tuple[int, int]:
        """Height and width as it is stored, with its pixels made square."""
        return self.picture.height, max(1, round(self.picture.width * self.pixel_aspect))


class GrayConverter:
    """Converts decoded frames to full-range gray ``(H, W) uint8``, upright, with square pixels.

    Use one converter for all frames of a video, in one thread: its scaler takes longer to create
    than to use. It scales before it converts, which is much faster than the other way round.

    Parameters
    ----------
    size : tuple of int or None, optional
        ``(H, W)`` to fit every frame to, as in `load_clips`; by default frames keep their size.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        from av.video.reformatter import VideoReformatter

        self._size = size
        self._scaler = VideoReformatter()

    def __call__(self, decoded: Decoded) -> NDArray[np.uint8]:
        """Convert one frame."""
        frame = decoded.picture
        turn = _Turn.of(frame)
        height, width = decoded.square_shape
        if self._size is not None:
            size = self._size[::-1] if turn.sideways else self._size
            height, width = covering((height, width), size)
        kernel = _AREA if height < frame.height else _BICUBIC
        # By way of RGB, because a conversion to "gray" keeps the limited range; with full chroma
        # interpolation, without which a scaled limited-range picture is 1.7 DN too dark.
        flags = kernel | _ACCURATE_ROUNDING | _FULL_CHROMA
        scaled = self._scaler.reformat(frame, width, height, "rgb24", interpolation=flags)
        gray = turn(to_gray(np.asarray(scaled.to_ndarray(), np.uint8)))
        return gray if self._size is None else cropped(gray, self._size)


@dataclass(frozen=True)
class _Turn:
    """How a stored picture becomes upright: transposed first, then mirrored."""

    sideways: bool = False
    up_down: bool = False
    left_right: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> _Turn:
        """Read it from the display matrix; a rotation by part of a right angle is left out."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return cls()
        # Position (x, y) of a stored pixel is shown at (a x + c y, b x + d y).
        a, b, _, c, d = np.sign(
            np.rint(np.frombuffer(bytes(cast("SideData", data)), "=i4", 5) / 65536)
        ).astype(int)
        if a and d and not b and not c:
            return cls(False, d < 0, a < 0)
        if b and c and not a and not d:
            return cls(True, b < 0, c < 0)
        return cls()

    def __call__(self, picture: NDArray[Any]) -> NDArray[Any]:
        picture = picture.swapaxes(0, 1) if self.sideways else picture
        picture = picture[::-1] if self.up_down else picture
        picture = picture[:, ::-1] if self.left_right else picture
        return np.ascontiguousarray(picture)


def is_video(path: Path) -> bool:
    """Whether FFmpeg finds a video in a file, whatever its name."""
    import av

    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else None
        with _opened(path, content) as container:
            return _is_video(container)
    except (*_DAMAGED, av.error.FFmpegError):
        return False


def frame_size_and_rate(path: Path) -> tuple[tuple[int, int], float | None]:
    """Return the height and width of a video as it is shown, and its frames per second, if stated.

    Raises
    ------
    SceneError
        It cannot be read.
    """
    import av

    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else None
        with _opened(path, content) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            rate = stream.average_rate
            shape = frame.height, frame.width
            turned = shape[::-1] if _Turn.of(frame).sideways else shape
            return turned, None if rate is None else float(rate)
    except (*_DAMAGED, StopIteration, av.error.FFmpegError) as error:
        raise SceneError(f"{path} cannot be read as a video: {one_line(error)}") from error


def _is_video(container: InputContainer) -> bool:
    names = set(container.format.name.split(","))
    pictures = names & _NO_VIDEOS or any(name.endswith("_pipe") for name in names)
    return bool(container.streams.video) and not pictures and not _is_cover(container)


def _is_cover(container: InputContainer) -> bool:
    from av.stream import Disposition

    return bool(container.streams.video[0].disposition & Disposition.attached_pic)


def gray_frames(
    path: Path,
    size: tuple[int, int] | None = None,
    *,
    white: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[NDArray[np.uint8]]:
    """Decode a video to gray frames ``(H, W) uint8``.

    Parameters
    ----------
    size, white : tuple or float or None, optional
        As for `load_clips`; only a video whose samples have 16 bits leaves white open.
    note : callable, optional
        Called with what a user should know about the video.

    Raises
    ------
    SceneError
        As `decoded_frames`; or if the samples leave open what is white.
    """
    convert = GrayConverter(size)
    frames = decoded_frames(path, note)
    first = next(frames, None)
    if first is None:
        return
    if first.picture.format.components[0].bits != 16:
        yield convert(first)
        yield from map(convert, frames)
        return
    from focalloop.firmware_sim.scenes.grayscale import fit_frame

    frames.close()
    scale = WhiteScale(str(path), lambda: map(_stored, decoded_frames(path)), white)
    for frame in decoded_frames(path):
        gray = scale(_stored(frame))
        yield gray if size is None else fit_frame(gray, size)
    for text in scale.notes():
        note(text)


def _stored(decoded: Decoded) -> Stored:
    """Return a frame with samples of 16 bits."""
    frame = decoded.picture
    height, width = decoded.square_shape
    if frame.format.name.startswith("gray16") and width == frame.width:
        return Stored(_Turn.of(frame)(frame.to_ndarray().astype(np.uint16)))
    wide = frame.reformat(width, height, "rgb48le")
    return Stored(_Turn.of(frame)(weighed(wide.to_ndarray().astype(np.uint16))))


def decoded_frames(
    path: Path, note: Callable[[str], None] = lambda text: None
) -> Generator[Decoded, None, None]:
    """Decode the frames of a video file, of a ``.gz`` what it unpacks to, in display order.

    Where the frame rate varies, frames are taken at even times, and one that stays on longer
    repeats.

    Parameters
    ----------
    note : callable, optional
        Called with what a user should know about the video.

    Raises
    ------
    SceneError
        If the file holds no video; or if it is damaged, after the frames before the damage.
    """
    import av

    decoded = 0
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else None
        with _opened(path, content) as container:
            if not container.streams.video or not _is_video(container):
                raise SceneError(f"{path} holds no video stream: give a video file")
            times, count = _times(container)
            tick = float(container.streams.video[0].time_base or 0)
        _check_whole(path, content)
        interval = even_interval(times, tick)
        with _opened(path, content) as container:
            frames = _whole_frames(container, count)
            if interval is not None:
                note(sampling_note(path, interval))
                frames = evenly(((frame.picture.time, frame) for frame in frames), interval)
            for frame in frames:
                yield frame
                decoded += 1
    except (*_DAMAGED, av.error.FFmpegError) as error:
        where = f" after frame {decoded}" if decoded else ""
        raise SceneError(
            f"{path} cannot be decoded{where} ({one_line(error)}): "
            "give an undamaged video file, an .npz of clips or a folder of frames"
        ) from None


def _opened(path: Path, content: bytes | None) -> InputContainer:
    import av

    if content is not None:
        return av.open(io.BytesIO(content), "r")
    # A playlist would have FFmpeg fetch what it names.
    return av.open(media_name(path), "r", options={"protocol_whitelist": "file"})


def _check_whole(path: Path, content: bytes | None) -> None:
    file = path.open("rb") if content is None else io.BytesIO(content)
    with file:
        if is_cut_short(file, os.fstat(file.fileno()).st_size if content is None else len(content)):
            raise ValueError("the file ends before what it says it holds")


def _times(container: InputContainer) -> tuple[list[float], int]:
    """Return the times at which frames are shown, in seconds and ascending, and how many there are.

    Frames of a bare stream, such as ``.h264``, have no times.

    Raises
    ------
    ValueError
        If packets are missing at the end.
    """
    stream = container.streams.video[0]
    times: list[float] = []
    end = 0.0
    # Video first: the end of the file is that of the longest stream.
    packets = frames = 0
    for packet in container.demux():
        ours = packet.stream_index == stream.index
        packets += ours and packet.dts is not None
        frames += ours and packet.size > 0 and not packet.is_discard
        if packet.pts is None or packet.time_base is None or not packet.size:
            continue
        time = float(packet.pts * packet.time_base)
        end = max(end, time + float((packet.duration or 0) * packet.time_base))
        if ours and not packet.is_discard:
            times.append(time)
    states_duration = set(container.format.name.split(",")) & _STATE_DURATION
    if states_duration and container.duration and len(times) > 1:
        start = (container.start_time or 0) / 1e6
        missing = container.duration / 1e6 + min(start, 0) - end
        if missing > max(0.1, 2 * float(np.median(np.diff(sorted(times))))):
            raise ValueError(f"its last {missing:.1f} s are missing")
    stated = stream.frames if container.format.name in ("avi", "ivf") else 0
    if container.format.name == "mxf" and container.duration and stream.average_rate:
        stated = round(container.duration / 1e6 * stream.average_rate)
    if packets < stated:
        raise ValueError(f"{stated - packets} of its {stated} frames are missing")
    return sorted(times), frames


def _whole_frames(container: InputContainer, count: int) -> Iterator[Decoded]:
    """Decode frames, and stop at the first damage.

    Raises
    ------
    ValueError
        If a packet or frame is damaged, or there are fewer frames than packets, of which there are
        `count`.
    """
    stream = container.streams.video[0]
    stream.thread_type = "SLICE"
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
        aspect = Fraction(1)
    decoded = skipped = 0
    interlaced = False
    started = not set(container.format.name.split(",")) & _STREAMS
    for packet in container.demux(stream):
        # A recording of a broadcast starts anywhere; what comes before a whole picture is no frame.
        started = started or packet.is_keyframe or not packet.size
        if not started:
            skipped += packet.size > 0
            continue
        if packet.is_corrupt:
            raise ValueError("a part of the file is damaged or missing")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise ValueError("a frame is damaged")
            decoded += 1
            interlaced = interlaced or frame.interlaced_frame
            yield Decoded(frame, aspect)

    counted = stream.codec_context.name in _FRAME_PER_PACKET and not interlaced
    if counted and decoded + skipped < count:
        raise ValueError(f"{count - decoded - skipped} frames are missing")
