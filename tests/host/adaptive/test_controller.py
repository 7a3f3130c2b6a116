"""Choice of grids: the budget, what is chosen, and when the map rests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.allocation import BudgetError
from focalloop.firmware_sim.block_features import FEATURES
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.checks import RatioMapError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.adaptive.controller import MEMORY, UNREST, Controller, Seen
from focalloop.host.adaptive.network import BlockNetwork

NONE, SPARSE, ONCE, OFTEN = range(4)
TILES = np.array([[[1, 0], [0, 0]], [[1, 0], [0, 1]], [[1, 1], [1, 1]], [[8, 4], [4, 8]]], np.uint8)
SHAPE = (40, 56)  # blocks of 16, cut off at both edges
PIXELS = 40 * 56


def adaptive_map(tiles=TILES, resting=ONCE):
    return AdaptiveMap(RatioMap.from_tile(tiles[resting], SHAPE), tiles, 16)


def controller(seed=0, margin=0.0, weight=0.3):
    """Choose by a network of random weights."""
    rng = np.random.default_rng(seed)
    layers = []
    for inputs, outputs, side in ((FEATURES, 8, 1), (8, 8, 3), (8, len(TILES), 1)):
        shape = (1, outputs, inputs, side, side)
        drawn = weight * rng.standard_normal(shape, np.float32)
        layers.append((drawn, np.full((1, outputs), -2, np.float32)))
    return Controller(adaptive_map(), BlockNetwork(tuple(layers)), margin, None, {})


def by_motion(margin=0.0):
    """Predict that each block's error is its change over the window, less under more reads."""
    weight = np.zeros((1, len(TILES), FEATURES, 1, 1), np.float32)
    weight[:, :, 2] = 3
    bias = (-9 - np.log(TILES.mean((1, 2)))).astype(np.float32)[None]
    return Controller(adaptive_map(), BlockNetwork(((weight, bias),)), margin, None, {})


def seen(seed, tile=ONCE, speed=0.0):
    """A window of smooth noise; its left half moves."""
    rng = np.random.default_rng(seed)
    picture = rng.random(SHAPE, np.float32)
    video = np.stack([picture] * 16)
    for slot in range(16):
        video[slot, :, :28] = np.roll(picture[:, :28], round(speed * slot), axis=0)
    return Seen(video, np.full((3, 4), tile, np.uint8))


@given(st.integers(0, 1000), st.floats(0.26, 6))
@settings(max_examples=40, deadline=None)
def test_the_budget_is_kept_and_used(seed, reads_per_pixel):
    chooser = controller(seed, weight=1.0)
    budget = reads_per_pixel * PIXELS
    error = chooser.predicted_error(seen(seed, speed=1), seen(seed))
    grid = chooser.picks(error, budget)
    reads = chooser.adaptive_map.reads(grid)
    assert reads <= budget
    # Whatever is left is less than the smallest step of any block to a dearer tile.
    steps = chooser.reads - np.take_along_axis(chooser.reads, grid[None].astype(int), 0)
    assert not ((steps > 0) & (steps <= budget - reads)).any()
    assert chooser.adaptive_map.reads(chooser.next_grid([seen(1), seen(seed)], budget)) <= budget


def test_reads_are_those_of_the_composed_map():
    chooser = controller()
    grid = np.random.default_rng(0).integers(len(TILES), size=(3, 4)).astype(np.uint8)
    told = np.take_along_axis(chooser.reads, grid[None].astype(int), 0).sum()
    assert told == chooser.adaptive_map.reads(grid)


def test_what_moves_is_read_more():
    grid = by_motion().next_grid([seen(0, speed=1)] * 2, 1.5 * PIXELS)
    per_pixel = TILES.mean((1, 2))[grid]
    assert per_pixel[:, 0].mean() > 2 * per_pixel[:, 2:].mean()
    assert per_pixel[:, 0].min() >= per_pixel[:, 2:].max()


