"""Ratio maps: how often each pixel of the array is measured in one window.

A *window* has ``T`` slots. A pixel of *level* ``n`` is measured ``n`` times per window, back to
back, and each measurement integrates a *span* of ``L = T/n`` slots; level 0 is never measured. The
levels of all pixels, and optionally a *coded aperture* that shuts single pixels in single slots,
are the whole program of the sensor. See ``docs/concepts.md`` for the terms and
``docs/file-formats.md`` for the files and the packed form.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import (
    DEFAULT_LEVEL_SET,
    DEFAULT_SHAPE,
    DEFAULT_SLOTS,
    NAMED_TILES,
)
from focalloop.firmware_sim.maps.tiles import continues, repeat, tile_of
from focalloop.firmware_sim.pictures import png

MAX_SIDE = 65535
"""Largest height or width: both are sent with 16 bits."""
MAX_PIXELS = 1 << 26
"""Largest map in pixels: a few hostile bytes must not fill the memory."""
LEVEL_COLOURS: dict[int, tuple[int, int, int]] = {
    0: (32, 32, 36),
    1: (62, 74, 137),
    2: (38, 130, 142),
    4: (109, 205, 89),
    8: (253, 231, 37),
    16: (255, 255, 255),
}
"""sRGB colour of each level in PNG files, on the page and in plots.

