"""Maps as files: ``.npz`` for programs and for adaptive maps, indexed ``.png`` for people.

Neither file is trusted: sizes are checked before memory is allocated, nothing is unpickled, and
every defect becomes a `RatioMapError` of one sentence.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import Archive, ArchiveError, opened
from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.checks import MAX_APERTURE, MAX_PIXELS, MAX_SIDE
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import (
    LEVEL_COLOURS,
    RatioMap,
    RatioMapError,
)
from focalloop.firmware_sim.pictures import PictureError, decoding

MAX_FILE_BYTES = 1 << 27
"""Largest file that is read; a map of `MAX_PIXELS` compresses to far less."""

_MEMBERS = {"levels.npy", "T.npy", "level_set.npy", "mask.npy", "hash.npy"}
_REQUIRED = {"levels.npy", "T.npy"}
_ADAPTIVE = {f"{name}.npy" for name in ("version", "levels", "T", "level_set", "tiles", "block")}
_ADAPTIVE_VERSION = 1
_MAX_PALETTE_BYTES = 1 << 24
_MAX_SMALL_BYTES = 1 << 10
"""Limit of an array that is no picture."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def save(saved: RatioMap | AdaptiveMap, path: Path) -> None:
    """Write a map to `path` in the format of its suffix, whole or not at all."""
    data = encode(saved, path.suffix)
    with written_whole(path) as partial:
        partial.write_bytes(data)


def load(path: Path, slots: int, level_set: tuple[int, ...]) -> RatioMap:
    """Read the ratio map in `path`; `slots` and `level_set` apply to a PNG."""
    data = _read(path)
    try:
        return decode(data, slots, level_set)
    except RatioMapError as error:
        raise RatioMapError(f"{path}: {error}") from error


