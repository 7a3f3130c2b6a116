"""Tiles: small patterns of levels or open pixels that repeat over an array, and finding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Planes = TypeVar("Planes", NDArray[np.uint8], NDArray[np.bool_])

_OPEN = """
    0111 0000 0001 0101
    0011 1100 0100 0001
    1001 1001 0101 1010
    1001 0111 1011 1110
    1010 1100 1011 0001
    0100 1000 1000 1000
    1000 1100 1010 1001
    0100 0101 1100 1101
    1100 0011 0001 0001
    1010 1011 1010 0101
    1110 0110 0010 1100
    0000 0110 0110 0010
    0100 1000 1101 0001
    1011 1011 0100 0111
    0011 0101 0010 1010
    1001 0000 1011 0011
"""

APERTURE_TILE: NDArray[np.bool_] = np.array(list("".join(_OPEN.split()))).reshape(16, 4, 4) == "1"
"""Coded aperture ``(T, h, w)`` that repeats over an array.

Above, each line is a slot and each group a row. A pixel is open where
``numpy.random.default_rng(0).random((16, 4, 4))`` is below 1/2; 0 is the first seed that opens
every pixel in at least 4 slots and at least 4 pixels in every slot.
"""
APERTURE_TILE.flags.writeable = False


def tile_of(planes: Planes) -> Planes:
    """Return the smallest tile ``(..., h, w)`` that repeats over `planes` ``(..., H, W)``.

    It starts in the top left corner. A side without at least two whole periods counts as not
    periodic: there the tile has the size of the planes.
    """
    height, width = planes.shape[-2:]
    tile_height = _smallest_period([planes[..., y, :].tobytes() for y in range(height)])
    tile_width = _smallest_period([planes[..., x].tobytes() for x in range(width)])
    return planes[..., :tile_height, :tile_width]


def continues(tile: Sequence[int], shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether planes of `shape` (H, W), whose `tile_of` has the shape `tile`, fit `wanted` as well.

    They do if they are periodic along each side that differs.
    """
    sides = zip(tile, shape, wanted, strict=True)
    return all(new == own or period < own for period, own, new in sides)


def repeat(tile: Planes, height: int, width: int) -> Planes:
    """Repeat `tile` ``(..., h, w)`` from the top left corner to ``(..., height, width)``."""
    repeats = (-(-height // tile.shape[-2]), -(-width // tile.shape[-1]))
    return np.tile(tile, repeats)[..., :height, :width]


def _smallest_period(lines: Sequence[bytes]) -> int:
    """Return the smallest period of `lines`, or their number if fewer than two periods fit.

    The borders are found as in Knuth, Morris and Pratt's string search, in linear time.
    """
    borders = [0] * len(lines)
    for end in range(1, len(lines)):
        border = borders[end - 1]
        while border and lines[end] != lines[border]:
            border = borders[border - 1]
        borders[end] = border + (lines[end] == lines[border])
    period = len(lines) - borders[-1]
    return period if 2 * period <= len(lines) else len(lines)
