"""The search over tiles: what it tries, what it keeps, and that a better tile wins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.noise import preset
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.tile_candidates import altered, canonical, drawn, levels_of_sum
from focalloop.models.map_learning.tile_search import SearchSettings, scene_psnr, search_tiles
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.training.learner import Learner
from focalloop.models.training.training_data import TrainingData

SMALL = EdgeSettings(width=16, context=8, blocks=1)
QUICK = SearchSettings(
    period=(2, 2), candidates=4, crops=2, finalists=2, crop=16, lessons=1, generations=2
)


@pytest.fixture
def learner() -> Learner:
    torch.manual_seed(0)
    return Learner(SMALL, preset("paper"))


@pytest.fixture
def data(training_file: Path) -> TrainingData:
    return TrainingData.load(training_file)


@pytest.mark.parametrize("regular", [False, True])
@pytest.mark.parametrize(("period", "reads"), [((4, 4), 16), ((2, 6), 5), ((3, 3), 72)])
def test_drawn_and_altered_tiles_keep_the_budget(
    period: tuple[int, int], reads: int, regular: bool
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        tile = drawn(rng, period, reads, regular=regular)
        for candidate in (tile, altered(rng, tile)):
            assert candidate.shape == period
            assert candidate.sum() == reads
            assert set(candidate.ravel()) <= set(DEFAULT_LEVEL_SET)


def test_regular_tiles_repeat_under_a_shift() -> None:
    rng = np.random.default_rng(1)
    tiles = [drawn(rng, (4, 4), 16, regular=True) for _ in range(40)]
    shifts = [(dy, dx) for dy in range(4) for dx in range(4) if dy or dx]
    repeating = [any((np.roll(t, s, (0, 1)) == t).all() for s in shifts) for t in tiles]
    assert np.mean(repeating) > 0.8


def test_levels_of_a_sum_are_drawn_by_their_shares() -> None:
    rng = np.random.default_rng(0)
    # Two levels that sum to 4: {0, 4}, {4, 0} and {2, 2}, with chances 1/16, 1/16 and 1/4.
    shares = np.array([0.25, 0.0, 0.5, 0.25, 0.0])
    first = np.array([levels_of_sum(rng, 2, 4, shares)[0] for _ in range(600)])
    assert np.mean(first == 2) == pytest.approx(2 / 3, abs=0.07)
    assert np.mean(first == 0) == pytest.approx(1 / 6, abs=0.05)


def test_shifts_mirror_images_and_turns_have_one_canonical_form() -> None:
    rng = np.random.default_rng(0)
    tile = drawn(rng, (4, 4), 16, regular=False)
    same = [np.roll(tile, (1, 3), (0, 1)), tile[::-1], tile[:, ::-1], tile.T, np.rot90(tile)]
    for other in same:
        assert (canonical(other) == canonical(tile)).all()
    wide = drawn(rng, (2, 4), 9, regular=False)
    assert (canonical(np.roll(wide, 3, 1)[::-1]) == canonical(wide)).all()
    assert not (canonical(np.eye(4, dtype=np.uint8)) == canonical(tile)).all()


def test_tiles_are_scored_on_the_same_noise_whatever_the_others(
    learner: Learner, data: TrainingData
) -> None:
    scenes = data.crops(np.random.default_rng(0), 3, 16)
    tile = np.array([[2, 1], [1, 0]], np.uint8)
    first = scene_psnr(learner, scenes, tile, 5)
    assert first.shape == (3,)
    assert (scene_psnr(learner, scenes, tile, 5) == first).all()
    assert (scene_psnr(learner, scenes, tile, 6) != first).any()


def test_a_search_ends_with_different_tiles_of_the_budget_best_first(
    learner: Learner, data: TrainingData
) -> None:
    seen: list[int] = []
    ranking = search_tiles(
        learner, data, 1.0, QUICK, progress=lambda number, _: seen.append(number)
    )
    assert seen == [1, 2]
    assert len(ranking) == QUICK.finalists
    assert [one.psnr for one in ranking] == sorted((r.psnr for r in ranking), reverse=True)
    assert len({one.tile.tobytes() for one in ranking}) == len(ranking)
    for one in ranking:
        assert one.tile.mean() == 1
        assert (canonical(one.tile) == one.tile).all()


class PrefersTwosBesideNothing(Learner):
    """Reports errors, not without noise, that a checkerboard of 2 and 0 has the least of."""

    def errors(
        self,
        scene: Tensor,
        levels: Tensor,
        aperture: Tensor | None,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        signed = levels.int()
        steps = [(signed - signed.roll(1, axis)).abs() == 2 for axis in (1, 2)]
        noise = 1 + 0.1 * torch.rand(len(scene), 1, 1, generator=generator)
        return noise * (3.0 - steps[0].float() - steps[1].float()) / 100


def test_a_search_finds_what_the_judge_likes_best(data: TrainingData) -> None:
    judge = PrefersTwosBesideNothing(SMALL, preset("paper"))
    settings = replace(QUICK, period=(4, 4), candidates=32, generations=8)
    best = search_tiles(judge, data, 1.0, settings)[0].tile
    assert best.tolist() == [[0, 2, 0, 2], [2, 0, 2, 0]] * 2


def test_a_search_is_repeated_by_its_seed(learner: Learner, data: TrainingData) -> None:
    settings = replace(QUICK, generations=1)
    one, two = (search_tiles(learner, data, 1.0, settings) for _ in range(2))
    assert [(r.tile.tolist(), r.psnr) for r in one] == [(r.tile.tolist(), r.psnr) for r in two]


def test_the_judge_learns_the_finalists_between_generations(data: TrainingData) -> None:
    torch.manual_seed(0)
    judge = Learner(SMALL, preset("paper"))
    settings = replace(QUICK, lessons=30)
    (only,) = search_tiles(judge, data, 1.0, replace(settings, finalists=1, generations=1))
    scenes = data.crops(np.random.default_rng(1), 8, 16)
    before = scene_psnr(judge, scenes, only.tile, 0).mean()
    search_tiles(judge, data, 1.0, settings)
    assert scene_psnr(judge, scenes, only.tile, 0).mean() > before


def test_impossible_searches_are_refused(learner: Learner, data: TrainingData) -> None:
    with pytest.raises(TrainError, match=r"outside \(0, 8\]"):
        search_tiles(learner, data, 9.0, QUICK)
    with pytest.raises(TrainError, match="do not fit"):
        search_tiles(learner, data, 1.0, replace(QUICK, crop=64))
    with pytest.raises(TrainError, match="generations or minutes"):
        replace(QUICK, generations=None)
    with pytest.raises(TrainError, match="5 of 4"):
        replace(QUICK, finalists=5)
