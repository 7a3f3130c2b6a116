"""Where the ratio maps of a training batch come from: one map, or random tiles and shipped maps.

A network that is trained on random tiles (a *universal* network) reconstructs under any map. It
judges tiles while a map is learned, and the networks of single maps start from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SLOTS
from focalloop.firmware_sim.maps.level_shares import shares_for_mean
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE, repeat
from focalloop.models import zoo
from focalloop.models.training_options import RANDOM_TILES

RATIO_MAP = "ratio_map.npz"
"""File of the map in a bundle, and in the folder of a run."""

PERIODS = ((2, 2), (2, 4), (4, 2), (4, 4), (8, 8), (16, 16))
"""Heights and widths of random tiles, pixels."""
PERIOD_SHARES = (0.2, 0.05, 0.05, 0.4, 0.2, 0.1)
MEAN_LEVELS = (0.6, 5.0)
"""Range of the mean level of random tiles, measurements per pixel; it is drawn log-uniformly."""

MIXED_CROPS = 0.3
"""Share of the crops whose blocks have tiles of their own, as under an adaptive map."""
PALETTE = 5
"""Random tiles of which each block of such a crop takes one."""
BLOCKS = (8, 16, 32)
"""Sides of these blocks, pixels."""
MIXED_MEAN_LEVELS = (0.05, 6.0)
"""`MEAN_LEVELS` of these tiles, some of which measure nothing."""

DEFECTIVE_CROPS = 0.3
"""Share of the crops under random tiles in which single pixels are not measured."""
DEFECT_SHARES = (1e-3, 0.05)
"""Range of the share of such pixels in a crop; it is drawn log-uniformly."""

SHIPPED_CROPS = 0.5
"""Share of the crops of `AnyMap` under a map of a shipped bundle."""

LEVEL_ONE_SHARE = 0.5
"""Share of `RandomApertures` with one measurement everywhere."""
APERTURE_SHARES = (0.8, 0.1, 0.1)
"""Shares of coded apertures drawn for every pixel, drawn for a tile of 4x4, and always open."""
OPEN_SHARES = (0.3, 0.7)
"""Range of the probability that a random aperture is open in a slot."""
LONG_SPANS_ALONE = 0.5
"""Share of the crops in which pixels above a level, 1 or 2, are always open."""
CODED_SIDE = 64
"""Period in pixels of the random aperture under which maps are learned, so that it fits arrays."""


@dataclass(frozen=True, eq=False)
class Coding:
    """A coded aperture, and which pixels have it.

    Attributes
    ----------
    tile : ndarray of bool
        Tile (T, h, w) that repeats over the array; True where a pixel is open.
    max_level : int
        Pixels of higher levels are always open: a short span has little to gain by a code, and
        loses light.
    """

    tile: NDArray[np.bool_]
    max_level: int = DEFAULT_LEVEL_SET[-1]

    def over(self, levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return the aperture (N, T, H, W) over maps (N, H, W)."""
        return repeat(self.tile, *levels.shape[1:]) | (levels > self.max_level)[:, None]


class MapSource(Protocol):
    """Gives the maps of a batch.

    Attributes
    ----------
    name : str
        Identifies the source in checkpoints.
    slots : int
        Frames per window, T.
    """

    name: str
    slots: int

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        """Return the levels (count, side, side) of `count` crops."""
        ...

    def apertures(
        self, rng: np.random.Generator, levels: NDArray[np.uint8]
    ) -> NDArray[np.bool_] | None:
        """Return their coded apertures (count or 1, T, side, side); None without any."""
        ...


class OneAperture:
    """The same coded aperture, or none, for every crop.

    Attributes
    ----------
    aperture : ndarray of bool or None
        Tile (T, h, w) that repeats over the array, or None.
    """

    aperture: NDArray[np.bool_] | None

    def apertures(
        self, rng: np.random.Generator, levels: NDArray[np.uint8]
    ) -> NDArray[np.bool_] | None:
        """Repeat the aperture."""
        return None if self.aperture is None else repeat(self.aperture, *levels.shape[1:])[None]


class OneMap(OneAperture):
    """The same map for every crop, always in the same phase."""

    def __init__(self, ratio_map: RatioMap) -> None:
        self.ratio_map = ratio_map
        self.name = ratio_map.hash_hex
        self.slots = ratio_map.slots
        self.aperture = ratio_map.aperture

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        """Repeat the map's tile; crops begin at its top left corner."""
        levels = self.ratio_map.with_aperture(None).tiled_to(side, side).levels
        return np.broadcast_to(levels, (count, side, side))


