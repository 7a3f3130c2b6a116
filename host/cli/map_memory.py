"""Maps that this user uploaded, so that a later command can read what a board captures under them.

A board reports only the hash of its map. The maps are files in the user's cache folder, named by
hash.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.board.known_maps import named_tile


def remember(used: RatioMap | AdaptiveMap) -> None:
    """Keep a map; where the cache folder cannot be written, it is not kept."""
    path = _path(used.hash())
    with suppress(OSError, RatioMapError):
        path.parent.mkdir(parents=True, exist_ok=True)
        used.save(path)


def recall(map_hash: bytes, board: HelloAnswer) -> RatioMap | AdaptiveMap | None:
    """Return the map with this hash: one that was kept, or a named tile at the board's size."""
    for load in (RatioMap.load, AdaptiveMap.load):
        with suppress(OSError, RatioMapError):
            kept = load(_path(map_hash))
            if kept.hash() == map_hash:
                return kept
    return named_tile(map_hash, board)


def _path(map_hash: bytes) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "focalloop" / "maps" / f"{map_hash.hex()}.npz"
