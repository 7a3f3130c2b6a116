"""Cuts of a video: some frames, converted to gray, scaled down and cropped.

Everything after the decoder is integer arithmetic, not the conversion and scaling of FFmpeg or
OpenCV, whose pixels differ between versions and processors: a cut is the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import media_name
from focalloop.models.errors import CutError

SIDE = 256
"""Rows and columns of every cut."""

_BT709 = 1
_FULL_RANGE = 2
"""FFmpeg's numbers for a colour matrix and for luma over 0..255 instead of 16..235."""


@dataclass(frozen=True)
class Cut:
    """Which part of a video.

    Attributes
    ----------
    first_frame : int
        Number of the first frame, in display order from 0.
    frames : int
        Number of frames.
    size : tuple of int
        ``(rows, columns)`` to which a whole frame is averaged down.
    top, left : int
        First row and column of the 256x256 crop in the scaled frame.
    """

    first_frame: int
    frames: int
    size: tuple[int, int]
    top: int
    left: int


def read_cut(path: Path, cut: Cut) -> NDArray[np.uint8]:
    """Decode `cut` from the video at `path`.

    Returns
    -------
    ndarray of uint8, shape (frames, 256, 256)
        Gray; 255 is white.

    Raises
    ------
    CutError
        If the video cannot be decoded, ends too early or is not 8-bit 4:2:0.
    """
    last = cut.first_frame + cut.frames
    try:
        with av.open(media_name(path)) as container:
            frames = islice(container.decode(video=0), cut.first_frame, last)
            pictures = list(_cut_frames(frames, cut))
    except (av.error.FFmpegError, IndexError) as error:
        raise CutError(f"{path} cannot be decoded: {error}") from None
    if len(pictures) < cut.frames:
        missing = last - cut.frames + len(pictures)
        raise CutError(f"{path} ends before frame {missing}; frames up to {last - 1} are needed")
    return np.stack(pictures)


def _cut_frames(frames: Iterator[av.VideoFrame], cut: Cut) -> Iterator[NDArray[np.uint8]]:
    rows = cols = None
    for frame in frames:
        gray = luma(frame).astype(np.float64)
        if rows is None or cols is None:
            rows = _overlaps(gray.shape[0], cut.size[0], cut.top)
            cols = _overlaps(gray.shape[1], cut.size[1], cut.left)
        # Every product and sum is a whole number below 2**53: exact in any order of summation.
        sums = (rows @ gray @ cols.T).astype(np.int64)
        yield ((2 * sums + gray.size) // (2 * gray.size)).astype(np.uint8)


def _overlaps(length: int, target: int, first: int) -> NDArray[np.float64]:
    """Weights of area averaging from `length` to `target` pixels, for the pixels from `first`.

    Returns
    -------
    ndarray of float64, shape (SIDE, length)
        Share of each old pixel in each new one, in units of ``1/target`` pixel; every row sums to
        `length`.
    """
    if not 0 <= first <= target - SIDE or target > length:
        raise CutError(f"{SIDE} pixels from {first} do not fit in {length} made {target}")
    edges = np.arange(first, first + SIDE + 1) * length
    pixels = np.arange(length) * target
    ends = np.minimum(edges[1:, None], pixels + target)
    starts = np.maximum(edges[:-1, None], pixels)
    overlaps: NDArray[np.float64] = np.maximum(ends - starts, 0).astype(np.float64)
    return overlaps


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return BT.601 luma over the full range: ``(rows, columns)``, 0 is black, 255 is white.

    For most video that is the stored Y plane, stretched. BT.709 video is converted by way of R, G
    and B, truncated to integers term by term as in the 8-bit conversion of FFmpeg.

    Raises
    ------
    CutError
        If the frame is not 8-bit 4:2:0.
    """
    if frame.format.name not in {"yuv420p", "yuvj420p"}:
        raise CutError(f"the video is {frame.format.name}; cuts are made of 8-bit 4:2:0 video")
    y = _plane(frame, 0)
    if frame.format.name == "yuvj420p" or frame.color_range == _FULL_RANGE:
        return y.astype(np.uint8)
    if frame.colorspace != _BT709:
        return np.clip((510 * (y - 16) + 219) // 438, 0, 255).astype(np.uint8)
    stretched = 255 * (y - 16) // 219
    cb, cr = (_plane(frame, number) - 128 for number in (1, 2))

    def chroma(coefficient_1e4: int, plane: NDArray[np.int64]) -> NDArray[np.int64]:
        term = 255 * coefficient_1e4 * plane // (224 * 10_000)
        return term.repeat(2, axis=0).repeat(2, axis=1)[: y.shape[0], : y.shape[1]]

    red = np.clip(stretched + chroma(15748, cr), 0, 255)
    green = np.clip(stretched + chroma(-1873, cb) + chroma(-4681, cr), 0, 255)
    blue = np.clip(stretched + chroma(18556, cb), 0, 255)
    gray = (299 * red + 587 * green + 114 * blue + 500) // 1000
    return np.asarray(gray, np.uint8)


def _plane(frame: av.VideoFrame, number: int) -> NDArray[np.int64]:
    plane = frame.planes[number]
    stored = np.asarray(plane, np.uint8).reshape(-1, plane.line_size)
    return np.asarray(stored[: plane.height, : plane.width], np.int64)
