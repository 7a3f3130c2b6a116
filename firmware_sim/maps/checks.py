"""What makes levels, level sets and apertures valid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.errors import FocalloopError

MAX_SIDE = 65535
"""Largest height or width: both are sent with 16 bits."""

MAX_PIXELS = 1 << 26
"""Largest map in pixels: a few hostile bytes must not fill the memory."""

MAX_APERTURE = 1 << 27
"""Largest coded aperture, T x H x W, for the same reason: 4K at 16 slots."""

_CHECKED_AT_ONCE = 1 << 20
"""Pixels whose levels are looked up at once; NumPy needs many times their size for it."""


class RatioMapError(FocalloopError, ValueError):
    """A ratio map, its file or its packed form is invalid; the message says where and why."""


def check_level_set(slots: int, level_set: tuple[int, ...]) -> None:
    """Raise RatioMapError unless a window of `slots` slots can have these levels."""
    if not 1 <= slots <= 255:
        raise RatioMapError(f"a window has 1 to 255 slots, not {slots}")
    if not 1 <= len(level_set) <= 16 or list(level_set) != sorted(set(level_set)):
        raise RatioMapError(
            f"a level set has 1 to 16 different levels in ascending order, not {level_set}"
        )
    for level in level_set:
        if level < 0 or (level > 0 and slots % level):
            raise RatioMapError(
                f"level {level} does not divide a window of {slots} slots into equal spans"
            )


def checked_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width; raise RatioMapError if an array cannot have that size."""
    height, width = (int(side) for side in shape)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise RatioMapError(
            f"a ratio map is 1 to {MAX_SIDE} pixels high and wide, not {size_text((height, width))}"
        )
    if height * width > MAX_PIXELS:
        size = size_text((height, width))
        raise RatioMapError(f"a ratio map of {size} exceeds the limit of {MAX_PIXELS} pixels")
    return height, width


def checked_levels(levels: ArrayLike, level_set: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a read-only copy of levels (H, W); raise RatioMapError if they are invalid."""
    try:
        array: NDArray[Any] = np.asarray(levels)
    except ValueError:
        raise RatioMapError("the rows of a ratio map are of different lengths") from None
    if array.ndim != 2:
        raise RatioMapError(f"a ratio map has two dimensions, not the shape {array.shape}")
    checked_shape(array.shape)
    if array.dtype.kind not in "iu":
        raise RatioMapError(f"levels of a ratio map are integers, not {array.dtype}")
    rows = max(1, _CHECKED_AT_ONCE // array.shape[1])
    for top in range(0, len(array), rows):
        wrong = ~np.isin(array[top : top + rows], level_set)
        if wrong.any():
            y, x = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise RatioMapError(
                f"pixel (x={x}, y={top + y}) of the ratio map has level {array[top + y, x]}; "
                f"the level set is {', '.join(map(str, level_set))}"
            )
    kept = np.array(array, dtype=np.uint8, order="C")
    kept.flags.writeable = False
    return kept


def checked_aperture(aperture: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a read-only copy of an aperture (T, H, W); raise RatioMapError if it is invalid."""
    array: NDArray[Any] = np.asarray(aperture)
    if array.shape != shape:
        raise RatioMapError(
            f"the coded aperture of this ratio map has the shape (slots, height, width) = "
            f"{shape}, not {array.shape}"
        )
    check_aperture_size(shape)
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise RatioMapError("a coded aperture may contain only 0 (shut) and 1 (open)")
    kept = np.array(array, dtype=np.bool_, order="C")
    kept.flags.writeable = False
    return kept


def check_aperture_size(shape: tuple[int, ...]) -> None:
    """Raise RatioMapError if an aperture (T, H, W) is larger than `MAX_APERTURE`."""
    if math.prod(shape) > MAX_APERTURE:
        raise RatioMapError(
            f"a coded aperture of {shape[0]} slots and {size_text(shape[1:])} pixels exceeds the "
            f"limit of {MAX_APERTURE} bits"
        )


def size_text(shape: Sequence[int]) -> str:
    """Width x height, as picture sizes are written."""
    return f"{shape[1]}x{shape[0]}"
