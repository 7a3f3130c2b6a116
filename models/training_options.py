"""The options of ``focalloop train``, checked before anything heavy is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, DEFAULT_SLOTS
from focalloop.models.errors import OptionsError

DEFAULT_MAP = "tile-2of16"
RANDOM_TILES = "random-tiles"
"""Given instead of a map, for a universal network."""

ADAPTIVE_GRIDS = "adaptive-grids"
"""Given instead of a map, for the network of adaptive maps, which remembers the last frame."""
MANY_MAPS = (RANDOM_TILES, ADAPTIVE_GRIDS)

DEFAULT_NOISE = "paper"

MAX_BUDGET = DEFAULT_LEVEL_SET[-1] / DEFAULT_SLOTS
"""Highest average ratio: every pixel at the highest level."""

QUICK_BUDGET, QUICK_MINUTES = 0.125, 18.0
MAP_SHARE = 1 / 3

MAP, NETWORK, PRICE = "map", "network", "price-"
"""Folders of runs in the folder of a training; the last is followed by the price."""


@dataclass(frozen=True)
class TrainingOptions:
    """One training, as the user asks for it.

    Attributes
    ----------
    folder : Path
        Where its runs are kept.
    data, footage : Path or None
        A file of `focalloop data build`, or one's own videos and pictures; one of the two.
    white : float or None
        The value of white in footage whose files leave it open.
    ratio_map : str or None
        Map file, named tile, shipped bundle whose map to take, or one of `MANY_MAPS`, to
        train a network for.
    budget : float or None
        Average ratio of a map to learn and train a network for, in (0, `MAX_BUDGET`].
    prices : tuple of float
        Prices of a measurement, to learn a map at each. One of these three is given.
    minutes, steps : float or None or int or None
        What may be spent; at least one is given.
    map_share : float
        Share of it for the map, where a map is learned with its network.
    periods : tuple of int
        Sides of the learned tile in turn, pixels; empty for the defaults.
    search : bool
        Whether a search finds the tiles that the policy begins at.
    schedule : {"cosine", "flat"}
        As in `focalloop.models.training.run.RunSettings`.
    credit, network : str
        As in `focalloop.models.map_learning.policy` and `focalloop.models.networks.profiles`.
    noise : str or None
        Noise profile of the sensor, a preset or a file; None for `DEFAULT_NOISE`, and for other
        noise too where the network is universal.
    corrected : bool
        Whether its fixed pattern is corrected, by a default calibration, before anything is
        reconstructed.
    aperture : bool
        Whether to measure through the coded aperture.
    start : str or None
        Weights to start from; None for the universal weights if they fit.
    learning_rate : float or None
        Highest learning rate; None for the default of the starting weights.
    rounded : bool
        Whether the network of a given map learns with the rounding of an 8-bit bundle.
    batch, crop, seed : int
        As in `focalloop.models.training.run.RunSettings`.

    Raises
    ------
    OptionsError
        Naming the options that contradict each other or are out of range.
    """

    folder: Path
    data: Path | None = None
    footage: Path | None = None
    white: float | None = None
    ratio_map: str | None = None
    budget: float | None = None
    prices: tuple[float, ...] = ()
    minutes: float | None = None
    steps: int | None = None
    map_share: float = MAP_SHARE
    periods: tuple[int, ...] = ()
    search: bool = True
    schedule: Literal["cosine", "flat"] = "cosine"
    credit: str = "tile"
    network: str = "edge"
    noise: str | None = None
    corrected: bool = False
    aperture: bool = False
    start: str | None = None
    learning_rate: float | None = None
    rounded: bool = False
    batch: int = 16
    crop: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        kinds = (self.ratio_map is not None, self.budget is not None, bool(self.prices))
        if sum(kinds) != 1:
            raise OptionsError("give one of --map, --budget and --price")
        if (self.data is None) == (self.footage is None):
            raise OptionsError("give either --data or --footage")
        if self.white is not None and self.footage is None:
            raise OptionsError("--white is for --footage")
        if self.minutes is None and self.steps is None:
            raise OptionsError("give --minutes or --steps")
        for option, value in (
            ("--minutes", self.minutes),
            ("--learning-rate", self.learning_rate),
            *(("--price", price) for price in self.prices),
        ):
            if value is not None and not 0 < value < math.inf:
                raise OptionsError(f"{option} {value:g} is not a finite number above 0")
        if self.budget is not None and not 0 < self.budget <= MAX_BUDGET:
            raise OptionsError(
                f"a budget of {self.budget:g} is outside (0, {MAX_BUDGET:g}]: it is an average "
                f"ratio, and a pixel is measured at most {DEFAULT_LEVEL_SET[-1]} times in "
                f"{DEFAULT_SLOTS} slots"
            )
        if not 0 < self.map_share < 1:
            raise OptionsError(f"--map-share {self.map_share:g} is not between 0 and 1")
        if self.ratio_map == ADAPTIVE_GRIDS and (self.network != "edge" or self.aperture):
            raise OptionsError(
                f"--map {ADAPTIVE_GRIDS} makes a network with memory: only --network edge without "
                "--aperture has one"
            )
        if self.rounded and (self.network != "edge" or self.ratio_map is None):
            raise OptionsError(
                "--rounded is for the edge network of a map: give --map, and leave out --network "
                "or ask for edge"
            )
        if len(set(self.prices)) < len(self.prices):
            raise OptionsError("--price gives the same price twice")
        for side, next_side in zip(self.periods, self.periods[1:], strict=False):
            if next_side <= side or next_side % side:
                raise OptionsError(f"--period {next_side} is not a larger multiple of {side}")
        if any(side > self.crop for side in self.periods):
            raise OptionsError(f"--period {self.periods[-1]} is larger than a crop of {self.crop}")

    def first_runs(self) -> list[Path]:
        """Return the folders of the runs that do not start from another."""
        if self.prices:
            return [self.folder / f"{PRICE}{price:g}" for price in self.prices]
        return [self.folder / MAP if self.budget is not None else self.folder]
