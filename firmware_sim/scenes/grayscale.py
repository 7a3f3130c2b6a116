"""Gray pictures ``uint8``: weighing colours, scaling, and fitting to a size.

Gray is ``0.2126 R + 0.7152 G + 0.0722 B`` over the full range 0..255 (CRL section VI, "grayscale";
weights of ITU-R BT.709).
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Weights of R, G and B in gray (ITU-R BT.709)."""

Pixel = TypeVar("Pixel", bound=np.generic)


def to_gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weigh R, G and B of a full-range picture ``(h, w, 3) uint8`` by `LUMA_WEIGHTS`."""
    import cv2

    return np.asarray(cv2.transform(rgb, LUMA_WEIGHTS[None]), np.uint8)


def weighed(colours: NDArray[Pixel]) -> NDArray[Pixel]:
    """Weigh the last axis, R, G and B of any type of number, and keep the type."""
    gray = colours[..., :3].astype(np.float64) @ LUMA_WEIGHTS.astype(np.float64)
    whole = colours.dtype.kind in "iu"
    return (np.rint(gray) if whole else gray).astype(colours.dtype)


def fit_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a frame ``(h, w)`` or ``(h, w, 3) uint8`` to cover `size` and crop its middle."""
    return cropped(scaled(frame, covering(frame.shape, size)), size)


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


def covering(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    """Return the size to which a picture of `shape` is scaled so that it just covers `size`."""
    scale = max(size[0] / shape[0], size[1] / shape[1])
    return max(size[0], round(shape[0] * scale)), max(size[1], round(shape[1] * scale))


def cropped(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the middle of a frame."""
    top, left = (frame.shape[0] - size[0]) // 2, (frame.shape[1] - size[1]) // 2
    return frame[top : top + size[0], left : left + size[1]]