Lightness rises with the level, and no two levels differ only in red against green.
"""

_PACKED_SHAPE = struct.Struct("<HHHH")


class RatioMapError(FocalloopError, ValueError):
    """A ratio map, its file or its packed form is invalid; the message says where and why."""


@dataclass(frozen=True, eq=False)
class RatioMap:
    """Levels of every pixel of an array, with the optional coded aperture.

    Parameters
    ----------
    levels : array_like of int, shape (H, W)
        Measurements per window of each pixel, all in `level_set`; H and W are 1..65535, with at
        most `MAX_PIXELS` pixels. Kept as a read-only ``uint8`` copy.
    slots : int
        Slots per window (T), 1..255.
    level_set : tuple of int
        Levels that the sensor can run: ascending, at most 16, each above 0 a divisor of `slots`.
    aperture : array_like of bool, shape (T, H, W), optional
        Coded aperture ``B``: False shuts a pixel in a slot (CRL Eq. 2). None is always open.

    Raises
    ------
    RatioMapError
        One of these does not hold; the message says which, and for which pixel.
    """

    levels: NDArray[np.uint8]
    slots: int = DEFAULT_SLOTS
    level_set: tuple[int, ...] = DEFAULT_LEVEL_SET
    aperture: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", int(self.slots))
        object.__setattr__(self, "level_set", tuple(int(level) for level in self.level_set))
        _check_level_set(self.slots, self.level_set)
        levels = _checked_levels(self.levels, self.level_set)
        object.__setattr__(self, "levels", levels)
        if self.aperture is not None:
            aperture = _checked_aperture(self.aperture, (self.slots, *levels.shape))
            object.__setattr__(self, "aperture", aperture)

    @classmethod
    def from_tile(
        cls,
        tile: ArrayLike,
        shape: tuple[int, int] | None = None,
        slots: int = DEFAULT_SLOTS,
        level_set: Sequence[int] = DEFAULT_LEVEL_SET,
    ) -> RatioMap:
        """Repeat `tile` (h, w) over an array of `shape` (H, W), starting in the top left corner.

        Without `shape` the map is the tile itself.
        """
        checked = cls(np.asarray(tile), slots, tuple(level_set))
        if shape is None:
            return checked
        return replace(checked, levels=repeat(checked.levels, *_checked_shape(shape)))

    @classmethod
    def uniform(
        cls,
        level: int,
        shape: tuple[int, int],
        slots: int = DEFAULT_SLOTS,
        level_set: Sequence[int] = DEFAULT_LEVEL_SET,
    ) -> RatioMap:
        """Give every pixel of an array of `shape` (H, W) the same `level`."""
        return cls.from_tile([[level]], shape, slots, level_set)

    @classmethod
    def random(
        cls,
        shape: tuple[int, int],
        shares: Mapping[int, float] | None = None,
        seed: int = 0,
        slots: int = DEFAULT_SLOTS,
        level_set: Sequence[int] = DEFAULT_LEVEL_SET,
    ) -> RatioMap:
        """Scatter levels at random over an array.

        Parameters
        ----------
        shape : tuple of int
            Height and width in pixels.
        shares : mapping of int to float, optional
            Relative number of pixels of each level, 0 or more; equal by default. The counts are
            exact up to the rounding of one pixel.
        seed : int
            Of the placement.
        slots, level_set : int or sequence of int
            As for `RatioMap`.

        Raises
        ------
        RatioMapError
            The shares or the size are invalid.
        """
        shares = dict.fromkeys(level_set, 1.0) if shares is None else shares
        weights = np.array([float(share) for share in shares.values()])
        if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
            raise RatioMapError(
                f"shares of levels must be 0 or more, with a sum above 0, not {dict(shares)}"
            )
        height, width = _checked_shape(shape)
        bounds = np.rint(np.cumsum(weights) / weights.sum() * height * width).astype(np.int64)
        levels = np.repeat(np.array([*shares]), np.diff(bounds, prepend=0))
        np.random.default_rng(seed).shuffle(levels)
        return cls(levels.reshape(height, width), slots, tuple(level_set))

    def __eq__(self, other: object) -> bool:
        """Whether both are the same program of a sensor: levels, T, level set and aperture."""
        if not isinstance(other, RatioMap):
            return NotImplemented
        if self is other:
            return True
        if (self.slots, self.level_set) != (other.slots, other.level_set):
            return False
        if self.aperture is None or other.aperture is None:
            same_light = self.aperture is other.aperture
        else:
            same_light = np.array_equal(self.aperture, other.aperture)
        return same_light and np.array_equal(self.levels, other.levels)

    def __hash__(self) -> int:
        return hash(self.hash())

    def __repr__(self) -> str:
        return f"<RatioMap {self.summary}>"

    def _repr_png_(self) -> bytes:
        """Draw the map for a notebook: of a repeated tile, a corner of the array, enlarged."""
        repeats = self.tile.shape != self.shape
        side = max(4 * max(self.tile.shape), 16) if repeats else None
        return png(self.colours()[:side, :side])

    @property
    def summary(self) -> str:
        """Size, tile, levels, T, ratio and aperture in one line."""
        repeats = self.tile.shape != self.shape
        present = " ".join(str(level) for level in np.unique(self.levels))
        facts = [
            _size(self.shape),
            f"tile {_size(self.tile.shape)}" if repeats else "no tile",
            f"levels {present}",
            f"T={self.slots}",
            f"r_avg {self.ratio:.4g}",
            *(["coded aperture"] if self.aperture is not None else []),
        ]
        return ", ".join(facts)

    def colours(self) -> NDArray[np.uint8]:
        """Colour of each pixel's level, uint8 (H, W, 3); gray where `LEVEL_COLOURS` has none."""
        palette = np.full((256, 3), 128, np.uint8)
        palette[list(LEVEL_COLOURS)] = list(LEVEL_COLOURS.values())
        return palette[self.levels]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the array in pixels."""
        height, width = self.levels.shape
        return height, width

    @cached_property
    def mean_level(self) -> float:
        """Average measurements per pixel and window."""
        return float(self.levels.mean(dtype=np.float64))

    @property
    def ratio(self) -> float:
        """Average ratio ``r_avg = mean_level / T`` (CRL section II)."""
        return self.mean_level / self.slots

    @cached_property
    def tile(self) -> NDArray[np.uint8]:
        """Smallest tile (h, w) of levels that repeats over the map; see `tile_of`."""
        return tile_of(self.levels)

    @cached_property
    def aperture_tile(self) -> NDArray[np.bool_] | None:
        """Smallest tile (T, h, w) that repeats over the coded aperture, found as `tile` is."""
        return None if self.aperture is None else tile_of(self.aperture)

    def tiled_to(self, height: int, width: int) -> RatioMap:
        """Fit the map to an array of another size by repeating its tiles.

        Levels and coded aperture may have different periods; each continues with its own.

        Raises
        ------
        RatioMapError
            Levels or aperture are not periodic along a side whose size differs.
        """
        if (height, width) == self.shape:
            return self
        size = _checked_shape((height, width))
        for what, tile in (("it", self.tile), ("its coded aperture", self.aperture_tile)):
            if tile is not None and not continues(tile.shape[-2:], self.shape, size):
                raise RatioMapError(
                    f"the ratio map is for {_size(self.shape)} pixels and cannot be fitted to "
                    f"{_size(size)}: {what} does not repeat a tile; use a periodic map or one made "
                    "for that size"
                )
        fitted = replace(self, levels=repeat(self.tile, *size), aperture=None)
        return fitted if tile is None else fitted.with_aperture_tile(tile)

    def with_aperture(self, aperture: ArrayLike | None) -> RatioMap:
        """Return the same levels with another coded aperture (T, H, W), or without one."""
        return replace(self, aperture=None if aperture is None else np.asarray(aperture))

    def with_aperture_tile(self, tile: ArrayLike) -> RatioMap:
        """Return the same levels with the aperture tile (T, h, w), repeated over the array."""
        array = np.asarray(tile)
        sides = _checked_shape((1, *array.shape)[-2:])
        checked = _checked_aperture(array, (self.slots, *sides))
        return self.with_aperture(repeat(checked, *self.shape))

    def with_packed_aperture(self, data: bytes) -> RatioMap:
        """Return the same levels with the aperture that `pack_aperture` packed."""
        bits = self.slots * self.levels.size
        if len(data) != (bits + 7) // 8:
            raise RatioMapError(
                f"a packed aperture of {self.slots} slots and {_size(self.shape)} pixels has "
                f"{(bits + 7) // 8} bytes, not {len(data)}"
            )
        flat = np.unpackbits(np.frombuffer(data, np.uint8), count=bits, bitorder="little")
        return self.with_aperture(flat.reshape(self.slots, *self.shape).astype(np.bool_))

    def pack(self) -> bytes:
        """Pack the levels as the wire's map object (``docs/file-formats.md``, "Packed form").

        ``<BB`` T and number of levels, the level set, ``<HHHH`` H, W, tile height and width, then
        the tile's level *indices*, row-major with 4 bits each, low nibble first.
        """
        tile = self.tile
        index_of = np.zeros(256, dtype=np.uint8)
        index_of[list(self.level_set)] = np.arange(len(self.level_set), dtype=np.uint8)
        indices = np.append(index_of[tile], np.zeros(tile.size % 2, np.uint8))
        nibbles = indices[0::2] | (indices[1::2] << 4)
        shapes = _PACKED_SHAPE.pack(*self.shape, *tile.shape)
        return self._packed_level_set() + shapes + nibbles.tobytes()

    @classmethod
    def unpack(cls, data: bytes, packed_aperture: bytes | None = None) -> RatioMap:
        """Rebuild a map from the bytes of `pack` and, optionally, of `pack_aperture`.

        Raises
        ------
        RatioMapError
            `data` is truncated, too long, or does not describe a valid map.
        """
        if len(data) < 2 or len(data) < 2 + data[1] + _PACKED_SHAPE.size:
            raise RatioMapError(f"a packed ratio map is truncated after {len(data)} bytes")
        slots, count = data[0], data[1]
        level_set = tuple(data[2 : 2 + count])
        _check_level_set(slots, level_set)
        sides = _PACKED_SHAPE.unpack_from(data, 2 + count)
        height, width = _checked_shape(sides[:2])
        tile_height, tile_width = sides[2:]
        if not (1 <= tile_height <= height and 1 <= tile_width <= width):
            raise RatioMapError(
                f"a packed ratio map of {_size((height, width))} pixels names a tile of "
                f"{_size((tile_height, tile_width))}"
            )
        cells = tile_height * tile_width
        body = data[2 + count + _PACKED_SHAPE.size :]
        if len(body) != (cells + 1) // 2:
            raise RatioMapError(
                f"a packed tile of {_size((tile_height, tile_width))} pixels has "
                f"{(cells + 1) // 2} bytes, not {len(body)}"
            )
        nibbles = np.frombuffer(body, np.uint8)
        indices = np.stack([nibbles & 15, nibbles >> 4], axis=-1).reshape(-1)[:cells]
        if indices.max() >= count:
            raise RatioMapError(
                f"a packed ratio map has level index {indices.max()}, but only {count} levels"
            )
        tile = np.array(level_set, np.uint8)[indices].reshape(tile_height, tile_width)
        unpacked = cls(repeat(tile, height, width), slots, level_set)
        if packed_aperture is None:
            return unpacked
        return unpacked.with_packed_aperture(packed_aperture)

    def pack_aperture(self) -> bytes:
        """Pack the coded aperture as the wire's mask object: (T, H, W) flat, 1 bit each, LSB first.

        Raises
        ------
        RatioMapError
            The map has no coded aperture.
        """
        if self.aperture is None:
            raise RatioMapError("the ratio map has no coded aperture to pack")
        return np.packbits(self.aperture.reshape(-1), bitorder="little").tobytes()

    def hash(self) -> bytes:
        """Return the SHA-256 (32 bytes) that identifies this map on both ends of a wire.

        It covers T, the number of levels, the level set, ``<HH`` H and W, the levels of all pixels
        row-major with one byte each, then 0x00, or 0x01 and the packed aperture.
        """
        digest = hashlib.sha256(self._packed_level_set())
        digest.update(struct.pack("<HH", *self.shape))
        digest.update(self.levels.tobytes())
        digest.update(b"\x00" if self.aperture is None else b"\x01" + self.pack_aperture())
        return digest.digest()

    @property
    def hash_hex(self) -> str:
        """`hash` as 64 hexadecimal digits."""
        return self.hash().hex()

    def save(self, path: str | Path) -> None:
        """Write a ``.npz`` or ``.png`` file, by suffix, whole or not at all.

        Raises
        ------
        RatioMapError
            The suffix is another, or a PNG cannot hold this map.
        WriteError
            The file cannot be written.
        """
        from focalloop.firmware_sim.maps import map_files

        map_files.save(self, Path(path))

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        slots: int = DEFAULT_SLOTS,
        level_set: Sequence[int] = DEFAULT_LEVEL_SET,
        *,
        shape: tuple[int, int] | None = None,
    ) -> RatioMap:
        """Take a named tile, or read a map that `save` wrote or a paint program edited.

        Parameters
        ----------
        name_or_path : str or Path
            A name in `NAMED_TILES`, such as ``tile-2of16``, or a ``.npz`` or ``.png`` file.
        slots : int
            T of a PNG, which holds only colours; a ``.npz`` has its own.
        level_set : sequence of int
            Levels of a PNG; a ``.npz`` has its own.
        shape : tuple of int, optional
            Array size (H, W) to fit the map to. By default a file's own, `DEFAULT_SHAPE` for a
            named tile.

        Raises
        ------
        RatioMapError
            There is no such map, the file is unreadable, too large or not a valid map, or the map
            cannot be fitted to `shape`.
        """
        from focalloop.firmware_sim.maps import map_files

        if not isinstance(name_or_path, str | Path):
            raise RatioMapError(
                f"a ratio map is loaded by the name of a tile or file, not from {name_or_path!r}"
            )
        if str(name_or_path) in NAMED_TILES:
            return cls.from_tile(NAMED_TILES[str(name_or_path)], shape or DEFAULT_SHAPE)
        if not Path(name_or_path).exists():
            raise RatioMapError(
                f"there is no ratio map {str(name_or_path)!r}: give a .npz or .png file, a named "
                f"tile ({', '.join(NAMED_TILES)}), or take a bundle's: Bundle.load(name).ratio_map"
            )
        loaded = map_files.load(Path(name_or_path), slots, tuple(level_set))
        return loaded if shape is None else loaded.tiled_to(*shape)

    def _packed_level_set(self) -> bytes:
        return bytes([self.slots, len(self.level_set), *self.level_set])


def _check_level_set(slots: int, level_set: tuple[int, ...]) -> None:
    if not 1 <= slots <= 255:
        raise RatioMapError(f"a window has 1 to 255 slots, not {slots}")
    if not 1 <= len(level_set) <= 16 or list(level_set) != sorted(set(level_set)):
        raise RatioMapError(
            f"a level set has 1 to 16 different levels in ascending order, not {level_set}"
        )
    for level in level_set:
        if level < 0 or (level > 0 and slots % level):
            raise RatioMapError(
                f"level {level} does not divide a window of {slots} slots into equal spans"
            )


def _checked_shape(shape: Sequence[int]) -> tuple[int, int]:
    height, width = (int(side) for side in shape)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise RatioMapError(
            f"a ratio map is 1 to {MAX_SIDE} pixels high and wide, not {_size((height, width))}"
        )
    if height * width > MAX_PIXELS:
        size = _size((height, width))
        raise RatioMapError(f"a ratio map of {size} exceeds the limit of {MAX_PIXELS} pixels")
    return height, width


def _checked_levels(levels: ArrayLike, level_set: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        array: NDArray[Any] = np.asarray(levels)
    except ValueError:
        raise RatioMapError("the rows of a ratio map are of different lengths") from None
    if array.ndim != 2:
        raise RatioMapError(f"a ratio map has two dimensions, not the shape {array.shape}")
    _checked_shape(array.shape)
    if array.dtype.kind not in "iu":
        raise RatioMapError(f"levels of a ratio map are integers, not {array.dtype}")
    wrong = ~np.isin(array, level_set)
    if wrong.any():
        y, x = np.unravel_index(int(wrong.argmax()), array.shape)
        raise RatioMapError(
            f"pixel (x={x}, y={y}) of the ratio map has level {array[y, x]}; "
            f"the level set is {', '.join(map(str, level_set))}"
        )
    kept = np.array(array, dtype=np.uint8, order="C")
    kept.flags.writeable = False
    return kept


def _checked_aperture(aperture: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    array: NDArray[Any] = np.asarray(aperture)
    if array.shape != shape:
        raise RatioMapError(
            f"the coded aperture of this ratio map has the shape (slots, height, width) = "
            f"{shape}, not {array.shape}"
        )
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise RatioMapError("a coded aperture may contain only 0 (shut) and 1 (open)")
    kept = np.array(array, dtype=np.bool_, order="C")
    kept.flags.writeable = False
    return kept


def _size(shape: Sequence[int]) -> str:
    """Width x height, as picture sizes are written."""
    return f"{shape[1]}x{shape[0]}"
