"""The maps under which a board's windows can be read; windows name theirs only by hash."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress

from numpy.typing import ArrayLike

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.wire import MAP_HASH_PREFIX_BYTES, HelloAnswer
from focalloop.host.errors import UnknownMapError

MAX_GRIDS = 1024
"""Latest grids that are known: more than the windows that a board can hold, with those to come."""

MAX_COMPOSED = 16
"""Maps composed under grids that are kept with their read plans."""


class KnownMaps:
    """Maps and read plans by hash: those that this program used, the named tiles, and its grids.

    Any thread may call it.
    """

    def __init__(self) -> None:
        self._maps: dict[bytes, tuple[RatioMap, ReadPlan]] = {}
        self._grids: OrderedDict[bytes, tuple[AdaptiveMap, bytes]] = OrderedDict()
        self._composed: OrderedDict[bytes, tuple[RatioMap, ReadPlan]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, ratio_map: RatioMap) -> None:
        """Remember a map, so that windows read under it can be understood."""
        prefix = ratio_map.hash()[:MAP_HASH_PREFIX_BYTES]
        if prefix not in self._maps:
            self._maps[prefix] = ratio_map, ReadPlan.of(ratio_map)

    def add_grid(self, adaptive_map: AdaptiveMap, grid: ArrayLike) -> bytes:
        """Remember a grid of an adaptive map, and return it as it is sent.

        Raises
        ------
        RatioMapError
            The grid does not fit the map.
        """
        packed = adaptive_map.grid(grid).tobytes()
        prefix = adaptive_map.grid_hash(packed)[:MAP_HASH_PREFIX_BYTES]
        with self._lock:
            self._grids[prefix] = adaptive_map, packed
            self._grids.move_to_end(prefix)
            while len(self._grids) > MAX_GRIDS:
                self._grids.popitem(last=False)
        return packed

    def find(self, map_hash: bytes, board: HelloAnswer) -> tuple[RatioMap, ReadPlan]:
        """Return map and plan by the hash of a map or grid, or by its first bytes.

        Raises
        ------
        UnknownMapError
            This program used no such map or grid, and it is not a named tile at the board's size.
        """
        prefix = map_hash[:MAP_HASH_PREFIX_BYTES]
        if prefix not in self._maps:
            under_grid = self._under_grid(prefix)
            if under_grid is not None:
                return under_grid
            tile = named_tile(prefix, board)
            if tile is None:
                raise UnknownMapError(
                    "the board runs a ratio map that this program does not have "
                    f"({prefix.hex()}...): upload that map or another one; a map that the board "
                    "already runs is not sent again"
                )
            self.add(tile)
        return self._maps[prefix]

    def grid_of(self, map_hash: bytes) -> tuple[AdaptiveMap, bytes] | None:
        """Return the adaptive map and the grid whose hash begins like this, if it is a grid's."""
        with self._lock:
            return self._grids.get(map_hash[:MAP_HASH_PREFIX_BYTES])

    def _under_grid(self, prefix: bytes) -> tuple[RatioMap, ReadPlan] | None:
        with self._lock:
            if prefix not in self._grids:
                return None
            if prefix not in self._composed:
                adaptive_map, packed = self._grids[prefix]
                ratio_map = adaptive_map.compose(packed)
                self._composed[prefix] = ratio_map, ReadPlan.of(ratio_map)
            self._composed.move_to_end(prefix)
            while len(self._composed) > MAX_COMPOSED:
                self._composed.popitem(last=False)
            return self._composed[prefix]


def named_tile(map_hash: bytes, board: HelloAnswer) -> RatioMap | None:
    """Return the named tile at the board's size whose hash begins with these bytes, if any."""
    for tile in NAMED_TILES.values():
        with suppress(RatioMapError):  # of levels that the board does not have
            ratio_map = RatioMap.from_tile(tile, board.shape, board.slots, board.level_set)
            if ratio_map.hash().startswith(map_hash):
                return ratio_map
    return None
