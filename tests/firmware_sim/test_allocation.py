"""The least error for a budget, against exhaustive search."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.allocation import BudgetError, allocate


def options(seed, count=7, places=40):
    """Errors and costs without any order among the options."""
    rng = np.random.default_rng(seed)
    cost = rng.choice([0, 4, 16, 64, 100, 256, 1024], count, replace=False)[:, None]
    cost = cost * rng.choice([1.0, 0.5], places)  # some blocks are cut off
    return rng.lognormal(-6, 2, (count, places)), cost


def spent(chosen, cost):
    return cost[chosen, np.arange(cost.shape[1])].sum()


@given(st.integers(0, 10_000), st.floats(0, 1.2))
@settings(max_examples=100, deadline=None)
def test_the_budget_is_kept_and_used(seed, share):
    error, cost = options(seed)
    least, most = cost.min(0).sum(), cost.max(0).sum()
    budget = least + share * (most - least)
    chosen = allocate(error, cost, budget)
    left = budget - spent(chosen, cost)
    assert left >= 0
    steps = cost - cost[chosen, np.arange(cost.shape[1])]
    assert not ((steps > 0) & (steps <= left)).any()
    assert np.array_equal(chosen, allocate(error, cost, budget))


@pytest.mark.parametrize("seed", range(3))
def test_little_is_left_to_gain(seed):
    """No choice for the budget is better than the best Lagrangian bound."""
    error, cost = options(seed, places=500)
    error, cost = -np.sort(-error, axis=0), np.sort(cost, axis=0)  # the dearer, the better
    for share in (0.1, 0.3, 0.6):
        budget = cost.min(0).sum() + share * (cost.max(0).sum() - cost.min(0).sum())
        prices = np.concatenate([[0], np.geomspace(1e-8, 1e-1, 2000)])
        bound = max((error + price * cost).min(0).sum() - price * budget for price in prices)
        found = error[allocate(error, cost, budget), np.arange(500)].sum()
        assert bound <= found <= bound * 1.05


def test_at_a_price_the_choice_is_optimal():
    """Two options, the dearer better by a different amount everywhere: the largest gains win."""
    gain = np.random.default_rng(0).permutation(20) + 1.0
    error = np.stack([gain, np.zeros(20)])
    cost = np.stack([np.zeros(20), np.ones(20)])
    chosen = allocate(error, cost, 7.5)
    assert set(gain[chosen == 1]) == set(range(14, 21))


def test_a_budget_is_used_where_the_dear_options_are_worse():
    error = np.stack([np.arange(10.0), np.arange(10.0) * 2 + 1])
    cost = np.stack([np.zeros(10), np.ones(10)])
    chosen = allocate(error, cost, 4)
    assert list(np.flatnonzero(chosen)) == [0, 1, 2, 3]  # where they cost least error


def test_a_budget_below_the_least_is_refused():
    error, cost = np.ones((2, 3)), np.full((2, 3), 5.0)
    with pytest.raises(BudgetError, match="a budget of 14 is below 15, the least"):
        allocate(error, cost, 14)
