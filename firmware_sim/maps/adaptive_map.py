"""Adaptive maps: a palette of tiles, of which each block of the array takes one per window.

An *adaptive map* is a *resting map*, under which windows are read until a grid is set, a *palette*
of tiles of levels, and a block side. A *grid* names one tile of the palette for each block, and so
composes the ratio map of a window. Tiles repeat from the array's top left corner, wherever their
block begins, so that equal tiles of neighbouring blocks join. ``docs/adaptive.md`` explains it,
``docs/wire-protocol.md`` specifies the bytes and hashes.
"""

from __future__ import annotations

import hashlib
import operator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.maps.checks import RatioMapError, checked_levels, size_text
from focalloop.firmware_sim.maps.packed_form import pack_palette, unpack_palette
from focalloop.firmware_sim.maps.ratio_map import RatioMap

MAX_TILES = 255
"""Most tiles of a palette: their number is sent with 8 bits, as the block side is."""

MAX_BLOCK = 255
"""Longest side of a block, in pixels."""


@dataclass(frozen=True, eq=False)
class AdaptiveMap:
    """A resting map, a palette of tiles, and the side of the blocks that take one each.

    Parameters
    ----------
    resting : RatioMap
        Map of the windows before any grid; without a coded aperture.
    tiles : array_like of int, shape (P, h, w)
        Palette: levels of 1..255 tiles, all in the resting map's level set, no larger than the
        array. Kept as a read-only ``uint8`` copy.
    block : int
        Side of a block in pixels, 1..255. Blocks at the right and bottom edges may be cut off.

    Raises
    ------
    RatioMapError
        One of these does not hold; the message says which.
    """

    resting: RatioMap
    tiles: NDArray[np.uint8]
    block: int

    def __post_init__(self) -> None:
        if self.resting.aperture is not None:
            raise RatioMapError(
                "the resting map of an adaptive map has no coded aperture: use a map without one"
            )
        try:
            block = operator.index(self.block)
        except TypeError:
            raise RatioMapError(
                f"the side of a block is a whole number of pixels, not {self.block!r}"
            ) from None
        if not 1 <= block <= MAX_BLOCK:
            raise RatioMapError(
                f"the blocks of an adaptive map are 1 to {MAX_BLOCK} pixels wide, not {block}"
            )
        given = _array(self.tiles, "tiles of a palette")
        if given.ndim != 3 or not 1 <= len(given) <= MAX_TILES:
            raise RatioMapError(
                f"a palette is 1 to {MAX_TILES} tiles of one size, (tiles, height, width), not the "
                f"shape {given.shape}"
            )
        size = given.shape[1:]
        if not all(1 <= side <= most for side, most in zip(size, self.resting.shape, strict=True)):
            raise RatioMapError(
                f"a tile of {size_text(size)} pixels does not fit an array of "
                f"{size_text(self.resting.shape)}"
            )
        checked = []
        for index, tile in enumerate(given):
            try:
                checked.append(checked_levels(tile, self.resting.level_set))
            except RatioMapError as error:
                raise RatioMapError(f"tile {index} of the palette: {error}") from None
        tiles = np.stack(checked)
        tiles.flags.writeable = False
        object.__setattr__(self, "tiles", tiles)
        object.__setattr__(self, "block", block)

    def __repr__(self) -> str:
        return f"<AdaptiveMap {self.summary}>"

    @property
    def summary(self) -> str:
        """Size, palette, blocks and resting map in one line."""
        count, size = len(self.tiles), size_text(self.tiles.shape[1:])
        return (
            f"{count} tile{'s' * (count > 1)} {size} in blocks of {self.block}x{self.block}, "
            f"at rest {self.resting.summary}"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the array in pixels."""
        return self.resting.shape

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        height, width = self.shape
        return -(-height // self.block), -(-width // self.block)

    def grid(self, indices: ArrayLike | bytes) -> NDArray[np.uint8]:
        """Return a grid as it is sent, uint8 (rows, columns), from its indices or their bytes.

        Raises
        ------
        RatioMapError
            It has another shape or number of bytes, or names a tile that the palette lacks.
        """
        rows, columns = self.grid_shape
        if isinstance(indices, bytes):
            if len(indices) != rows * columns:
                raise RatioMapError(
                    f"a grid of {columns}x{rows} blocks has {rows * columns} bytes, not "
                    f"{len(indices)}"
                )
            indices = np.frombuffer(indices, np.uint8).reshape(rows, columns)
        given = _array(indices, "rows of a grid")
        if given.shape != (rows, columns) or given.dtype.kind not in "iu":
            raise RatioMapError(
                f"a grid of this map is integers of the shape ({rows}, {columns}), not "
                f"{given.dtype} of the shape {given.shape}"
            )
        wrong = (given < 0) | (given >= len(self.tiles))
        if wrong.any():
            row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise RatioMapError(
                f"block (column {column}, row {row}) of a grid names tile {given[row, column]}, "
                f"but the palette has tiles 0 to {len(self.tiles) - 1}"
            )
        return given.astype(np.uint8)

    def compose(self, grid: ArrayLike | bytes) -> RatioMap:
        """Return the ratio map of a window under `grid`.

        The level of pixel (y, x) is that of cell (y mod h, x mod w) of the tile that the grid names
        for block (y div block, x div block).
        """
        height, width = self.shape
        _, tile_height, tile_width = self.tiles.shape
        levels = np.empty(self.shape, np.uint8)
        x = np.arange(width)
        for row, indices in enumerate(self.grid(grid)):
            y = np.arange(row * self.block, min((row + 1) * self.block, height))
            cells = (y % tile_height)[:, None], x % tile_width
            levels[y[0] : y[-1] + 1] = self.tiles[indices[x // self.block], *cells]
        return RatioMap(levels, self.resting.slots, self.resting.level_set)

    def reads(self, grid: ArrayLike | bytes) -> int:
        """Return the number of measurements in one window under `grid`."""
        return int(self.compose(grid).levels.sum(dtype=np.int64))

    def tiled_to(self, height: int, width: int) -> AdaptiveMap:
        """Fit the map to an array of another size; see `RatioMap.tiled_to` for the resting map."""
        return AdaptiveMap(self.resting.tiled_to(height, width), self.tiles, self.block)

    def pack_palette(self) -> bytes:
        """Pack the palette as the wire's palette object; see `packed_form.pack_palette`."""
        resting = self.resting
        return pack_palette(self.tiles, self.block, resting.shape, resting.slots, resting.level_set)

    @classmethod
    def unpack(cls, resting: RatioMap, palette: bytes) -> AdaptiveMap:
        """Rebuild an adaptive map from its resting map and the bytes of `pack_palette`.

        Raises
        ------
        RatioMapError
            The palette is for another map than `resting`, or is not valid.
        """
        tiles, block = unpack_palette(palette, resting.shape, resting.slots, resting.level_set)
        return cls(resting, tiles, block)

    def hash(self) -> bytes:
        """Return the SHA-256 (32 bytes) that identifies this map on both ends of a wire."""
        return self._hash

    @property
    def hash_hex(self) -> str:
        """`hash` as 64 hexadecimal digits."""
        return self.hash().hex()

    def grid_hash(self, grid: ArrayLike | bytes) -> bytes:
        """Return the SHA-256 (32 bytes) of `hash` and grid, which identifies a window's map."""
        return hashlib.sha256(self._hash + self.grid(grid).tobytes()).digest()

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file, whole or not at all.

        Raises
        ------
        RatioMapError
            The suffix is another.
        WriteError
            The file cannot be written.
        """
        from focalloop.firmware_sim.maps import map_files

        map_files.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> AdaptiveMap:
        """Read a map that `save` wrote.

        Raises
        ------
        RatioMapError
            The file is unreadable, too large, or not a valid adaptive map.
        """
        from focalloop.firmware_sim.maps import map_files

        return map_files.load_adaptive(Path(path))

    @cached_property
    def _hash(self) -> bytes:
        return hashlib.sha256(self.resting.hash() + self.pack_palette()).digest()


def _array(values: ArrayLike, what: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise RatioMapError(f"the {what} are of different sizes") from None
