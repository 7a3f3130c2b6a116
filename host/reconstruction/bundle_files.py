"""The files of a bundle, in a folder or zip, each checked.

``bundle.json`` names a ratio map and a network, and ``docs/file-formats.md`` ("Bundle") describes
its keys. Every file is checked against its SHA-256; a zip is read in place and never unpacked to
disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.archives import Archive, ArchiveError, opened
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.json_text import parse_json
from focalloop.host.reconstruction.noise_cost import NoiseCost, NoiseCostError

MANIFEST = "bundle.json"

SCHEMA_VERSION = 1
"""Version of ``bundle.json``; others are refused."""

MAX_FILE_BYTES = 256 << 20
"""Largest size of a file in a bundle, unpacked."""

MAX_REACH = 256
"""Largest `Bundle.reach`, pixels."""

_REQUIRED: dict[str, type] = {
    "name": str,
    "slots": int,
    "level_set": list,
    "ratio_map": str,
    "network": str,
    "sha256": dict,
    "noise_profile": dict,
    "training": dict,
    "data": list,
    "scores": list,
    "licence": str,
}


class BundleError(FocalloopError):
    """The bundle is missing, damaged or of another version; the text says which and why."""


Files = tuple[dict[str, Any], dict[str, bytes]]
"""All of ``bundle.json``, and the contents of the map and the network by name."""


def read_files(path: Path) -> Files:
    """Read a bundle from its folder or zip.

    Raises
    ------
    BundleError
        If it is incomplete, damaged or of another version.
    """
    try:
        if path.is_dir():
            return _checked(path, lambda name: _read_file(path / name))
        with opened(path) as archive:
            folder = _manifest_in(path, archive).removesuffix(MANIFEST)
            return _checked(path, lambda name: archive.read(folder + name, MAX_FILE_BYTES))
    except ArchiveError as error:
        raise BundleError(f"the bundle {path} {error}: fetch it again") from None


def _checked(path: Path, read: Callable[[str], bytes]) -> Files:
    """Check the files of a bundle, which `read` returns by name."""
    meta = _parse_manifest(path, read(MANIFEST))
    contents = {}
    for name in (meta["ratio_map"], meta["network"]):
        if Path(name).name != name or not name.isprintable() or "\\" in name:
            raise BundleError(
                f"{path}: {name!r} in {MANIFEST} is not a plain file name: fetch the bundle again"
            )
        contents[name] = read(name)
        digest = hashlib.sha256(contents[name]).hexdigest()
        stated = meta["sha256"].get(name)
        if digest != stated:
            raise BundleError(
                f"{path}: {name} is not the file of this bundle (SHA-256 {digest[:12]}… "
                f"instead of {str(stated)[:12]}…): fetch the bundle again"
            )
    return meta, contents


def _parse_manifest(path: Path, data: bytes) -> dict[str, Any]:
    try:
        meta = parse_json(data)
    except ValueError as error:
        raise BundleError(f"{path}: {MANIFEST} is damaged ({error})") from None
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA_VERSION:
        found = meta.get("schema") if isinstance(meta, dict) else None
        raise BundleError(
            f"{path}: {MANIFEST} has schema {found!r}; this version reads schema {SCHEMA_VERSION}"
        )
    reach = meta.get("reach")
    if reach is not None and not (type(reach) is int and 0 <= reach <= MAX_REACH):
        raise BundleError(
            f"{path}: {MANIFEST} needs 0 to {MAX_REACH} pixels as 'reach': export it again"
        )
    if not _is_noise_range(meta.get("noise_range")):
        raise BundleError(
            f"{path}: {MANIFEST} needs [lowest, highest] of s_ss and s_r as 'noise_range': export "
            "it again"
        )
    if meta.get("noise_cost") is not None:
        try:
            NoiseCost.from_manifest(meta["noise_cost"])
        except NoiseCostError as error:
            raise BundleError(f"{path}: in {MANIFEST}, {error}: export it again") from None
    any_aperture = meta.get("any_aperture", False)
    if type(any_aperture) is not bool or (any_aperture and reach is None):
        raise BundleError(
            f"{path}: {MANIFEST} needs true or false as 'any_aperture', and true only with a "
            "'reach': export it again"
        )
    for key, kind in _REQUIRED.items():
        if not isinstance(meta.get(key), kind):
            problem = "lacks" if key not in meta else f"needs {kind.__name__} as"
            raise BundleError(f"{path}: {MANIFEST} {problem} {key!r}")
    return meta


def _is_noise_range(stated: object) -> bool:
    """Whether this is what `Bundle.noise_range` reads, or None."""
    if stated is None:
        return True
    if not isinstance(stated, dict) or set(stated) != {"s_ss", "s_r"}:
        return False
    return all(
        isinstance(limits, list)
        and [type(limit) for limit in limits] == [float, float]
        and 0 < limits[0] <= limits[1]
        and isfinite(limits[1])
        for limits in stated.values()
    )


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BundleError(
            f"{path.parent} is not a complete bundle: {path.name} cannot be read ({error.strerror})"
        ) from None
    _check_size(path.name, len(data))
    return data


def _manifest_in(path: Path, archive: Archive) -> str:
    """Return the name of ``bundle.json`` in a zip: at its top, or in the folder that was zipped."""
    found = [name for name in archive.names if name.rpartition("/")[2] == MANIFEST]
    if len(found) != 1 or found[0].count("/") > 1:
        raise BundleError(f"{path} is not a bundle: it has no {MANIFEST} at its top")
    return found[0]


def _check_size(name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise BundleError(
            f"{name} is larger than {MAX_FILE_BYTES >> 20} MiB, too large for a bundle"
        )
