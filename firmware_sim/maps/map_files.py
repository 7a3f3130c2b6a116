"""Ratio maps as files: ``.npz`` for programs, indexed ``.png`` for people.

Neither file is trusted: sizes are checked before memory is allocated, nothing is unpickled, and
every defect becomes a `RatioMapError` of one sentence.
"""

from __future__ import annotations

import io
import lzma
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.maps.checks import MAX_PIXELS, MAX_SIDE
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import (
    LEVEL_COLOURS,
    RatioMap,
    RatioMapError,
)

MAX_FILE_BYTES = 1 << 27
"""Largest file that is read; a map of `MAX_PIXELS` compresses to far less."""

_MAX_ARRAY_BYTES = 1 << 28
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # an offset before the start, a name that is not UTF-8
    OverflowError,
    RuntimeError,  # an encrypted member, or an unknown compression
)
"""What zipfile and its decompressors raise on damaged data."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def save(ratio_map: RatioMap, path: Path) -> None:
    """Write `ratio_map` to `path` in the format of its suffix, whole or not at all."""
    data = encode(ratio_map, path.suffix)
    with written_whole(path) as partial:
        partial.write_bytes(data)


def load(path: Path, slots: int, level_set: tuple[int, ...]) -> RatioMap:
    """Read the map in `path`; `slots` and `level_set` apply to a PNG."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RatioMapError(f"cannot read the ratio map {path}: {error.strerror}") from error
    try:
        return decode(data, slots, level_set)
    except RatioMapError as error:
        raise RatioMapError(f"{path}: {error}") from error


def encode(ratio_map: RatioMap, suffix: str) -> bytes:
    """Return the bytes of a file with `suffix` ``.npz`` or ``.png``."""
    match suffix.lower():
        case ".npz":
            return _encode_npz(ratio_map)
        case ".png":
            return _encode_png(ratio_map)
    raise RatioMapError(f"a ratio map is saved as .npz or .png, not as {suffix or 'no suffix'!r}")


def decode(data: bytes, slots: int, level_set: tuple[int, ...]) -> RatioMap:
    """Return the map in a ``.npz`` or ``.png`` file; the content tells which of them it is."""
    if len(data) > MAX_FILE_BYTES:
        raise RatioMapError(f"the file exceeds {MAX_FILE_BYTES >> 20} MiB, too large for a map")
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
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _decode_npz(data: bytes) -> RatioMap:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            missing = {"levels.npy", "T.npy"} - members.keys()
            if missing:
                names = " and ".join(sorted(name.removesuffix(".npy") for name in missing))
                raise RatioMapError(f"the .npz lacks {names}, which every ratio map has")
            levels = _read_array(archive, members["levels.npy"])
            slots = _read_array(archive, members["T.npy"])
            if slots.size != 1 or slots.dtype.kind not in "iu":
                raise RatioMapError("T in the .npz is not one integer")
            level_set = _level_set_of(archive, members.get("level_set.npy"))
            ratio_map = RatioMap(levels, int(slots.item()), level_set)
            if "mask.npy" not in members:
                return ratio_map
            mask = _read_array(archive, members["mask.npy"])
    except RatioMapError:
        raise
    except _DAMAGED_ZIP as error:
        raise RatioMapError(f"the .npz is truncated or damaged ({error})") from error
    if mask.dtype != np.uint8:
        raise RatioMapError(f"the mask in the .npz must be packed in uint8, not {mask.dtype}")
    return ratio_map.with_packed_aperture(mask.tobytes())


def _level_set_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo | None) -> tuple[int, ...]:
    if member is None:
        return DEFAULT_LEVEL_SET
    level_set = _read_array(archive, member)
    if level_set.ndim != 1 or level_set.size > 16 or level_set.dtype.kind not in "iu":
        raise RatioMapError("level_set in the .npz is not a list of up to 16 integers")
    return tuple(int(level) for level in level_set)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one ``.npy`` member; neither the zip's sizes nor the array's header are trusted."""
    name = member.filename.removesuffix(".npy")
    if member.file_size > _MAX_ARRAY_BYTES:
        raise RatioMapError(f"{name} in the .npz unpacks to {member.file_size} bytes: too large")
    file = io.BytesIO(archive.read(member))
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(file)
    except (ValueError, KeyError) as error:
        raise RatioMapError(f"{name} in the .npz is not a NumPy array") from error
    if dtype.kind not in "iub":
        raise RatioMapError(f"{name} in the .npz holds {dtype}, not integers")
    body = file.read()
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != len(body):
        raise RatioMapError(f"{name} in the .npz is truncated or damaged")
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran_order else "C")
    return cast("NDArray[Any]", array)


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
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            rgba = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error) as error:
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
