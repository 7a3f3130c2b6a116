"""The ratio maps under which a board's windows can be read; windows name theirs only by hash."""

from __future__ import annotations

from contextlib import suppress

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.wire import MAP_HASH_PREFIX_BYTES, HelloAnswer
from focalloop.host.errors import UnknownMapError


class KnownMaps:
    """Maps and read plans by hash: those that this program used, and the named tiles."""

    def __init__(self) -> None:
        self._maps: dict[bytes, tuple[RatioMap, ReadPlan]] = {}

    def add(self, ratio_map: RatioMap) -> None:
        """Remember a map, so that windows read under it can be understood."""
        prefix = ratio_map.hash()[:MAP_HASH_PREFIX_BYTES]
        if prefix not in self._maps:
            self._maps[prefix] = ratio_map, ReadPlan.of(ratio_map)

    def find(self, map_hash: bytes, board: HelloAnswer) -> tuple[RatioMap, ReadPlan]:
        """Return map and plan by the map's hash, or by its first bytes.

        Raises
        ------
        UnknownMapError
            This program did not use the map, and it is not a named tile at the board's size.
        """
        prefix = map_hash[:MAP_HASH_PREFIX_BYTES]
        if prefix not in self._maps:
            tile = named_tile(prefix, board)
            if tile is None:
                raise UnknownMapError(
                    "the board runs a ratio map that this program does not have "
                    f"({prefix.hex()}...): upload that map or another one; a map that the board "
                    "already runs is not sent again"
                )
            self.add(tile)
        return self._maps[prefix]


def named_tile(map_hash: bytes, board: HelloAnswer) -> RatioMap | None:
    """Return the named tile at the board's size whose hash begins with these bytes, if any."""
    for tile in NAMED_TILES.values():
        with suppress(RatioMapError):  # of levels that the board does not have
            ratio_map = RatioMap.from_tile(tile, board.shape, board.slots, board.level_set)
            if ratio_map.hash().startswith(map_hash):
                return ratio_map
    return None