def load_adaptive(path: Path) -> AdaptiveMap:
    """Read the adaptive map in `path`."""
    data = _read(path)
    try:
        _check_size(data)
        with opened(data) as archive:
            return _adaptive_map_in(archive)
    except ArchiveError as error:
        raise RatioMapError(f"{path}: the .npz {error}") from error
    except RatioMapError as error:
        raise RatioMapError(f"{path}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: no possible file name
        reason = getattr(error, "strerror", None) or error
        raise RatioMapError(f"cannot read the map {path}: {reason}") from error


def _check_size(data: bytes) -> None:
    if len(data) > MAX_FILE_BYTES:
        raise RatioMapError(f"the file exceeds {MAX_FILE_BYTES >> 20} MiB, too large for a map")


def encode(saved: RatioMap | AdaptiveMap, suffix: str) -> bytes:
    """Return the bytes of a file with `suffix` ``.npz`` or, but for an adaptive map, ``.png``."""
    match saved, suffix.lower():
        case RatioMap(), ".npz":
            return _encode_npz(saved)
        case RatioMap(), ".png":
            return _encode_png(saved)
        case AdaptiveMap(), ".npz":
            return _encode_adaptive(saved)
        case AdaptiveMap(), _:
            raise RatioMapError(
                f"an adaptive map is saved as .npz, not as {suffix or 'no suffix'!r}"
            )
    raise RatioMapError(f"a ratio map is saved as .npz or .png, not as {suffix or 'no suffix'!r}")


def decode(data: bytes, slots: int, level_set: tuple[int, ...]) -> RatioMap:
    """Return the map in a ``.npz`` or ``.png`` file; the content tells which of them it is."""
    _check_size(data)
    if data.startswith(_PNG_SIGNATURE):
        return _decode_png(data, slots, level_set)
    if data.startswith(b"PK"):
        return _decode_npz(data)
    raise RatioMapError("the file is neither an .npz nor a .png ratio map")


def _encode_npz(ratio_map: RatioMap) -> bytes:
    arrays: dict[str, Any] = {
        "levels": ratio_map.levels,
        "T": np.uint8(ratio_map.slots),
        "level_set": np.array(ratio_map.level_set, np.uint8),
    }
    if ratio_map.aperture is not None:
        arrays["mask"] = np.frombuffer(ratio_map.pack_aperture(), np.uint8)
    arrays["hash"] = np.frombuffer(ratio_map.hash(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _decode_npz(data: bytes) -> RatioMap:
    try:
        with opened(data) as archive:
            return _map_in(archive)
    except ArchiveError as error:
        raise RatioMapError(f"the .npz {error}") from error


def _map_in(archive: Archive) -> RatioMap:
    names = set(archive.names)
    if names & {"tiles.npy", "palette.npy"}:  # the latter of a controller
        raise RatioMapError(
            "the .npz holds an adaptive map, whose tiles are chosen window by window: `focalloop "
            "upload` and AdaptiveMap.load take it, and a single ratio map is wanted here, such as "
            "its resting map"
        )
    _check_members(names, _REQUIRED, _MEMBERS, "ratio map")
    ratio_map = _levels_in(archive)
    if "mask.npy" in names:
        mask = _integers(archive, "mask", MAX_APERTURE // 8)
        if mask.dtype != np.uint8:
            raise RatioMapError(f"the mask in the .npz must be packed in uint8, not {mask.dtype}")
        ratio_map = ratio_map.with_packed_aperture(mask.tobytes())
    if "hash.npy" in names:
        _check_hash(archive, ratio_map.hash())
    return ratio_map


def _adaptive_map_in(archive: Archive) -> AdaptiveMap:
    names = set(archive.names)
    if "version.npy" in names:
        version = _integer(archive, "version")
        if version != _ADAPTIVE_VERSION:
            raise RatioMapError(
                f"the .npz has version {version} of the format of adaptive maps; this focalloop "
                f"reads version {_ADAPTIVE_VERSION}: update it"
            )
    _check_members(names, _ADAPTIVE, _ADAPTIVE | {"hash.npy"}, "adaptive map")
    tiles = _integers(archive, "tiles", _MAX_PALETTE_BYTES)
    adaptive_map = AdaptiveMap(_levels_in(archive), tiles, _integer(archive, "block"))
    if "hash.npy" in names:
        _check_hash(archive, adaptive_map.hash())
    return adaptive_map


def _encode_adaptive(adaptive_map: AdaptiveMap) -> bytes:
    resting = adaptive_map.resting
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        version=np.uint8(_ADAPTIVE_VERSION),
        levels=resting.levels,
        T=np.uint8(resting.slots),
        level_set=np.array(resting.level_set, np.uint8),
        tiles=adaptive_map.tiles,
        block=np.uint8(adaptive_map.block),
        hash=np.frombuffer(adaptive_map.hash(), np.uint8),
    )
    return buffer.getvalue()


def _check_members(names: set[str], required: set[str], known: set[str], what: str) -> None:
    if missing := required - names:
        listed = " and ".join(sorted(name.removesuffix(".npy") for name in missing))
        raise RatioMapError(f"the .npz lacks {listed}, which every {what} has")
    if unknown := names - known:
        # A damaged name of the mask would otherwise be a map without one.
        listed = ", ".join(sorted(repr(name.removesuffix(".npy")) for name in unknown))
        raise RatioMapError(
            f"the .npz holds {listed[:80]}, which no {what} has: save the map again, without it"
        )


def _levels_in(archive: Archive) -> RatioMap:
    levels = _integers(archive, "levels", MAX_PIXELS)
    slots = _integer(archive, "T")
    level_set: tuple[int, ...] = DEFAULT_LEVEL_SET
    if "level_set.npy" in archive.names:
        stated = _integers(archive, "level_set", _MAX_SMALL_BYTES)
        if stated.ndim != 1 or stated.size > 16:
            raise RatioMapError("level_set in the .npz is not a list of up to 16 integers")
        level_set = tuple(int(level) for level in stated)
    return RatioMap(levels, slots, level_set)


def _check_hash(archive: Archive, expected: bytes) -> None:
    stated = _integers(archive, "hash", _MAX_SMALL_BYTES)
    if stated.dtype != np.uint8 or stated.tobytes() != expected:
        raise RatioMapError(
            "the map in the .npz is not the one that was saved, its hash differs: copy the file "
            "again, or remove `hash` from it if you changed the map on purpose"
        )


def _integer(archive: Archive, name: str) -> int:
    array = _integers(archive, name, _MAX_SMALL_BYTES)
    if array.size != 1:
        raise RatioMapError(f"{name} in the .npz is not one integer")
    return int(array.item())


def _integers(archive: Archive, name: str, max_bytes: int) -> NDArray[Any]:
    array = archive.array(f"{name}.npy", max_bytes)
    if array.dtype.kind not in "iu":
        raise RatioMapError(f"{name} in the .npz holds {array.dtype}, not integers")
    return array


def _encode_png(ratio_map: RatioMap) -> bytes:
    from PIL import Image

    if ratio_map.aperture is not None:
        raise RatioMapError("a PNG holds no coded aperture; save the ratio map as .npz")
    colours = [_colour_of(level) for level in ratio_map.level_set]
    indices = np.searchsorted(ratio_map.level_set, ratio_map.levels).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette([channel for colour in colours for channel in colour])
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", bits=8)
    return buffer.getvalue()


def _decode_png(data: bytes, slots: int, level_set: tuple[int, ...]) -> RatioMap:
    from PIL import Image

    # Width and height come after the signature and the length and name of the first chunk. They
    # are checked before Pillow decodes, which only warns of some decompression bombs.
    width, height = struct.unpack_from(">II", data.ljust(24, b"\0"), 16)
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise RatioMapError(
            f"the PNG has {width}x{height} pixels, above the limit of {MAX_PIXELS} pixels"
        )
    try:
        with decoding(), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            rgba = np.asarray(image.convert("RGBA"))
    except PictureError as error:
        raise RatioMapError(f"the PNG is truncated or damaged ({error})") from error
    packed = rgba.view(np.uint32)[..., 0]
    levels = np.zeros(packed.shape, np.uint8)
    known = np.zeros(packed.shape, np.bool_)
    for level in level_set:
        opaque = np.array([*_colour_of(level), 255], np.uint8).view(np.uint32)[0]
        here = packed == opaque
        levels[here] = level
        known |= here
    if not known.all():
        y, x = np.unravel_index(int(known.argmin()), known.shape)
        red, green, blue, alpha = (int(channel) for channel in rgba[y, x])
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        found = colour if alpha == 255 else f"{colour}, not fully opaque"
        wanted = ", ".join(f"{level} is #{bytes(_colour_of(level)).hex()}" for level in level_set)
        raise RatioMapError(
            f"pixel (x={x}, y={y}) of the PNG has the colour {found}, which is not a level: "
            f"{wanted}; paint without smoothing"
        )
    return RatioMap(levels, slots, level_set)


def _colour_of(level: int) -> tuple[int, int, int]:
    if level not in LEVEL_COLOURS:
        raise RatioMapError(f"level {level} has no colour for a PNG; use a .npz file")
    return LEVEL_COLOURS[level]
