"""What a window shows of every block of pixels, by which its next tile is chosen.

The features of a block are logarithms of mean squared differences: in time within the window, from
the window before, and in space. Motion is large in time where there is something to see in space.
How the block was read belongs to them, since it limits what the video can show, and how fast the
whole picture moves: a still block beside fast ones is more at risk than one of a still scene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.kernel_cache import kernel

Float32 = NDArray[np.float32]

VERSION = 2
"""In every file of a controller: raised when the features change. New ones come last."""

FEATURES_OF = {1: 16, VERSION: 17}
"""Features of a block, by version."""

ENERGIES = 7
"""Mean squared differences of a block: to the next slot, after a quarter of the window, from its
first slot to its last; to the window before slot by slot, and across the moment between the two;
of neighbouring pixels, and of their differences."""

READING = 4
"""Numbers that say how a block was read."""

FEATURES = FEATURES_OF[VERSION]
"""Features of a block: energies, brightness, how it was read in the two windows, and how fast the
whole picture moves."""

FLOOR = 1e-6
"""Added to energies before the logarithm; the brightest white is 1."""


def block_features(
    video: Float32, previous: Float32, readings: Float32, block: int
) -> NDArray[np.float32]:
    """Return the features of every block.

    Parameters
    ----------
    video, previous : ndarray of float32, shape (T, H, W)
        A reconstructed window and the one before it, in [0, 1].
    readings : ndarray of float32, shape (2 * READING, R, C)
        `reading` of the tile of each block, in the two windows.
    block : int
        Side of a block, pixels. R and C count the blocks, of which the last may be cut off.

    Returns
    -------
    ndarray of float32, shape (FEATURES, R, C)
        In the order that `FEATURES` tells, all of the order of 1.
    """
    found = np.empty((FEATURES, *readings.shape[1:]), np.float32)
    _measure(np.ascontiguousarray(video), np.ascontiguousarray(previous), block, found)
    energies = found[:ENERGIES]
    changed, textured = energies[2].mean(), energies[5].mean()
    found[-1] = np.log((changed + FLOOR) / (textured + FLOOR)) / 3
    np.log(energies + np.float32(FLOOR), out=energies)
    energies /= 3
    energies += 3
    found[ENERGIES + 1 : -1] = readings
    return found


def reading(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe how blocks are read under tiles (P, h, w), (READING, P).

    The numbers are the logarithm of the reads per pixel, and the shares of the pixels that are
    read, read more than once, and read more than thrice.
    """
    levels = tiles.reshape(len(tiles), -1)
    shares = [(levels > least).mean(axis=1) for least in (0, 1, 3)]
    return np.stack([np.log(levels.mean(axis=1) + 0.05), *shares]).astype(np.float32)


@kernel
def _measure(video: Float32, previous: Float32, block: int, found: NDArray[np.float32]) -> None:
    """Write the energies and the brightness of every block."""
    slots, height, width = video.shape
    last, quarter, middle = slots - 1, max(slots // 4, 1), slots // 2
    sums = np.empty((ENERGIES + 1, width), np.float32)
    for row in range(found.shape[1]):
        top, bottom = row * block, min((row + 1) * block, height)
        sums[:] = 0
        for y in range(top, bottom):
            for slot in range(0, last, 2):
                _add_squares(sums[0], video[slot + 1, y], video[slot, y])
            for slot in range(0, slots - quarter, quarter):
                _add_squares(sums[1], video[slot + quarter, y], video[slot, y])
            _add_squares(sums[2], video[last, y], video[0, y])
            _add_squares(sums[3], video[0, y], previous[0, y])
            _add_squares(sums[3], video[last, y], previous[last, y])
            _add_squares(sums[4], video[0, y], previous[last, y])
            here, below = video[middle, y], video[middle, min(y + 1, height - 1)]
            _add_squares(sums[5], here, below)
            _add_squares(sums[5][:-1], here[1:], here[:-1])
            _add_squares(sums[6][:-1], below[1:] - here[1:], below[:-1] - here[:-1])
            for x in range(width):
                sums[7, x] += here[x]
        counts = (max((last + 1) // 2, 1), max((slots - 1) // quarter, 1), 1, 2, 1, 1, 1, 1)
        for column in range(found.shape[2]):
            left, right = column * block, min((column + 1) * block, width)
            pixels = (bottom - top) * (right - left)
            for kind in range(ENERGIES + 1):
                found[kind, row, column] = sums[kind, left:right].sum() / (counts[kind] * pixels)


@kernel
def _add_squares(total: Float32, one: Float32, other: Float32) -> None:
    for x in range(len(total)):
        difference = one[x] - other[x]
        total[x] += difference * difference
