"""Learning a map with a network, on windows small enough to run in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.map_run import MapRun, with_coding
from focalloop.models.map_learning.policy import PolicySettings
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.training.checkpoint import CHECKPOINT
from focalloop.models.training.map_source import RATIO_MAP, map_coding
from focalloop.models.training.run import LOG, RunSettings
from focalloop.models.training.training_data import TrainingData

SMALL = EdgeSettings(width=8, context=4, blocks=1)
QUICK = RunSettings(steps=10, batch=8, crop=16, warm_up_steps=2, network=SMALL)
POLICY = PolicySettings(budget=1.0, periods=(2, 4), starts=2)


@pytest.mark.parametrize("budget", [0.75, 1.0, 2.5, 4.0])
def test_the_map_keeps_its_budget(training_file: Path, tmp_path: Path, budget: float) -> None:
    data = TrainingData.load(training_file)
    MapRun(replace(POLICY, budget=budget), data, QUICK).train(tmp_path)
    ratio_map = RatioMap.load(tmp_path / RATIO_MAP)
    # Within 1 % or half a read a tile, whichever is larger.
    assert abs(ratio_map.mean_level - budget) <= max(0.01 * budget, 0.5 / ratio_map.tile.size)
    assert ratio_map.tile.shape <= (4, 4)


def test_a_resumed_run_ends_as_an_uninterrupted_one(training_file: Path, tmp_path: Path) -> None:
    data = TrainingData.load(training_file)
    whole = MapRun(POLICY, data, QUICK)
    whole.train(tmp_path / "whole")
    for stop in (2, 7):  # during the trial of several policies, and after it
        first = MapRun(POLICY, data, QUICK)
        for _ in range(stop):
            first.step()
            first.progress.step += 1
        first.save(tmp_path / CHECKPOINT)
        second = MapRun(POLICY, data, QUICK)
        second.resume(tmp_path / CHECKPOINT)
        second.train(tmp_path / f"resumed{stop}")
        ours, theirs = second.state(), whole.state()
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert torch.equal(value, theirs[name]), name


def test_the_log_tells_what_the_policy_does(training_file: Path, tmp_path: Path) -> None:
    MapRun(POLICY, TrainingData.load(training_file), QUICK).train(tmp_path)
    header, last = (tmp_path / LOG).read_text().splitlines()
    entry = dict(zip(header.split(","), last.split(","), strict=True))
    assert float(entry["deployed_mean"]) == 1.0
    assert sum(float(entry[f"share_{n}"]) for n in (0, 1, 2, 4, 8)) == pytest.approx(1, abs=1e-3)
    assert {"price", "entropy", "sampled_mean", "argmax_mean", "sampled_psnr"} <= entry.keys()


def test_a_batch_that_cannot_be_shared_is_refused(training_file: Path) -> None:
    with pytest.raises(TrainError, match="multiple of 8"):
        MapRun(POLICY, TrainingData.load(training_file), replace(QUICK, batch=12))


def test_a_map_for_any_aperture_codes_its_longest_spans_alone() -> None:
    plain = RatioMap.from_tile([[1, 2], [4, 0]], (128, 128))
    coded = with_coding(plain, map_coding(any_aperture=True))
    assert coded.aperture is not None
    assert coded.aperture[:, plain.levels > 1].all()
    assert 0.48 < coded.aperture[:, plain.levels == 1].mean() < 0.52
    assert coded.tiled_to(64, 192).aperture_tile.shape == (16, 64, 64)
    assert with_coding(coded, None) == plain
    assert with_coding(plain, map_coding(any_aperture=False)) == plain.with_aperture_tile(
        APERTURE_TILE
    )
