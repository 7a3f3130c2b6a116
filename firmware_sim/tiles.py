"""Tiles: small patterns of levels that repeat over an array, and how to find them in a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NAMED_TILES: dict[str, NDArray[np.uint8]] = {
    name: np.array(rows, dtype=np.uint8)
    for name, rows in {
        "fixed-1of16": [[1]],
        "fixed-2of16": [[2]],
        "fixed-4of16": [[4]],
        "fixed-8of16": [[8]],
        # A quarter of the pixels, no unmeasured pixel further than one step from a measured one.
        "tile-1of16": [[4, 0, 4, 0], [0, 0, 0, 0], [0, 4, 0, 4], [0, 0, 0, 0]],
        "tile-2of16": [[4, 1, 4, 1], [1, 2, 1, 2], [4, 1, 4, 1], [1, 2, 1, 2]],
    }.items()
}
"""Hand-made tiles by name, ``<kind>-<average measurements a pixel>of16``, for the default T."""


def smallest_period(lines: Sequence[bytes]) -> int:
    """Return the smallest period of `lines`, or their number where less than two periods fit.

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
