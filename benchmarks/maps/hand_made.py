"""Maps that a person would make: tiles by the measurements per pixel that they cost.

They spread reads evenly at one level, or mix long exposures, which are clean, with short ones,
which are sharp. In *dispersed* tiles no two measured pixels touch.
"""

from __future__ import annotations

from collections.abc import Sequence

from focalloop.firmware_sim.maps.defaults import NAMED_TILES

Tile = Sequence[Sequence[int]]

FIXED: dict[float, Tile] = {1: [[1]], 2: [[2]], 4: [[4]]}
"""One level everywhere, where the budget is a level."""

HAND_MADE: dict[float, dict[str, Tile]] = {
    1: {
        "4-dispersed": NAMED_TILES["tile-1of16"],
        "4-stride2": [[4, 0], [0, 0]],
        "4-diagonal": [[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 4]],
        "2-checkerboard": [[2, 0], [0, 2]],
        "2-1-1-0": [[2, 1], [1, 0]],
        "two4-eight1": [[4, 1, 0, 1], [1, 0, 1, 0], [0, 1, 4, 1], [1, 0, 1, 0]],
        "two4-two2-four1": [[4, 0, 1, 0], [0, 2, 0, 1], [1, 0, 4, 0], [0, 1, 0, 2]],
        # 15 reads per tile, 0.94 per pixel: a strong tile for what it costs.
        "one4-four2-three1": [[4, 0, 1, 0], [0, 2, 0, 2], [1, 0, 1, 0], [0, 2, 0, 2]],
        "one8-eight1": [[8, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]],
        "two8": [[8, 0, 0, 0], [0, 0, 0, 0], [0, 0, 8, 0], [0, 0, 0, 0]],
    },
    2: {
        "4-checkerboard": [[4, 0], [0, 4]],
        "4-2-2-0": [[4, 2], [2, 0]],
        "4-1-1-2": NAMED_TILES["tile-2of16"],
        "4-2-1-1-diagonals": [[4, 2, 1, 1], [1, 4, 2, 1], [1, 1, 4, 2], [2, 1, 1, 4]],
        "8-stride2": [[8, 0], [0, 0]],
        "8-dispersed": [[8, 0, 8, 0], [0, 0, 0, 0], [0, 8, 0, 8], [0, 0, 0, 0]],
        "two8-eight2": [[8, 2, 0, 2], [2, 0, 2, 0], [0, 2, 8, 2], [2, 0, 2, 0]],
    },
    2.5: {
        "4-checkerboard-1": [[4, 1], [1, 4]],
        "4-2-2-2": [[4, 2], [2, 2]],
        "4-2-0-4": [[4, 2], [0, 4]],
        "8-0-0-2": [[8, 0], [0, 2]],
        "8-1-1-0": [[8, 1], [1, 0]],
    },
    4: {
        "8-checkerboard": [[8, 0], [0, 8]],
        "8-4-4-0": [[8, 4], [4, 0]],
        "8-2-2-4": [[8, 2], [2, 4]],
        "8-4-2-2": [[8, 4], [2, 2]],
    },
}
"""Tiles by budget and name; none costs more than its budget."""

BY_NAME: dict[str, Tile] = {
    name: tile for tiles in HAND_MADE.values() for name, tile in tiles.items()
}

SCATTERED: dict[float, str] = {1: "2-1-1-0", 2: "4-1-1-2", 2.5: "4-2-2-2", 4: "8-2-2-4"}
"""The tile whose levels a random map scatters; it has few gaps, so that chance leaves no holes."""

UNDER_APERTURE: dict[float, list[str]] = {
    1: [
        "4-dispersed",
        "4-stride2",
        "2-checkerboard",
        "2-1-1-0",
        "two4-two2-four1",
        "two4-eight1",
    ],
}
"""Names of the tiles that are also tried under the coded aperture."""
