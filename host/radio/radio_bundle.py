"""Radio bundles: the networks at both ends of the air, and what they were trained for.

A radio bundle is a folder with ``radio.json`` and the networks as ONNX; ``docs/file-formats.md``
("Radio bundle") describes the keys. Loading checks every file against its SHA-256. What it sends
are the reads under one tile, and one bundle's network rebuilds the video from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.rate_map import MAX_LEVELS
from focalloop.host.radio.tiles import is_tiled
from focalloop.models import zoo

SCHEMA_VERSION = 1
"""Version of ``radio.json``; others are refused."""

MANIFEST = "radio.json"

MAX_FILE_BYTES = 256 << 20
"""Largest size of a file in a bundle."""

MAX_REALS = 65535
"""Most reals of a location."""

_REQUIRED: dict[str, type] = {
    "name": str,
    "kind": str,
    "method": str,
    "location": int,
    "sensing": dict,
    "sha256": dict,
    "training": dict,
    "data": list,
    "scores": list,
    "licence": str,
}
_SENSING = {"bundle": str, "map": str, "tile": list, "reconstruction_sha256": str}


@dataclass(frozen=True, eq=False)
class RadioBundle:
    """Networks of a radio link.

    Attributes
    ----------
    name : str
        As in ``radio.json``.
    kind : str
        ``semcom``, ``jscc`` or ``codec``.
    method : str
        The method that it is for.
    location : int
        Height and width of a location, pixels.
    rates : tuple of int
        Reals that a location sends at each rate, ascending; empty for a codec.
    tile : ndarray of uint8, shape (s, s)
        Levels of the map whose reads it sends.
    sensing : str
        Name of the bundle with that map, and the reconstruction that it was trained through.
    files : mapping of str to bytes
        Contents of its networks, by name.
    meta : dict of str to any
        All of ``radio.json``.
    """

    name: str
    kind: str
    method: str
    location: int
    rates: tuple[int, ...]
    tile: NDArray[np.uint8]
    sensing: str
    files: Mapping[str, bytes]
    meta: dict[str, Any]

    @classmethod
    def load(cls, name_or_path: str | Path, kinds: tuple[str, ...] = ()) -> RadioBundle:
        """Load a shipped radio bundle by name, or any by the path of its folder.

        Parameters
        ----------
        name_or_path : str or Path
            Such as ``radio-semcom``, or a folder.
        kinds : tuple of str, optional
            Kinds that are acceptable; all by default.

        Raises
        ------
        RadioError
            If it does not exist, is incomplete, damaged or of another version, or of another kind.
        """
        folder = _find(name_or_path)
        meta = _manifest(folder)
        if kinds and meta["kind"] not in kinds:
            raise RadioError(
                f"{folder} is a radio bundle of kind {meta['kind']!r}, where one of kind "
                f"{' or '.join(kinds)} is needed: choose that, or the method that this one is for"
            )
        files = {name: _checked(folder, name, digest) for name, digest in meta["sha256"].items()}
        rates, tile = meta.get("rates", []), meta["sensing"]["tile"]
        fewest = 0 if meta["kind"] == "codec" else 1
        ascending = _holds(rates, 1, MAX_REALS) and rates == sorted({*rates})
        if not ascending or not fewest <= len(rates) <= MAX_LEVELS:
            raise RadioError(
                f"{folder}: 'rates' in {MANIFEST} must be {fewest} to {MAX_LEVELS} numbers that "
                f"ascend within 1 to {MAX_REALS}, not {str(rates)[:60]}"
            )
        if not tile or not all(_holds(row, 0, 8) and len(row) == len(tile) for row in tile):
            raise RadioError(f"{folder}: 'tile' in {MANIFEST} is not a square of levels 0 to 8")
        if not 0 < meta["location"] <= 256:
            raise RadioError(f"{folder}: a location of {meta['location']} pixels is impossible")
        return cls(
            meta["name"],
            meta["kind"],
            meta["method"],
            meta["location"],
            tuple(rates),
            np.array(tile, np.uint8),
            meta["sensing"]["bundle"],
            files,
            meta,
        )

    @property
    def digest(self) -> bytes:
        """Hash of its networks, 32 bytes: what both ends of the air must share."""
        together = hashlib.sha256()
        for name in sorted(self.files):
            together.update(hashlib.sha256(self.files[name]).digest())
        return together.digest()

    def network(self, name: str) -> bytes:
        """Return the contents of a network of this bundle.

        Raises
        ------
        RadioError
            If it has none of that name.
        """
        if name not in self.files:
            raise RadioError(f"the radio bundle {self.name} has no {name}: export it again")
        return self.files[name]

    def check_fits(self, ratio_map: RatioMap) -> None:
        """Refuse windows of another map than the bundle's.

        Raises
        ------
        RadioError
            If the map is not the bundle's tile, repeated from its corner, without an aperture.
        """
        if not is_tiled(ratio_map, self.tile):
            raise RadioError(
                f"the radio bundle {self.name} sends reads under the map of {self.sensing}, not "
                f"under this one ({ratio_map.summary}): sense with that bundle, or train a radio "
                "network for this map"
            )


def shipped_radio_bundles() -> list[str]:
    """Names of the radio bundles that come with the package, sorted."""
    return sorted(path.parent.name for path in zoo.FOLDER.glob(f"*/{MANIFEST}"))


def _find(name_or_path: str | Path) -> Path:
    shipped = shipped_radio_bundles()
    if str(name_or_path) in shipped:
        return zoo.FOLDER / str(name_or_path)
    path = Path(name_or_path)
    if exists(path) and path.is_dir():
        return path
    raise RadioError(
        f"there is no radio bundle {str(name_or_path)!r}: give a folder, or a shipped name "
        f"({', '.join(shipped) or 'there are none'})"
    )


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        meta = parse_json(_read(folder, MANIFEST))
    except ValueError as error:
        raise RadioError(f"{folder}: {MANIFEST} is damaged ({error})") from None
    found = meta.get("schema") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or found != SCHEMA_VERSION:
        raise RadioError(
            f"{folder}: {MANIFEST} has schema {found!r}; this version reads {SCHEMA_VERSION}"
        )
    for keys, values, where in (
        (_REQUIRED, meta, MANIFEST),
        (_SENSING, meta.get("sensing"), f"'sensing' of {MANIFEST}"),
    ):
        for key, kind in keys.items():
            if not isinstance(values, dict) or type(values.get(key)) is not kind:
                raise RadioError(f"{folder}: {where} needs {kind.__name__} as {key!r}")
    return meta


def _holds(values: object, least: int, most: int) -> bool:
    """Return whether JSON is a list of integers from `least` to `most`."""
    return isinstance(values, list) and all(
        type(value) is int and least <= value <= most for value in values
    )


def _checked(folder: Path, name: object, digest: object) -> bytes:
    if not isinstance(name, str) or Path(name).name != name or not name.isprintable():
        raise RadioError(f"{folder}: {name!r} in {MANIFEST} is not a plain file name")
    content = _read(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise RadioError(
            f"{folder}: {name} is not the file of this bundle (SHA-256 {found[:12]}… instead of "
            f"{str(digest)[:12]}…): fetch the bundle again"
        )
    return content


def _read(folder: Path, name: str) -> bytes:
    try:
        with (folder / name).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RadioError(
            f"{folder} is not a complete radio bundle: {name} cannot be read ({error.strerror})"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise RadioError(f"{folder}: {name} is larger than {MAX_FILE_BYTES >> 20} MiB")
    return content
