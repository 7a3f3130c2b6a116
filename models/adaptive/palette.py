"""The palette of the shipped adaptive map, chosen greedily by what an oracle gains with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import repeat

BLOCK = 16
"""Side of a block, pixels."""

RESTING = "two, one and none"
"""The tile of the resting map."""

CAUTIOUS = "calm"
"""The tile that loses least where motion comes and goes."""

TILES: dict[str, tuple[tuple[int, ...], ...]] = {
    "a sixteenth": ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    "an eighth": ((1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0)),
    "a quarter": ((1, 0), (0, 0)),
    "half": ((1, 0), (0, 1)),
    "one long read": ((1,),),
    "half, calm": ((0, 2, 0, 1), (1, 0, 1, 0), (0, 1, 0, 2), (1, 0, 1, 0)),
    "calm": ((0, 4, 0, 2), (1, 0, 1, 0), (0, 2, 0, 4), (1, 0, 1, 0)),
    "two, one and none": ((2, 1), (1, 0)),
    "two and one": ((2, 1), (1, 2)),
    "four and one": ((4, 1), (1, 4)),
    "eight and four": ((8, 4), (4, 8)),
}
"""Tiles by name, which repeat to one size."""


def shipped_map(side: int = 32) -> AdaptiveMap:
    """Return the adaptive map of these tiles on an array of side x side pixels."""
    tiles = np.stack([_tile(rows, 4) for rows in TILES.values()])
    return AdaptiveMap(RatioMap.from_tile(TILES[RESTING], (side, side)), tiles, BLOCK)


def random_grid(
    rng: np.random.Generator,
    adaptive_map: AdaptiveMap,
    tiles: NDArray[np.intp] | None = None,
) -> NDArray[np.uint8]:
    """Draw a grid: one tile, or a few of the palette scattered over blocks or over larger areas."""
    rows, columns = adaptive_map.grid_shape
    among = np.arange(len(adaptive_map.tiles)) if tiles is None else tiles
    few = rng.choice(among, int(rng.integers(1, min(len(among), 7) + 1)), replace=False)
    side = int(rng.integers(1, 5))
    drawn = rng.choice(few, (-(-rows // side), -(-columns // side)))
    areas = drawn.repeat(side, axis=0).repeat(side, axis=1)[:rows, :columns]
    return areas.astype(np.uint8)


def _tile(rows: tuple[tuple[int, ...], ...], side: int) -> NDArray[np.uint8]:
    return repeat(np.array(rows, np.uint8), side, side)