class RandomTiles(OneAperture):
    """A new random tile for every crop, of few or many different levels and of varying mean.

    In some crops each block has one of several tiles, as under an adaptive map. In some, pixels
    here and there are not measured, like the defects of a sensor.
    """

    name = "random tiles, in blocks too, with defects"

    def __init__(
        self, slots: int = DEFAULT_SLOTS, aperture: NDArray[np.bool_] | None = None
    ) -> None:
        self.slots = slots
        self.aperture = aperture

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        """Draw tiles, repeat them, and leave out pixels."""
        levels = np.stack([self.drawn(rng, side) for _ in range(count)])
        for crop in levels:
            if rng.random() < DEFECTIVE_CROPS:
                share = np.exp(rng.uniform(*np.log(DEFECT_SHARES)))
                crop[rng.random(crop.shape) < share] = 0
        return levels

    def drawn(self, rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
        """Draw the map (side, side) of one crop, without defects."""
        return _random_crop(rng, side)


class AnyMap(RandomTiles):
    """Random tiles, and in some crops the shipped maps, under which most windows are taken."""

    name = "random tiles and shipped maps, with defects"

    def __init__(
        self, slots: int = DEFAULT_SLOTS, aperture: NDArray[np.bool_] | None = None
    ) -> None:
        super().__init__(slots, aperture)
        every_map = (named_map(name) for name in zoo.BUNDLES)
        plain = [known for known in every_map if known.aperture is None and known.slots == slots]
        self._shipped = list({known.hash_hex: known.levels for known in plain}.values())

    def drawn(self, rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
        """Draw the map (side, side) of one crop, without defects."""
        if rng.random() >= SHIPPED_CROPS:
            return super().drawn(rng, side)
        return repeat(self._shipped[rng.integers(len(self._shipped))], side, side)


class RandomApertures:
    """Any maps and one measurement per pixel, seen through all kinds of coded apertures.

    Most apertures are drawn for each pixel of the crop; some repeat a tile, some are always open,
    and some code only the pixels with long spans.
    """

    name = "any map through random apertures"

    def __init__(self, slots: int = DEFAULT_SLOTS) -> None:
        self.slots = slots
        self._maps = AnyMap(slots)

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        """Draw maps; where the aperture is to tell all, every level is 1."""
        levels = self._maps.levels(rng, count, side)
        levels[rng.random(count) < LEVEL_ONE_SHARE] = 1
        return levels

    def apertures(self, rng: np.random.Generator, levels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Draw apertures."""
        count, side, _ = levels.shape
        drawn = np.empty((count, self.slots, side, side), np.bool_)
        for aperture, own in zip(drawn, levels, strict=True):
            period = rng.choice([side, 4, 1], p=APERTURE_SHARES)
            open_share = 1.0 if period == 1 else rng.uniform(*OPEN_SHARES)
            tile = rng.random((self.slots, period, period)) < open_share
            alone = rng.random() < LONG_SPANS_ALONE
            above = int(rng.integers(1, 3)) if alone else DEFAULT_LEVEL_SET[-1]
            aperture[:] = Coding(tile, above).over(own[None])[0]
        return drawn


def map_source(name_or_path: str, aperture: bool, any_aperture: bool = False) -> MapSource:
    """Find maps by name: `RANDOM_TILES` for `AnyMap`, or what `named_map` knows.

    With `aperture`, maps without a coded aperture of their own get `APERTURE_TILE`; with
    `any_aperture`, random tiles get random ones.
    """
    if name_or_path == RANDOM_TILES and any_aperture:
        return RandomApertures()
    if name_or_path == RANDOM_TILES:
        return AnyMap(aperture=APERTURE_TILE if aperture else None)
    ratio_map = named_map(name_or_path)
    if aperture and ratio_map.aperture is None:
        ratio_map = ratio_map.with_aperture_tile(APERTURE_TILE)
    return OneMap(ratio_map)


def named_map(name_or_path: str) -> RatioMap:
    """Load a map by name: a named tile, that of a shipped bundle, or a map file.

    Raises
    ------
    RatioMapError
        There is no such map, or the file cannot be used.
    """
    if name_or_path in zoo.BUNDLES:
        return RatioMap.load(zoo.FOLDER / name_or_path / RATIO_MAP)
    return RatioMap.load(name_or_path)


def _random_crop(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """Repeat one random tile, or in each block one of a palette."""
    if rng.random() >= MIXED_CROPS:
        return repeat(random_tile(rng, MEAN_LEVELS), side, side)
    palette = [repeat(random_tile(rng, MIXED_MEAN_LEVELS), side, side) for _ in range(PALETTE)]
    block = rng.choice(BLOCKS)
    grid = rng.integers(PALETTE, size=(-(-side // block),) * 2)
    chosen = grid.repeat(block, axis=0).repeat(block, axis=1)[:side, :side]
    return np.choose(chosen, palette)


def random_tile(rng: np.random.Generator, mean_levels: tuple[float, float]) -> NDArray[np.uint8]:
    """Draw a tile (h, w): a period, a mean level, and shares of the levels with that mean."""
    shape = PERIODS[rng.choice(len(PERIODS), p=PERIOD_SHARES)]
    mean = np.exp(rng.uniform(*np.log(mean_levels)))
    prior = rng.dirichlet(np.full(len(DEFAULT_LEVEL_SET), 0.5)) + 1e-6
    shares = shares_for_mean(mean, prior=prior)
    return rng.choice([*shares], shape, p=[*shares.values()]).astype(np.uint8)


def map_coding(any_aperture: bool) -> Coding:
    """Return the coded aperture that maps are learned under.

    For a network that sees any aperture, it is a random one, and codes the longest spans alone.
    """
    if not any_aperture:
        return Coding(APERTURE_TILE)
    drawn = RatioMap.uniform(1, (CODED_SIDE, CODED_SIDE)).with_random_aperture().aperture
    assert drawn is not None
    return Coding(drawn, max_level=1)
