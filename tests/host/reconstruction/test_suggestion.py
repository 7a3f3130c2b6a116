"""What is compared by `focalloop map suggest`, and how far apart two maps are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import ttest_rel

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.suggestion import Margin, candidates, sample
from focalloop.models.zoo import TOLD_BUNDLE, UNIVERSAL_BUNDLE


def test_every_shipped_map_is_tried_once_with_a_network_for_it():
    found = candidates(1)
    maps = []
    for candidate in found:
        bundle = Bundle.load(candidate.bundle)
        ratio_map = RatioMap.load(candidate.tile) if candidate.tile else bundle.ratio_map
        assert bundle.suits(ratio_map)
        assert ratio_map.aperture is None
        assert (candidate.tile is None) == (bundle.reach is None)
        assert (candidate.r_avg, candidate.measurements) == (ratio_map.ratio, ratio_map.mean_level)
        maps.append(ratio_map.hash())
    assert len(set(maps)) == len(maps)
    assert {RatioMap.load(name).hash() for name in NAMED_TILES} <= set(maps)


def test_tiles_are_tried_with_the_network_that_is_told_the_noise_where_that_is_better():
    paper = preset("paper")
    loud = replace(paper, name="loud", s_ss=4 * paper.s_ss, s_r=4 * paper.s_r)
    assert {each.bundle for each in candidates(1) if each.tile} == {UNIVERSAL_BUNDLE}
    assert {each.bundle for each in candidates(1, loud) if each.tile} == {TOLD_BUNDLE}


@pytest.mark.parametrize("budget", [0, 0.0625, 0.125, 0.2])
def test_none_is_above_the_budget(budget):
    within = candidates(budget)
    assert all(candidate.r_avg <= budget for candidate in within)
    assert set(within) == {each for each in candidates(1) if each.r_avg <= budget}


@given(st.integers(2, 40), st.integers(2, 40))
def test_a_sample_is_spread_over_all_windows(windows, count):
    clips = np.arange(windows, dtype=np.uint8).reshape(windows, 1, 1, 1)
    taken = sample(Clips(clips, tuple(map(str, range(windows)))), count)
    numbers = [int(name) for name in taken.names]
    np.testing.assert_array_equal(taken.clips.ravel(), numbers)
    assert len(numbers) == min(windows, count)
    assert (numbers[0], numbers[-1]) == (0, windows - 1)
    gaps = np.diff(numbers)
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@settings(deadline=None)
@given(st.integers(2, 30), st.floats(-1, 1), st.integers(0, 99))
def test_equal_is_what_a_paired_t_test_does_not_reject(count, mean, seed):
    rng = np.random.default_rng(seed)
    other = rng.normal(30, 5, count)
    better = other + rng.normal(mean, 0.5, count)
    margin = Margin.between(better, other)
    assert margin.mean == pytest.approx(np.mean(better - other))
    rejected = ttest_rel(better, other, alternative="greater").pvalue < 0.025
    assert margin.equal == (not rejected)
