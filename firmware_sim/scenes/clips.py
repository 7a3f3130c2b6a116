"""Clips: video cut into windows of T gray frames, from the files people have.

`load_clips` reads an ``.npz``, a ``.mat`` of the SCI benchmark, a video file, a folder of frames or
a folder of videos. Gray is ``0.2126 R + 0.7152 G + 0.0722 B`` over the full range 0..255, whatever
the range and colour space of the file (CRL section VI, "grayscale"; weights of ITU-R BT.709).
"""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.files import exists, media_name
from focalloop.firmware_sim.pictures import PictureError, decoding
from focalloop.firmware_sim.scenes.clip_arrays import (
    check_bytes,
    clips_in_npz,
    frames_in_mat,
    one_line,
)

if TYPE_CHECKING:
    from av import VideoFrame

LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Weights of R, G and B in gray (ITU-R BT.709)."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov", ".mpg", ".mpeg", ".ogv", ".wmv", ".gif"}
)
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".pgm", ".ppm", ".webp"}
)

_BICUBIC, _AREA, _FULL_CHROMA, _ACCURATE_ROUNDING = 4, 32, 0x2000, 0x40000
"""Flags of libswscale by value: PyAV accepts them since 14, and has names for them since 18."""

MAX_CLIP_BYTES = 2 << 30
"""Memory limit of the clips of one source, which is checked before they are decoded."""


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of one size: ``clips (N, T, H, W) uint8``, and a name for each."""

    clips: NDArray[np.uint8]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


def load_clips(
    path: str | Path,
    slots: int = 16,
    *,
    size: tuple[int, int] | None = None,
    max_clips: int | None = None,
) -> Clips:
    """Read clips of `slots` frames from a file or folder.

    Parameters
    ----------
    path : str or Path
        An ``.npz`` with ``clips (N, T, H, W)``, 0..255 or floats in 0..1, and optionally
        ``names (N,)``; a ``.mat`` of the SCI benchmark with ``orig (H, W, F)``; a video file; a
        folder of frames (``00001.jpg`` ..., also the Need for Speed layout
        ``NAME/240/NAME/00001.jpg`` from any level); or a folder of videos or ``.mat`` files. Video
        is cut into consecutive windows without overlap; a remainder shorter than a window is
        dropped.
    slots : int, optional
        Frame slots T of a clip.
    size : tuple of int or None, optional
        ``(H, W)`` to fit every frame to: scaled until it covers the size, then cropped to its
        middle. By default frames keep their size, which must be the same for all.
    max_clips : int or None, optional
        Stop after this many clips; by default, take all.

    Raises
    ------
    SceneError
        If the source is missing, cannot be decoded, has another T, or is too short or too large.
    """
    path = Path(path)
    if not exists(path):
        raise SceneError(f"there is no clip at {path}: check the path")
    if path.is_dir():
        return _from_videos(_sources_in(path), slots, size, max_clips)
    if path.suffix.lower() == ".npz":
        return _from_npz(path, slots, size, max_clips)
    return _from_videos([path], slots, size, max_clips)


def fit_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a frame ``(h, w)`` or ``(h, w, 3) uint8`` to cover `size` and crop its middle."""
    return _crop(scaled(frame, _covering(frame.shape, size)), size)


