"""What a shell offers for the values of options: names that come with focalloop, then files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.models.zoo import BUNDLES, WEIGHTS

Choices = list[tuple[str, str]]
"""Values, each with a few words about it, which some shells show."""

_NETWORK_FREE = {"network-free": "reconstruct without a network"}
_GAP_TV = {"gap-tv": "reconstruct by total variation, without a network, slowly"}
_TILES = {
    name: f"named tile of {'/'.join(','.join(map(str, row)) for row in rows)}"
    for name, rows in NAMED_TILES.items()
}


def _offers(names: Mapping[str, str], *suffixes: str) -> Callable[[str], Choices]:
    """Return what completes one of `names`, or the path of a folder or a file with a suffix."""

    def complete(incomplete: str) -> Choices:
        chosen = [(name, text) for name, text in names.items() if name.startswith(incomplete)]
        return chosen + _paths(incomplete, suffixes)

    return complete


maps = _offers(_TILES | BUNDLES, ".npz", ".png", ".zip")
maps_or_adaptive = _offers(
    _TILES | BUNDLES | {"adaptive": "a map that follows the scene"}, ".npz", ".png", ".zip"
)
bundles = _offers(BUNDLES, ".zip")
bundles_or_none = _offers(BUNDLES | _NETWORK_FREE, ".zip")
bundles_or_without = _offers(BUNDLES | _NETWORK_FREE | _GAP_TV, ".zip")
tiles = _offers(_TILES)
apertures = _offers(
    {"tile": "the aperture of the shipped bundles", "random": "drawn by seed over the whole array"},
    ".npz",
    ".npy",
    ".zip",
)
weights = _offers(WEIGHTS | {"none": "start from random weights"}, ".safetensors")


def profiles(incomplete: str) -> Choices:
    """Complete a noise profile: a preset or a JSON file."""
    from focalloop.firmware_sim.noise import PRESETS  # with NumPy

    return _offers(dict.fromkeys(PRESETS, "noise preset"), ".json")(incomplete)


def _paths(incomplete: str, suffixes: tuple[str, ...]) -> Choices:
    if not suffixes:
        return []
    place, slash, start = incomplete.rpartition("/")
    found = []
    with suppress(OSError, ValueError):
        for path in sorted(Path(place + slash or ".").expanduser().iterdir()):
            if not path.name.startswith(start) or (path.name[0] == "." and not start):
                continue
            if path.is_dir():
                found.append((f"{place}{slash}{path.name}/", "folder"))
            elif path.suffix.lower() in suffixes:
                found.append((f"{place}{slash}{path.name}", "file"))
    return found
