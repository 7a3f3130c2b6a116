"""The maps of ``focalloop train --map adaptive-grids``: what an adaptive map may show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.defaults import DEFAULT_SLOTS
from focalloop.models.adaptive.palette import BLOCK, random_grid, shipped_map
from focalloop.models.training.map_source import OneAperture, RandomTiles

GRID_SHARE = 0.7
"""Share of the crops that are made of the palette."""


class AdaptiveGrids(OneAperture):
    """What an adaptive map may show: tiles of the shipped palette, in blocks, and random tiles.

    In most crops a few tiles of the palette are scattered over blocks or over larger areas, in
    some one tile of it is everywhere, and the others are those of `RandomTiles`.
    """

    name = "adaptive grids"

    def __init__(self, slots: int = DEFAULT_SLOTS) -> None:
        self.slots = slots
        self.aperture = None
        self._tiles = RandomTiles(slots)

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        """Draw grids and random tiles."""
        levels = self._tiles.levels(rng, count, side)
        adaptive_map = shipped_map(-(-side // BLOCK) * BLOCK)
        for crop in levels:
            if rng.random() < GRID_SHARE:
                grid = random_grid(rng, adaptive_map)
                crop[:] = adaptive_map.compose(grid).levels[:side, :side]
        return levels
