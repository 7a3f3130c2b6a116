"""What the words of a command line stand for: maps and noise profiles by name or by file."""

from __future__ import annotations

from pathlib import Path

from focalloop.firmware_sim.maps.defaults import DEFAULT_SLOTS, NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.noise import PRESETS, NoiseProfile, NoiseProfileError, preset
from focalloop.host.reconstruction.bundle import Bundle, list_bundles

DEFAULT_SHAPE = (256, 256)
"""Array size (H, W) that a named tile fills where nothing else says one."""


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
    if spec in NAMED_TILES:
        return RatioMap.from_tile(NAMED_TILES[spec], shape or DEFAULT_SHAPE)
    path = Path(spec)
    if spec in list_bundles() or path.is_dir() or (path.suffix == ".zip" and path.exists()):
        ratio_map = Bundle.load(spec).ratio_map
    elif path.exists():
        ratio_map = RatioMap.load(path)
    else:
        raise RatioMapError(
            f"there is no ratio map {spec!r}: give a .npz or .png file, a bundle, or a named tile "
            f"({', '.join(NAMED_TILES)})"
        )
    return ratio_map if shape is None else ratio_map.tiled_to(*shape)


def load_profile(spec: str, slots: int = DEFAULT_SLOTS) -> NoiseProfile:
    """Load the noise profile that `spec` stands for: a preset's name or a JSON file.

    Raises
    ------
    NoiseProfileError
        If there is no such profile.
    """
    if spec in PRESETS:
        return preset(spec, slots)
    if not Path(spec).exists():
        raise NoiseProfileError(
            f"there is no noise profile {spec!r}: give a JSON file or a preset "
            f"({', '.join(PRESETS)})"
        )
    return NoiseProfile.load(spec)
