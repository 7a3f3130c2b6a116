"""Designs of a calibration: the signals, reads and lights that they promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.default_calibration import SIGNAL_COUNT, TOP_SIGNAL, Step
from focalloop.firmware_sim.maps.ratio_map import RatioMapError
from focalloop.firmware_sim.wire import Feature
from focalloop.host.captures.calibration_design import (
    Design,
    calibration_map,
    plan,
)
from focalloop.host.errors import CaptureError
from tests.support.made_windows import BOARD

WITH_16 = replace(BOARD, level_set=(0, 1, 2, 4, 8, 16))
BENCH = replace(BOARD, features=Feature.CALIBRATION)


def signals(steps):
    """Signal of each flat step of uniform level: light times L/T."""
    return sorted(step.light / step.level for step in steps if step.light)


@pytest.mark.parametrize("board", [BOARD, WITH_16])
@pytest.mark.parametrize("design", [Design.SPANS, Design.LIGHTS])
@settings(max_examples=30)
@given(reads=st.integers(2, 40))
def test_a_design_has_five_signals_and_the_reads_asked_for(board, design, reads):
    steps = plan(board, design, reads)
    assert len(set(signals(steps))) == SIGNAL_COUNT
    assert max(signals(steps)) == pytest.approx(TOP_SIGNAL)
    for step in steps:
        assert reads <= step.windows * step.level < reads + step.level
    lights = [step.light for step in steps]
    assert not any(lights[: lights.count(0.0)]), "dark first: one change of the light"
    lit = {step.level for step in steps if step.light}
    assert {step.level for step in steps if not step.light} == lit


def test_lights_are_those_asked_for():
    steps = plan(BOARD, Design.SPANS, 4, [0.8])
    assert signals(steps) == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert signals(plan(BOARD, Design.LIGHTS, 4, [0.3, 0.6])) == [0.3, 0.6]
    assert plan(BENCH, Design.TILED, 4, [0.3]) == (Step(0.0, None, 4), Step(0.3, None, 4))


def test_the_brightest_light_stays_within_the_codes():
    short = replace(BOARD, full_scale_dn=400)
    top = max(signals(plan(short, Design.LIGHTS, 2)))
    assert 20 + top * 400 == pytest.approx(20 + TOP_SIGNAL * 235)


@pytest.mark.parametrize(("reads", "lights"), [(1, None), (4, [1.2]), (4, [0.5, 0.0])])
def test_a_design_that_measures_nothing_is_refused(reads, lights):
    with pytest.raises(CaptureError):
        plan(BOARD, Design.SPANS, reads, lights)


@pytest.mark.parametrize("board", [BOARD, WITH_16])
def test_every_row_and_column_of_the_map_has_every_level(board):
    levels = calibration_map(board).levels
    wanted = {level for level in board.level_set if level}
    assert all(set(line.tolist()) == wanted for line in (*levels, *levels.T))
    assert (levels == 1).mean() >= 0.5
    with pytest.raises(RatioMapError, match="--design"):
        calibration_map(replace(board, width=7))


def test_a_map_of_all_spans_takes_half_the_windows():
    """The same spans, dark and lit, at least four reads each."""
    tiled, spans = (plan(BOARD, d, 4, [0.9]) for d in (Design.TILED, Design.SPANS))
    assert [sum(step.windows for step in steps) for steps in (tiled, spans)] == [8, 16]
