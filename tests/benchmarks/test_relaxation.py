"""Relaxed choices of levels: exact forward, useful gradients backward, and the budget kept."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.relaxation import (
    RELAXATIONS,
    RelaxationSettings,
    RelaxedRun,
    every_level,
    gumbel,
    reconstruct,
    straight_through,
)
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.networks.profiles import default_settings
from focalloop.models.training.checkpoint import CHECKPOINT
from focalloop.models.training.learner import Learner
from focalloop.models.training.map_source import RATIO_MAP
from focalloop.models.training.run import LOG, RunSettings
from focalloop.models.training.training_data import TrainingData

SMALL = EdgeSettings(width=16, context=8, blocks=1)
QUICK = RunSettings(steps=6, batch=2, crop=16, warm_up_steps=2, network=SMALL)


def run_of(method: str, training_file: Path, **changes: object) -> RelaxedRun:
    relaxation = replace(RelaxationSettings(1.0, method), **changes)  # type: ignore[arg-type]
    return RelaxedRun(relaxation, TrainingData.load(training_file), QUICK)


def test_a_sigmoid_is_cut_into_five_equal_bins() -> None:
    shares = torch.tensor([0.01, 0.19, 0.21, 0.5, 0.79, 0.81, 0.99])
    chosen = straight_through((shares / (1 - shares)).log()).argmax(-1)
    assert chosen.tolist() == [0, 0, 1, 2, 3, 4, 4]


def test_a_step_of_the_cut_is_worth_the_difference_of_its_nearest_levels() -> None:
    worth = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0])
    for share, slope in ((0.05, 1.0), (0.25, 1.0), (0.35, 3.0), (0.55, 5.0), (0.95, 7.0)):
        number = torch.tensor(share).logit().requires_grad_()
        (straight_through(number) * worth).sum().backward()
        assert number.grad is not None
        assert float(number.grad) == pytest.approx(slope * 5 * share * (1 - share), rel=1e-4)


def test_gumbel_draws_follow_the_softmax_and_are_exactly_one_hot() -> None:
    logits = torch.tensor([[0.0, 1.0, 0.5, -1.0, 2.0]], requires_grad=True)
    choice = gumbel(logits, 0.5, 4000, torch.Generator().manual_seed(0))
    assert choice.shape == (4000, 1, 5)
    assert set(choice.detach().unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(choice.detach().mean(0), logits.softmax(-1), atol=0.03, rtol=0)
    (choice * torch.arange(5)).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 4]) > 0 > float(logits.grad[0, 0])


def test_choosing_among_all_levels_is_measuring_under_the_map() -> None:
    torch.manual_seed(0)
    learner = Learner(SMALL, preset("ideal"), bfloat16=False)
    for parameter in learner.network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    scene = torch.rand(2, 16, 24, 20)
    index = torch.randint(5, (2, 24, 20))
    generator = torch.Generator()
    choice = torch.nn.functional.one_hot(index, 5).movedim(-1, 1).float()
    relaxed = reconstruct(learner, every_level(learner, scene, generator), choice)
    levels = torch.tensor(DEFAULT_LEVEL_SET)[index].byte()
    inputs = learner.measure(scene, levels, None, generator)
    torch.testing.assert_close(relaxed, learner.network(**inputs), atol=1e-5, rtol=1e-5)


def test_the_gradient_knows_that_measuring_a_pixel_would_help() -> None:
    torch.manual_seed(0)
    learner = Learner(SMALL, preset("ideal"), bfloat16=False)
    scene = torch.rand(1, 1, 16, 16).expand(-1, 16, -1, -1)  # no pixel tells of another
    choice = torch.zeros(1, 5, 16, 16)
    choice[:, 2] = 1
    choice[0, :, 8, 8] = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    choice.requires_grad_()
    planes = every_level(learner, scene, torch.Generator())
    error = (reconstruct(learner, planes, choice) - scene).square().sum()
    (gradient,) = torch.autograd.grad(error, [choice])
    assert float(gradient[0, 2, 8, 8]) < float(gradient[0, 0, 8, 8]) - 0.1


@pytest.mark.parametrize("method", RELAXATIONS)
def test_a_run_leaves_a_map_of_the_budget(method: str, training_file: Path, tmp_path: Path) -> None:
    run = run_of(method, training_file)
    before = run.numbers.detach().clone()
    judge = {name: value.clone() for name, value in run.learner.network.state_dict().items()}
    run.train(tmp_path)
    assert not torch.equal(run.numbers, before)
    for name, value in run.learner.network.state_dict().items():
        assert torch.equal(judge[name], value)
    tile = run.best_tile()
    assert tile.shape == (4, 4)
    assert tile.mean() == 1
    assert (RatioMap.load(tmp_path / RATIO_MAP).levels[:4, :4] == tile).all()
    with (tmp_path / LOG).open() as log:
        (row,) = csv.DictReader(log)
    assert float(row["deployed_mean"]) == 1
    assert float(row["relaxed_mean"]) > 0


@pytest.mark.parametrize("method", RELAXATIONS)
def test_the_price_rises_until_the_budget_is_kept(method: str, training_file: Path) -> None:
    # The untrained judge's errors hardly matter at such a price: what is over budget is given up.
    run = run_of(method, training_file, price=5.0, learning_rate=0.3, budget=2.0)
    for _ in range(5):
        run.step()
    assert run.price > 5
    for _ in range(20):
        run.step()
    assert float(run.log_entry()["relaxed_mean"]) < 2.0
    price = run.price
    run.step()
    assert run.price < price


def test_the_judge_can_learn_along(training_file: Path) -> None:
    run = run_of("gumbel", training_file, judge_learns=True)
    before = run.learner.network.head.bias.detach().clone()
    run.step()
    assert not torch.equal(before, run.learner.network.head.bias)


@pytest.mark.parametrize("method", RELAXATIONS)
def test_a_resumed_relaxation_ends_as_an_uninterrupted_one(
    method: str, training_file: Path, tmp_path: Path
) -> None:
    whole = run_of(method, training_file)
    whole.train(tmp_path / "whole")
    first = run_of(method, training_file)
    for _ in range(3):
        first.step()
        first.progress.step += 1
    first.save(tmp_path / CHECKPOINT)
    second = run_of(method, training_file)
    second.resume(tmp_path / CHECKPOINT)
    second.train(tmp_path / "resumed")
    assert torch.equal(whole.numbers, second.numbers)
    assert whole.price == second.price


def test_impossible_relaxations_are_refused(training_file: Path) -> None:
    with pytest.raises(TrainError, match=r"outside \(0, 8\]"):
        RelaxationSettings(8.5)
    with pytest.raises(TrainError, match="not one of straight-through, gumbel"):
        RelaxationSettings(1.0, "softmax")
    paper = replace(QUICK, network=default_settings("paper"))
    with pytest.raises(TrainError, match="edge network"):
        RelaxedRun(RelaxationSettings(1.0), TrainingData.load(training_file), paper)
