"""The packed form of a ratio map, in which it travels, and the hash that identifies it.

``docs/file-formats.md``, "Packed form", and ``docs/wire-protocol.md``, "Objects and the map hash",
specify both.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.checks import (
    RatioMapError,
    check_aperture_size,
    check_level_set,
    checked_shape,
    size_text,
)
from focalloop.firmware_sim.maps.tiles import repeat

_SHAPES = struct.Struct("<HHHH")
_PALETTE = struct.Struct("<HHBBHH")


def pack_levels(
    tile: NDArray[np.uint8], shape: tuple[int, int], slots: int, level_set: tuple[int, ...]
) -> bytes:
    """Pack the levels of an array of `shape` (H, W) that repeat `tile` (h, w).

    ``<BB`` T and number of levels, the level set, ``<HHHH`` H, W, tile height and width, then the
    tile's level *indices*, row-major with 4 bits each, low nibble first.
    """
    shapes = _SHAPES.pack(*shape, *tile.shape)
    return _packed_level_set(slots, level_set) + shapes + _packed_tile(tile, level_set)


def unpack_levels(data: bytes) -> tuple[NDArray[np.uint8], int, tuple[int, ...]]:
    """Return the levels (H, W), the slots and the level set that `pack_levels` packed.

    Raises
    ------
    RatioMapError
        `data` is truncated, too long, or does not describe a valid map.
    """
    if len(data) < 2 or len(data) < 2 + data[1] + _SHAPES.size:
        raise RatioMapError(f"a packed ratio map is truncated after {len(data)} bytes")
    slots, count = data[0], data[1]
    level_set = tuple(data[2 : 2 + count])
    check_level_set(slots, level_set)
    sides = _SHAPES.unpack_from(data, 2 + count)
    height, width = checked_shape(sides[:2])
    tile_height, tile_width = sides[2:]
    if not (1 <= tile_height <= height and 1 <= tile_width <= width):
        raise RatioMapError(
            f"a packed ratio map of {size_text((height, width))} pixels names a tile of "
            f"{size_text((tile_height, tile_width))}"
        )
    cells = tile_height * tile_width
    body = data[2 + count + _SHAPES.size :]
    if len(body) != (cells + 1) // 2:
        raise RatioMapError(
            f"a packed tile of {size_text((tile_height, tile_width))} pixels has "
            f"{(cells + 1) // 2} bytes, not {len(body)}"
        )
    tile = _unpacked(body, level_set)[:cells].reshape(tile_height, tile_width)
    return repeat(tile, height, width), slots, level_set


def pack_palette(
    tiles: NDArray[np.uint8],
    block: int,
    shape: tuple[int, int],
    slots: int,
    level_set: tuple[int, ...],
) -> bytes:
    """Pack the tiles (P, h, w) of an adaptive map for an array of `shape` (H, W).

    ``<BB`` T and number of levels, the level set, ``<HHBBHH`` H, W, block side, P, tile height and
    width, then each tile's level indices, as in `pack_levels`.
    """
    sides = _PALETTE.pack(*shape, block, len(tiles), *tiles.shape[1:])
    packed = b"".join(_packed_tile(tile, level_set) for tile in tiles)
    return _packed_level_set(slots, level_set) + sides + packed


def unpack_palette(
    data: bytes, shape: tuple[int, int], slots: int, level_set: tuple[int, ...]
) -> tuple[NDArray[np.uint8], int]:
    """Return the tiles (P, h, w) and the block side that `pack_palette` packed for such a map.

    Raises
    ------
    RatioMapError
        `data` is truncated, too long, for another map, or not the bytes that `pack_palette` makes.
    """
    head = _packed_level_set(slots, level_set)
    cells_at = len(head) + _PALETTE.size
    if len(data) < cells_at:
        raise RatioMapError(f"a packed palette is truncated after {len(data)} bytes")
    height, width, block, count, *tile_shape = _PALETTE.unpack_from(data, len(head))
    if data[: len(head)] != head or (height, width) != shape:
        raise RatioMapError(
            "a packed palette has another size, number of slots or level set than the ratio map "
            "that it belongs to"
        )
    cells = tile_shape[0] * tile_shape[1]
    tile_bytes = (cells + 1) // 2
    if len(data) - cells_at != count * tile_bytes:
        raise RatioMapError(
            f"a packed palette of {count} tiles of {size_text(tile_shape)} pixels has "
            f"{count * tile_bytes} bytes of tiles, not {len(data) - cells_at}"
        )
    levels = _unpacked(data[cells_at:], level_set).reshape(count, 2 * tile_bytes)
    tiles = levels[:, :cells].reshape(count, *tile_shape)
    if cells % 2 and any(byte >> 4 for byte in data[cells_at:][tile_bytes - 1 :: tile_bytes]):
        raise RatioMapError("a packed palette has an unused half byte that is not zero")
    return tiles, block


def pack_aperture(aperture: NDArray[np.bool_]) -> bytes:
    """Pack a coded aperture (T, H, W): flat, 1 bit per pixel and slot, LSB first."""
    return np.packbits(aperture.reshape(-1), bitorder="little").tobytes()


def unpack_aperture(data: bytes, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return the aperture of `shape` (T, H, W) that `pack_aperture` packed.

    Raises
    ------
    RatioMapError
        `data` has another length, or the aperture is too large.
    """
    slots, *size = shape
    bits = slots * size[0] * size[1]
    check_aperture_size(shape)
    if len(data) != (bits + 7) // 8:
        raise RatioMapError(
            f"a packed aperture of {slots} slots and {size_text(size)} pixels has "
            f"{(bits + 7) // 8} bytes, not {len(data)}"
        )
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=bits, bitorder="little")
    return flat.view(np.bool_).reshape(shape)


def map_hash(
    levels: NDArray[np.uint8],
    slots: int,
    level_set: tuple[int, ...],
    aperture: NDArray[np.bool_] | None,
) -> bytes:
    """Return the SHA-256 (32 bytes) of a map.

    It covers T, the number of levels, the level set, ``<HH`` H and W, the levels (H, W) row-major
    with one byte each, then 0x00, or 0x01 and the packed aperture.
    """
    digest = hashlib.sha256(_packed_level_set(slots, level_set))
    digest.update(struct.pack("<HH", *levels.shape))
    digest.update(levels.data)
    digest.update(b"\x00" if aperture is None else b"\x01" + pack_aperture(aperture))
    return digest.digest()


def _packed_tile(tile: NDArray[np.uint8], level_set: tuple[int, ...]) -> bytes:
    index_of = np.zeros(256, dtype=np.uint8)
    index_of[list(level_set)] = np.arange(len(level_set), dtype=np.uint8)
    indices = np.append(index_of[tile], np.zeros(tile.size % 2, np.uint8))
    return (indices[0::2] | (indices[1::2] << 4)).tobytes()


def _unpacked(packed: bytes, level_set: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the levels of both halves of every byte."""
    nibbles = np.frombuffer(packed, np.uint8)
    indices = np.stack([nibbles & 15, nibbles >> 4], axis=-1).reshape(-1)
    if indices.max(initial=0) >= len(level_set):
        raise RatioMapError(
            f"a packed tile has level index {indices.max()}, but there are only {len(level_set)} "
            "levels"
        )
    return np.array(level_set, np.uint8)[indices]


def _packed_level_set(slots: int, level_set: tuple[int, ...]) -> bytes:
    return bytes([slots, len(level_set), *level_set])
