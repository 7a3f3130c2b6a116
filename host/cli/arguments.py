"""What the words of a command line stand for: maps by name or by file."""

from __future__ import annotations

from pathlib import Path

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.reconstruction.bundle import Bundle, list_bundles


def load_map(spec: str, shape: tuple[int, int] | None = None) -> RatioMap:
    """Load the ratio map that `spec` stands for: a named tile, a file, or a bundle's.

    Parameters
    ----------
    spec : str
        A name in `NAMED_TILES`, the path of a ``.npz`` or ``.png`` map, or a bundle by its shipped
        name or the path of its folder or ``.zip``.
    shape : tuple of int or None, optional
        Array size ``(H, W)`` to fit it to; by default a file's own, `DEFAULT_SHAPE` for a tile.

    Raises
    ------
    RatioMapError, BundleError
        If there is no such map, or it does not fit `shape`.
    """
    path = Path(spec)
    if spec in NAMED_TILES or (path.is_file() and path.suffix != ".zip"):
        return RatioMap.load(spec, shape=shape)
    if spec in list_bundles() or path.exists():
        ratio_map = Bundle.load(spec).ratio_map
        return ratio_map if shape is None else ratio_map.tiled_to(*shape)
    raise RatioMapError(
        f"there is no ratio map {spec!r}: give a .npz or .png file, a bundle, or a named tile "
        f"({', '.join(NAMED_TILES)})"
    )
