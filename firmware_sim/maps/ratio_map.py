"""Ratio maps: how often each pixel of the array is measured in one window.

A *window* has ``T`` slots. A pixel of *level* ``n`` is measured ``n`` times per window, back to
back, and each measurement integrates a *span* of ``L = T/n`` slots; level 0 is never measured. The
levels of all pixels, and optionally a *coded aperture* that shuts single pixels in single slots,
are the whole program of the sensor. See ``docs/concepts.md`` for the terms and
``docs/file-formats.md`` for the files and the packed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.maps.checks import (
    RatioMapError as RatioMapError,
    check_level_set,
    checked_aperture,
    checked_levels,
    checked_shape,
    size_text,
)
from focalloop.firmware_sim.maps.defaults import (
    DEFAULT_LEVEL_SET,
    DEFAULT_SHAPE,
    DEFAULT_SLOTS,
    NAMED_TILES,
)
from focalloop.firmware_sim.maps.packed_form import (
    map_hash,
    pack_aperture,
    pack_levels,
    unpack_aperture,
    unpack_levels,
)
from focalloop.firmware_sim.maps.tiles import continues, repeat, tile_of
from focalloop.firmware_sim.pictures import png

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


@dataclass(frozen=True, eq=False)
class RatioMap:
    """Levels of every pixel of an array, with the optional coded aperture.

    Parameters
    ----------
    levels : array_like of int, shape (H, W)
        Measurements per window of each pixel, all in `level_set`; H and W are 1..65535, with at
        most `checks.MAX_PIXELS` pixels. Kept as a read-only ``uint8`` copy.
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
        check_level_set(self.slots, self.level_set)
        levels = checked_levels(self.levels, self.level_set)
        object.__setattr__(self, "levels", levels)
        if self.aperture is not None:
            aperture = checked_aperture(self.aperture, (self.slots, *levels.shape))
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
        return replace(checked, levels=repeat(checked.levels, *checked_shape(shape)))

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
        height, width = checked_shape(shape)
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
            size_text(self.shape),
            f"tile {size_text(self.tile.shape)}" if repeats else "no tile",
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
    def measured(self) -> NDArray[np.bool_]:
        """Pixels (H, W) of which a window says something: read, and not closed in every slot."""
        read = self.levels > 0
        return read if self.aperture is None else read & self.aperture.any(axis=0)

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

    def check_measures(self) -> None:
        """Check that some pixel is measured.

        Raises
        ------
        RatioMapError
            Every pixel has level 0, or the coded aperture keeps those that do not closed.
        """
        if not self.levels.any():
            raise RatioMapError(
                "the ratio map measures nothing, since every pixel has level 0: give some pixels "
                "a level of 1 or more"
            )
        if not self.measured.any():
            raise RatioMapError(
                "the ratio map measures nothing, since its coded aperture never opens: open it in "
                "some slots"
            )

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
        size = checked_shape((height, width))
        for what, tile in (("it", self.tile), ("its coded aperture", self.aperture_tile)):
            if tile is not None and not continues(tile.shape[-2:], self.shape, size):
                raise RatioMapError(
                    f"the ratio map is for {size_text(self.shape)} pixels and cannot be fitted to "
                    f"{size_text(size)}: {what} does not repeat a tile; use a periodic map or one "
                    "made for that size"
                )
        fitted = replace(self, levels=repeat(self.tile, *size), aperture=None)
        return fitted if tile is None else fitted.with_aperture_tile(tile)

    def with_aperture(self, aperture: ArrayLike | None) -> RatioMap:
        """Return the same levels with another coded aperture (T, H, W), or without one."""
        return replace(self, aperture=None if aperture is None else np.asarray(aperture))

    def with_aperture_tile(self, tile: ArrayLike) -> RatioMap:
        """Return the same levels with the aperture tile (T, h, w), repeated over the array."""
        array = np.asarray(tile)
        sides = checked_shape((1, *array.shape)[-2:])
        checked = checked_aperture(array, (self.slots, *sides))
        return self.with_aperture(repeat(checked, *self.shape))

    def with_random_aperture(self, seed: int = 0, open_share: float = 0.5) -> RatioMap:
        """Return the same levels with each pixel open in a slot with probability `open_share`."""
        # Not the draws that `random` places levels by.
        draws = np.random.default_rng((seed, 1)).random((self.slots, *self.shape), np.float32)
        return self.with_aperture(draws < open_share)

    def with_packed_aperture(self, data: bytes) -> RatioMap:
        """Return the same levels with the aperture that `pack_aperture` packed."""
        return self.with_aperture(unpack_aperture(data, (self.slots, *self.shape)))

    def pack(self) -> bytes:
        """Pack the levels as the wire's map object; see `packed_form.pack_levels`."""
        return pack_levels(self.tile, self.shape, self.slots, self.level_set)

    @classmethod
    def unpack(cls, data: bytes, packed_aperture: bytes | None = None) -> RatioMap:
        """Rebuild a map from the bytes of `pack` and, optionally, of `pack_aperture`.

        Raises
        ------
        RatioMapError
            `data` is truncated, too long, or does not describe a valid map.
        """
        unpacked = cls(*unpack_levels(data))
        if packed_aperture is None:
            return unpacked
        return unpacked.with_packed_aperture(packed_aperture)

    def pack_aperture(self) -> bytes:
        """Pack the coded aperture as the wire's mask object; see `packed_form.pack_aperture`.

        Raises
        ------
        RatioMapError
            The map has no coded aperture.
        """
        if self.aperture is None:
            raise RatioMapError("the ratio map has no coded aperture to pack")
        return pack_aperture(self.aperture)

    def hash(self) -> bytes:
        """Return the SHA-256 that identifies this map on both ends of a wire (32 bytes)."""
        return map_hash(self.levels, self.slots, self.level_set, self.aperture)

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
        if not exists(name_or_path):
            raise RatioMapError(
                f"there is no ratio map {str(name_or_path)!r}: give a .npz or .png file, a named "
                f"tile ({', '.join(NAMED_TILES)}), or take a bundle's: Bundle.load(name).ratio_map"
            )
        loaded = map_files.load(Path(name_or_path), slots, tuple(level_set))
        return loaded if shape is None else loaded.tiled_to(*shape)
