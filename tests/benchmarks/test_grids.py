"""Grids that are lost, doubled, late and overtaken never make a wrong window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks import grids
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.window import Window

BAD_LINE = (
    "flips=1e-5, drops=2e-6, doubles=2e-6, disconnect=every 0.7 s for 50 ms, reset=every 1.1 s"
)


def test_windows_are_what_they_are_taken_for() -> None:
    tally = grids.under_faults(3_000, BAD_LINE)  # seconds, in which the line is cut
    assert (tally.windows, tally.wrong) == (3_000, 0)
    assert tally.under_grids > 100
    assert 0 < tally.taken < tally.sent
    assert tally.reconnects > 0


def test_a_window_under_another_grid_would_be_found() -> None:
    made = grids.adaptive_map(grids.SHAPE, grids.BLOCK)
    grid = np.full(made.grid_shape, 3)
    ratio_map = made.compose(grid)
    plan = ReadPlan.of(ratio_map)
    codes = grids.expected_codes(ratio_map, 7, plan.count)
    window = Window(7, ratio_map, plan, codes, 0.0, 1.0, 16, 0.0)
    assert not grids.is_wrong(window)
    assert grids.is_wrong(replace(window, number=8))
    other = grid.copy()
    other[0, 0], other[0, 1] = 4, 3
    assert grids.is_wrong(replace(window, ratio_map=made.compose(other)))