def scaled(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a picture ``(h, w)`` or ``(h, w, C) uint8`` to `size` ``(H, W)``.

    Where it shrinks, areas are averaged, so that fine texture does not alias; where it grows, the
    interpolation is bicubic.
    """
    if picture.shape[:2] == size:
        return picture
    import cv2

    shrinks = math.prod(size) < math.prod(picture.shape[:2])
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=kernel), np.uint8)


def to_gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weigh R, G and B of a full-range picture ``(h, w, 3) uint8`` by `LUMA_WEIGHTS`."""
    import cv2

    return np.asarray(cv2.transform(rgb, LUMA_WEIGHTS[None]), np.uint8)


class GrayConverter:
    """Converts decoded frames to full-range gray ``(H, W) uint8``.

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

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert one frame."""
        height, width = (frame.height, frame.width)
        if self._size is not None:
            height, width = _covering((height, width), self._size)
        kernel = _AREA if height < frame.height else _BICUBIC
        # By way of RGB, because a conversion to "gray" keeps the limited range; with full chroma
        # interpolation, without which a scaled limited-range picture is 1.7 DN too dark.
        flags = kernel | _ACCURATE_ROUNDING | _FULL_CHROMA
        scaled = self._scaler.reformat(frame, width, height, "rgb24", interpolation=flags)
        gray = to_gray(np.asarray(scaled.to_ndarray(), np.uint8))
        return gray if self._size is None else _crop(gray, self._size)


def _covering(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    scale = max(size[0] / shape[0], size[1] / shape[1])
    return max(size[0], round(shape[0] * scale)), max(size[1], round(shape[1] * scale))


def _crop(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    top, left = (frame.shape[0] - size[0]) // 2, (frame.shape[1] - size[1]) // 2
    return frame[top : top + size[0], left : left + size[1]]


def _from_npz(path: Path, slots: int, size: tuple[int, int] | None, max_clips: int | None) -> Clips:
    clips, names = clips_in_npz(path, MAX_CLIP_BYTES)
    # Not cut like a video: with another T the set, and so its scores, would be different.
    if clips.shape[1] != slots:
        raise SceneError(
            f"the clips in {path} have T={clips.shape[1]} frames; T={slots} is needed here: "
            "save windows of that length, or use a ratio map for their T"
        )
    names = names or [f"{path.stem}[{k}]" for k in range(len(clips))]
    clips, names = clips[:max_clips], names[:max_clips]
    if size is not None and clips.shape[2:] != size:
        clips = np.stack([[fit_frame(frame, size) for frame in clip] for clip in clips])
    return Clips(clips, tuple(names))


def _sources_in(folder: Path) -> list[Path]:
    """List the videos and folders of frames at or below `folder`, in order."""
    entries = sorted(folder.iterdir(), key=_natural)
    if any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries if entry.is_file()):
        return [folder]
    videos = [entry for entry in entries if entry.suffix.lower() in {".mat", *VIDEO_SUFFIXES}]
    if videos:
        return videos
    below = [entry for entry in entries if entry.is_dir()]
    # Need for Speed has every video at 30 and at 240 frames/s; a slot is 1/240 s.
    below = [entry for entry in below if entry.name == "240"] or below
    return [source for entry in below for source in _sources_in(entry)]


def _from_videos(
    sources: list[Path], slots: int, size: tuple[int, int] | None, max_clips: int | None
) -> Clips:
    windows: list[NDArray[np.uint8]] = []
    names: list[str] = []
    total_bytes = 0
    too_short: list[str] = []
    for source in sources:
        frames = _frames(source, size)
        taken = 0
        while max_clips is None or len(windows) < max_clips:
            window = list(islice(frames, slots))
            if len(window) < slots:
                if not taken:
                    too_short.append(f"{source.name} ({len(window)} frames)")
                break
            shapes = {frame.shape[-2:] for frame in [*windows[:1], *window]}
            if len(shapes) > 1:
                listed = " and ".join(f"{h}x{w}" for h, w in sorted(shapes))
                raise SceneError(
                    f"{source} does not fit the frames before it ({listed}): "
                    "clips of one set need the same size; load it separately, or ask for one size"
                )
            windows.append(np.stack(window))
            names.append(f"{source.stem}[{taken}]")
            taken += 1
            total_bytes += windows[-1].nbytes
            check_bytes(source, total_bytes, MAX_CLIP_BYTES)
    if not windows:
        if too_short:
            raise SceneError(f"a clip needs {slots} frames; too short: {', '.join(too_short)}")
        raise SceneError("there are no frames or videos in that folder: give a folder of either")
    return Clips(np.stack(windows), tuple(names))


def _frames(source: Path, size: tuple[int, int] | None) -> Iterator[NDArray[np.uint8]]:
    """Yield the gray frames of a video, a MATLAB file or a folder of images, in order."""
    if source.is_dir():
        images: Iterator[NDArray[np.uint8]] = map(gray_image, numbered_images(source))
    elif source.suffix.lower() == ".mat":
        images = iter(frames_in_mat(source, MAX_CLIP_BYTES))
    else:
        return map(GrayConverter(size), decoded_frames(source))
    return images if size is None else (fit_frame(image, size) for image in images)


def decoded_frames(path: Path) -> Iterator[VideoFrame]:
    """Decode the frames of a video file, of a ``.gz`` what it unpacks to, in display order.

    Raises
    ------
    SceneError
        If the file holds no video; or if it is damaged, after the frames before the damage.
    """
    import av

    decoded = 0
    try:
        packed = path.suffix == ".gz"
        file = io.BytesIO(gzip.decompress(path.read_bytes())) if packed else media_name(path)
        with av.open(file, "r") as container:
            if not container.streams.video:
                raise SceneError(f"{path} holds no video stream: give a video file")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield frame
                decoded += 1
    except (av.error.FFmpegError, ValueError, OSError, EOFError, zlib.error) as error:
        where = f" after frame {decoded}" if decoded else ""
        raise SceneError(
            f"{path} cannot be decoded{where} ({one_line(error)}): "
            "give an undamaged video file, an .npz of clips or a folder of frames"
        ) from None


def numbered_images(folder: Path) -> list[Path]:
    """List the images of a folder that are not hidden, in the order of their names' numbers."""
    images = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in images if not path.name.startswith(".")), key=_natural)


def gray_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file to gray ``(H, W) uint8``.

    Raises
    ------
    SceneError
        If the file is damaged or not an image.
    """
    from PIL import Image

    try:
        with decoding(), Image.open(path) as image:
            if image.mode.startswith("I;16"):
                return (np.asarray(image) >> 8).astype(np.uint8)
            if image.mode == "L":
                return np.asarray(image)
            return to_gray(np.asarray(image.convert("RGB")))
    except PictureError as error:
        raise SceneError(
            f"the frame {path} cannot be decoded ({one_line(error)}): "
            "remove it, or replace it by an undamaged one"
        ) from None


def _natural(path: Path) -> list[Any]:
    """Return a sort key that puts frame 10 after frame 9."""
    parts = re.split(r"([0-9]+)", path.name)  # \d and isdigit are also true of other digits
    return [int(part) if k % 2 else part for k, part in enumerate(parts)]
