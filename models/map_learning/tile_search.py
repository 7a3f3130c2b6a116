"""Search for a tile by successive halving, in generations.

All candidates of a generation are scored by the same network on the same few crops with the same
noise; the better half continues on twice as many crops, and so on (Jamieson and Talwalkar, 2016).
The first generation is broad, and most of its tiles equal themselves when shifted by some vector:
such tiles spread their reads evenly, and changing a few cells at a time seldom finds them. The
later generations consist of the finalists and of tiles that differ from one in a few places. The
judge is a network that serves all tiles; between generations it trains on the finalists and their
variants, because a network that knows a tile tells more about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.tiles import repeat
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.tile_candidates import Tile, altered, canonical, drawn
from focalloop.models.training.learner import ERROR_FLOOR, Learner
from focalloop.models.training.map_source import Coding
from focalloop.models.training.network_run import coded
from focalloop.models.training.training_data import TrainingData

MAX_CROPS_AT_ONCE = 32
"""Crops that are reconstructed in one batch."""
ATTEMPTS = 20
"""Draws per wanted candidate, after which a generation is taken to be complete."""
BROAD = 8
"""The first generation has this many times as many candidates; each is scored on a quarter of the
crops at first."""
LESSON_BATCH, LESSON_RATE = 16, 1.5e-3
"""Crops per step of a lesson, each under a tile of its own, and its first learning rate."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """A tile and its score.

    Attributes
    ----------
    tile : Tile
        (h, w) levels, in canonical form.
    psnr : float
        Mean over the crops, dB; comparable only between tiles on the same crops.
    """

    tile: Tile
    psnr: float


@dataclass(frozen=True)
class SearchSettings:
    """How much a search tries.

    Attributes
    ----------
    period : tuple of int
        Height and width of the tiles, pixels; they include tiles of smaller periods that divide it.
    candidates, crops : int
        Tiles at the start of a generation, and the crops that each is scored on first; the first
        generation has `BROAD` times as many candidates.
    finalists : int
        Tiles at the end of a generation, from which the next one starts.
    crop : int
        Side of a crop, pixels.
    lessons : int
        Training steps of the judge between generations.
    generations, minutes : int or None or float or None
        The budget, of which at least one is given: whichever is reached first ends the search,
        after a whole generation.
    seed : int
        Seed of every random choice.
    """

    period: tuple[int, int] = (4, 4)
    candidates: int = 128
    crops: int = 8
    finalists: int = 8
    crop: int = 64
    lessons: int = 80
    generations: int | None = 4
    minutes: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.generations is None and self.minutes is None:
            raise TrainError("a search needs a budget: give generations or minutes")
        if not 1 <= self.finalists <= self.candidates:
            raise TrainError(
                f"a search cannot end with {self.finalists} of {self.candidates} tiles"
            )


def search_tiles(
    learner: Learner,
    data: TrainingData,
    budget: float,
    settings: SearchSettings | None = None,
    *,
    coding: Coding | None = None,
    progress: Callable[[int, list[Ranked]], None] | None = None,
) -> list[Ranked]:
    """Find the tiles of a budget under which a network reconstructs best.

    Parameters
    ----------
    learner : Learner
        The judge, whose network was trained on random tiles; it keeps learning.
    data : TrainingData
        Training windows to cut crops from.
    budget : float
        Measurements per pixel; tiles cost the nearest whole number of measurements.
    settings : SearchSettings or None, optional
        How much to try.
    coding : Coding or None, optional
        Coded aperture under which tiles are judged, or None.
    progress : callable or None, optional
        Called after every generation with its number, from 1, and its finalists.

    Returns
    -------
    list of Ranked
        The last finalists, best first; no two are shifts, mirror images or rotations of each other.

    Raises
    ------
    TrainError
        If the budget is out of range, or the windows are smaller than the crops.
    """
    settings = settings or SearchSettings()
    max_level = DEFAULT_LEVEL_SET[-1]
    if not 0 < budget <= max_level:
        raise TrainError(
            f"a budget of {budget:g} measurements per pixel is outside (0, {max_level}]"
        )
    reads = max(1, round(budget * settings.period[0] * settings.period[1]))
    started, generation = time.monotonic(), 0
    finalists: list[Ranked] = []
    while not _spent(settings, generation, time.monotonic() - started):
        rng = np.random.default_rng((settings.seed, generation))
        if finalists:
            _teach(learner, data, [one.tile for one in finalists], settings, rng, coding)
        tiles = _candidates(rng, reads, settings, [one.tile for one in finalists])
        finalists = _halved(learner, data, tiles, settings, rng, coding)
        generation += 1
        if progress:
            progress(generation, finalists)
    return finalists


def _spent(settings: SearchSettings, generations: int, seconds: float) -> bool:
    """Whether the budget is spent, or another generation would exceed it."""
    if generations == 0:
        return False
    if settings.generations is not None and generations >= settings.generations:
        return True
    needed = seconds * (generations + 1) / generations
    return settings.minutes is not None and needed > 60 * settings.minutes


def _teach(
    learner: Learner,
    data: TrainingData,
    tiles: list[Tile],
    settings: SearchSettings,
    rng: np.random.Generator,
    coding: Coding | None,
) -> None:
    """Train the judge on `tiles` and their variants, on each tile equally often."""
    noise = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    for number in range(settings.lessons):
        chosen = [tiles[k] for k in rng.integers(len(tiles), size=LESSON_BATCH)]
        shown = [altered(rng, tile) if rng.random() < 0.5 else tile for tile in chosen]
        levels = torch.from_numpy(
            np.stack([repeat(tile, settings.crop, settings.crop) for tile in shown])
        )
        scenes = data.crops(rng, LESSON_BATCH, settings.crop)
        rate = LESSON_RATE * (1 - number / settings.lessons)
        learner.step(scenes, levels, coded(coding, levels), learning_rate=rate, generator=noise)


def _halved(
    learner: Learner,
    data: TrainingData,
    tiles: list[Tile],
    settings: SearchSettings,
    rng: np.random.Generator,
    coding: Coding | None,
) -> list[Ranked]:
    """Score tiles on ever more crops, keeping the better half; return the finalists, best first."""
    noise = int(rng.integers(1 << 31))
    scores = np.zeros((len(tiles), 0))
    crops = settings.crops if len(tiles) <= settings.candidates else max(1, settings.crops // 4)
    while True:
        fresh = data.crops(rng, crops - scores.shape[1], settings.crop)
        seed = noise + scores.shape[1]
        added = [scene_psnr(learner, fresh, tile, seed, coding) for tile in tiles]
        scores = np.concatenate([scores, np.stack(added)], axis=1)
        order = np.argsort(-scores.mean(1), kind="stable")
        if len(tiles) <= settings.finalists:
            return [Ranked(tiles[k], float(scores[k].mean())) for k in order]
        order = order[: max(settings.finalists, len(tiles) // 2)]
        tiles, scores, crops = [tiles[k] for k in order], scores[order], 2 * crops


def scene_psnr(
    learner: Learner,
    scenes: Tensor,
    tile: Tile,
    noise_seed: int,
    coding: Coding | None = None,
) -> NDArray[np.float64]:
    """Return the PSNR in dB of each of `scenes` (N, T, S, S) under a tile.

    All tiles meet the same noise: the k-th measurement of a pixel draws the same number at every
    level. Errors have the same floor as the training loss.
    """
    side = scenes.shape[-1]
    levels = torch.from_numpy(repeat(tile, side, side).copy())[None]
    aperture = coded(coding, levels)
    errors = []
    for first in range(0, len(scenes), MAX_CROPS_AT_ONCE):
        part = scenes[first : first + MAX_CROPS_AT_ONCE]
        generator = torch.Generator().manual_seed(noise_seed + first)
        errors.append(learner.errors(part, levels, aperture, generator=generator).mean((1, 2)))
    return np.asarray(-10 * (torch.cat(errors) + ERROR_FLOOR).log10().double().cpu())


def _candidates(
    rng: np.random.Generator, reads: int, settings: SearchSettings, parents: list[Tile]
) -> list[Tile]:
    """Return distinct tiles: the parents and their variants or, without parents, new tiles."""
    found = {tile.tobytes(): tile for tile in parents}
    wanted = settings.candidates * (1 if parents else BROAD)
    for number in range(ATTEMPTS * wanted):
        if len(found) == wanted:
            break
        if parents:
            # The better a parent, the more variants it has.
            tile = altered(rng, parents[int(len(parents) * rng.random() ** 2)])
        else:
            tile = drawn(rng, settings.period, reads, regular=number % 4 != 0)
        tile = canonical(tile)
        found.setdefault(tile.tobytes(), tile)
    return list(found.values())
