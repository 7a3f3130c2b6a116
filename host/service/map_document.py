"""A map as a document of the service, with all that a page needs to draw it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap
from focalloop.host.live.state import MapState, map_state


@dataclass(frozen=True)
class PaletteDocument:
    """The tiles of an adaptive map, of which a picture's grid names one for each block."""

    block: int
    """Side of a block in pixels."""
    tile_height: int
    tile_width: int
    tiles: str
    """Base64 of the levels of all tiles, (P, tile_height, tile_width), one byte each."""


@dataclass(frozen=True)
class MapDocument(MapState):
    """A ratio map, with its levels and their colours; at rest if adaptive."""

    colours: dict[int, tuple[int, int, int]]
    """sRGB of each level."""
    levels: str
    """Base64 of one byte per pixel, row-major."""
    mask: str | None
    """Base64 of the coded aperture (T, H, W), flattened, 8 pixels per byte, lowest bit first."""
    palette: PaletteDocument | None
    """Of an adaptive map."""


def map_document(running: RatioMap | AdaptiveMap) -> MapDocument:
    """Return the document of a map; of an adaptive one, with its palette."""
    state: MapState = map_state(running)
    palette = None
    if isinstance(running, AdaptiveMap):
        ratio_map = running.resting
        _, height, width = running.tiles.shape
        tiles = _base64(running.tiles.tobytes())
        palette = PaletteDocument(running.block, height, width, tiles)
    else:
        ratio_map = running
    return MapDocument(
        **vars(state),
        colours={level: LEVEL_COLOURS.get(level, (128, 128, 128)) for level in state.level_shares},
        levels=_base64(ratio_map.levels.tobytes()),
        mask=None if ratio_map.aperture is None else _base64(ratio_map.pack_aperture()),
        palette=palette,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