def test_the_same_windows_give_the_same_grid():
    chooser, args = controller(3), ([seen(2), seen(1, speed=0.5)], 1.0 * PIXELS)
    assert np.array_equal(chooser.next_grid(*args), chooser.next_grid(*args))


def test_a_changed_scene_is_read_at_rest():
    chooser = by_motion()
    still, other = seen(0), seen(1)
    assert (chooser.next_grid([other, still], 1.5 * PIXELS) == ONCE).all()
    assert not (chooser.next_grid([still, still], 1.5 * PIXELS) == ONCE).all()


def test_a_small_promise_is_not_taken():
    """All blocks take the tile of the least error among those that use the budget."""
    chooser, moving = by_motion(margin=0.99), [seen(0, speed=1)] * 2
    assert (chooser.next_grid(moving, 1.005 * PIXELS) == ONCE).all()
    assert (chooser.next_grid(moving, 6 * PIXELS) == OFTEN).all()
    assert (chooser.next_grid(moving, 0.6 * PIXELS) == SPARSE).all()


def test_the_cautious_tile_is_taken_if_the_budget_allows_it():
    chooser = replace(by_motion(margin=0.99), cautious=SPARSE)
    moving = [seen(0, speed=1)] * 2
    assert (chooser.next_grid(moving, 0.5 * PIXELS) == SPARSE).all()
    assert (chooser.next_grid(moving, 6 * PIXELS) == OFTEN).all()  # that of SPARSE is too few


def test_motion_that_comes_and_goes_is_not_followed():
    """Until `MEMORY` windows have passed in which it did not."""
    chooser, budget = replace(by_motion(), cautious=ONCE), 1.005 * PIXELS
    fast, slow = seen(0, speed=1), seen(0)
    assert fast.motion > slow.motion + UNREST
    steady = [fast] * MEMORY
    assert (chooser.next_grid([slow, fast], budget) == ONCE).all()
    assert (chooser.next_grid([slow, *steady[1:]], budget) == ONCE).all()
    assert not (chooser.next_grid([slow, *steady], budget) == ONCE).all()


def test_windows_that_last_long_get_one_tile_for_all_blocks():
    chooser, still = by_motion(), [seen(0)] * 2
    budget = 1.5 * PIXELS
    quick, slow = (chooser.next_grid(still, budget, window_s) for window_s in (1 / 15, 0.5))
    assert np.array_equal(quick, chooser.next_grid(still, budget))
    assert len(np.unique(quick)) > 1
    assert len(np.unique(slow)) == 1


@pytest.mark.parametrize("scale", [1e5, 1e38])
def test_predictions_that_overflow_are_not_followed(scale):
    chooser = by_motion()
    ((weight, bias),) = chooser.network.layers
    with np.errstate(over="ignore"):
        network = BlockNetwork(((weight * np.float32(scale), -bias),))
    grid = replace(chooser, network=network).next_grid([seen(0, speed=1)] * 2, 1.5 * PIXELS)
    assert (grid == ONCE).all()


def test_at_rest_keeps_the_budget():
    chooser = controller()
    assert (chooser.at_rest(2 * PIXELS) == ONCE).all()
    assert (chooser.at_rest(0.6 * PIXELS) == SPARSE).all()
    with pytest.raises(
        BudgetError, match=r"0\.0125 is below what the palette reads at least, 0\.0156"
    ):
        chooser.at_rest(0.2 * PIXELS)
    with pytest.raises(BudgetError, match="palette with sparser tiles"):
        chooser.next_grid([seen(0)] * 2, 0.2 * PIXELS)


def test_the_palette_needs_the_resting_tile():
    sparse = AdaptiveMap(RatioMap.uniform(2, SHAPE), TILES, 16)
    with pytest.raises(RatioMapError, match="the tile of the resting map"):
        Controller(sparse, controller().network, 0.0, None, {})


def test_it_fits_any_array():
    fitted = controller().fitted_to(64, 48)
    assert fitted.at_rest(64 * 48).shape == (4, 3)
