"""Rates of locations for a budget, against exhaustive search and convexity."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.allocation import BudgetError
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget

RATES = (8, 16, 32, 48, 72, 104, 144, 192)


def log_errors(seed, height=12, width=10):
    """Errors that fall with the rate, steeply where there is much to gain."""
    rng = np.random.default_rng(seed)
    scale = rng.normal(-6, 1.5, (height, width))
    slope = rng.uniform(0.002, 0.02, (height, width))
    return (scale - np.array(RATES)[:, None, None] * slope).astype(np.float32)


@given(st.integers(0, 1000), st.floats(8, 192))
@settings(max_examples=50)
def test_the_budget_is_met_within_a_step(seed, mean):
    chosen = rates_for_budget(log_errors(seed), RATES, mean * 120)
    spent = np.array(RATES)[chosen].sum()
    assert chosen.dtype == np.uint8
    assert mean * 120 - 48 < spent <= mean * 120


def test_no_other_choice_of_that_cost_is_better():
    values, rates = log_errors(1, 2, 3)[[0, 3, 5]], (8, 48, 104)
    for budget in (100, 200, 310, 400):
        chosen = rates_for_budget(values, rates, budget).ravel()
        found = np.exp(values.reshape(3, -1))[chosen, np.arange(6)].sum()
        spent = sum(rates[k] for k in chosen)
        best = min(
            np.exp(values.reshape(3, -1))[list(option), np.arange(6)].sum()
            for option in itertools.product(range(3), repeat=6)
            if sum(rates[k] for k in option) <= spent
        )
        assert found <= best * 1.15


def test_it_beats_the_uniform_map_of_the_same_cost():
    values = log_errors(0)
    errors = np.exp(values)
    chosen = rates_for_budget(values, RATES, 72 * 120)
    allocated = np.take_along_axis(errors, chosen[None].astype(int), 0).mean()
    assert allocated < 0.9 * errors[4].mean()


def test_equal_locations_share_the_budget():
    chosen = rates_for_budget(np.repeat(log_errors(0, 1, 1), 9, 2), RATES, 60 * 9)
    assert 540 - 24 < np.array(RATES)[chosen].sum() <= 540


@pytest.mark.parametrize("reals", [8 * 120 - 1, 192 * 120 + 1])
def test_budgets_out_of_reach_name_the_range(reals):
    with pytest.raises(BudgetError, match="give from 960 to 23040"):
        rates_for_budget(log_errors(0), RATES, reals)
