"""The policy over ratio maps: sampling, pay, price, and the tile it deploys."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from focalloop.models.errors import TrainError
from focalloop.models.map_learning.most_probable_tile import most_probable
from focalloop.models.map_learning.policy import CREDITS, PolicySettings, TilePolicy

LEVELS = np.array([0, 1, 2, 4, 8])


def settings(**changes: object) -> PolicySettings:
    return replace(PolicySettings(periods=(2,), budget=2.0), **changes)


@given(seed=st.integers(0, 10_000), reads=st.integers(0, 16))
def test_the_deployed_tile_is_the_most_probable_one_of_its_budget(seed: int, reads: int) -> None:
    scores = np.random.default_rng(seed).normal(0, 1, (3, len(LEVELS)))
    found = most_probable(scores, LEVELS, reads)
    sums = {int(sum(choice)) for choice in product(LEVELS, repeat=3)}
    assert abs(int(found.sum()) - reads) == min(abs(total - reads) for total in sums)

    def score(choice: tuple[int, ...]) -> float:
        return sum(scores[cell, k] for cell, k in enumerate(choice))

    fitting = [c for c in product(range(5), repeat=3) if LEVELS[list(c)].sum() == found.sum()]
    best = max(fitting, key=score)
    assert score(tuple(np.searchsorted(LEVELS, found))) == pytest.approx(score(best))


def test_sampling_follows_the_probabilities_and_repeats_the_tile() -> None:
    policy = TilePolicy(settings(budget=None))
    policy.logits.data[:] = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5])
    generator = torch.Generator().manual_seed(0)
    index, levels = policy.sample(20_000, 4, 0.5, generator)
    shares = torch.bincount(index.flatten(), minlength=5) / index.numel()
    expected = policy.probabilities(0.5)[0, 0].detach()
    assert (shares - expected).abs().max() < 5 * 0.5 / index.numel() ** 0.5
    assert torch.equal(levels[:, :2, :2], levels[:, 2:, 2:])
    assert torch.equal(levels[:, :2, :2].long(), policy.levels[index])


def test_pixels_of_own_credit_are_sampled_one_by_one() -> None:
    policy = TilePolicy(settings(credit="own-pixel"))
    index, levels = policy.sample(2, 8, 0.0, torch.Generator().manual_seed(0))
    assert index.shape == (2, 8, 8)
    assert not torch.equal(levels[:, :2, :2], levels[:, 2:4, 2:4])


def test_own_credit_follows_the_papers_gradient() -> None:
    """One SGD step of CRL Eq. 7, written out."""
    policy = TilePolicy(settings(credit="own-pixel", budget=None, exploration=0.0))
    other = TilePolicy(policy.settings)
    index, levels = policy.sample(4, 8, 0.0, torch.Generator().manual_seed(1))
    errors = torch.rand(4, 8, 8) * 0.01
    policy.learn(index, errors, 0.0, 0.0)

    pay = torch.log(1 / (errors + 1e-4)) - policy.price * levels
    chosen = torch.log_softmax(other.logits, -1).repeat(2, 2, 1).expand(4, -1, -1, -1)
    gain = (chosen.gather(-1, index[..., None])[..., 0] * pay).mean()
    before = other.state()["module.generator.expand.bias"]
    (gradient,) = torch.autograd.grad(gain, other._module.generator.expand.bias)
    after = policy.state()["module.generator.expand.bias"]
    torch.testing.assert_close(after, before + 5e-3 * gradient)


def corner_errors(levels: torch.Tensor, alone: bool) -> torch.Tensor:
    """Errors that fall where the top left pixel of a 2x2 tile is measured: there, or everywhere."""
    reads = levels.float()
    shared = reads[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
    if alone:
        corner = torch.zeros(levels.shape[1:])
        corner[::2, ::2] = 1
        return 0.01 * (1 - corner) + corner * 0.01 / (1 + reads)
    return 0.01 / (1 + shared + 0.05 * reads)


def learned(credit: str, steps: int = 400) -> TilePolicy:
    policy = TilePolicy(settings(credit=credit, budget=0.5))
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        explore = 0.2 * (1 - step / steps)
        index, levels = policy.sample(16, 8, explore, generator)
        scene = torch.rand(4, 1, 1, generator=generator).repeat_interleave(4, 0) + 0.5
        errors = corner_errors(levels, alone=credit != "tile") * scene
        policy.learn(index, errors, explore, 0.01 * (1 - step / steps))
    return policy


@pytest.mark.parametrize("credit", ["tile", "neighbourhood"])
def test_reads_go_where_they_help_and_the_price_holds_the_budget(credit: str) -> None:
    policy = learned(credit)
    assert policy.mean_level == pytest.approx(0.5, rel=0.2)
    assert policy.best_tile().tolist() == [[2, 0], [0, 0]]


def test_a_fixed_price_stays_and_a_higher_one_buys_less() -> None:
    dear = replace(settings(budget=None), price=3.0)
    cheap = replace(settings(budget=None), price=0.01)
    means = []
    for chosen in (dear, cheap):
        policy = TilePolicy(chosen)
        generator = torch.Generator().manual_seed(0)
        for _ in range(200):
            index, levels = policy.sample(16, 8, 0.1, generator)
            policy.learn(index, 0.01 / (1 + levels.float()), 0.1, 0.0)
        assert policy.price == chosen.price
        means.append(policy.mean_level)
    assert means[0] < means[1]


def test_a_policy_can_begin_at_a_tile_and_its_repeats() -> None:
    first = np.array([[4, 0], [1, 2]], np.uint8)
    policy = TilePolicy(settings(periods=(4,), budget=1.75), first=first)
    assert np.array_equal(policy.best_tile(), np.tile(first, (2, 2)))
    assert 0.8 < float(policy.probabilities().detach().max(-1).values.mean()) < 0.98


def test_a_larger_period_starts_as_the_smaller_tile_repeated() -> None:
    policy = learned("tile", steps=60)
    chances, price = policy.probabilities().detach(), policy.price
    policy.enter(4)
    assert torch.equal(policy.probabilities().detach(), chances.repeat(2, 2, 1))
    assert policy.price == price


@pytest.mark.parametrize("credit", CREDITS)
def test_a_loaded_policy_goes_on_as_the_saved_one(credit: str) -> None:
    one = learned(credit, steps=20)
    other = TilePolicy(one.settings, (9,))
    other.load_state({name: value.clone() for name, value in one.state().items()})
    for policy in (one, other):
        generator = torch.Generator().manual_seed(5)
        index, levels = policy.sample(8, 4, 0.1, generator)
        policy.learn(index, 0.01 / (1 + levels.float()), 0.1, 0.0)
    assert torch.equal(one.logits, other.logits)
    assert one.price == other.price


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"budget": 0.0}, "outside"), ({"budget": 8.5}, "outside"), ({"credit": "all"}, "not one of")],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TrainError, match=message):
        settings(**changes)
