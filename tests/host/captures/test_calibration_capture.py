"""Captures for a calibration: designs are what they promise, and no code gets lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.scene import open_scene
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Feature, HelloAnswer, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_capture import take
from focalloop.host.captures.calibration_design import (
    SIGNAL_COUNT,
    TOP_SIGNAL,
    Design,
    Step,
    calibration_map,
    plan,
)
from focalloop.host.captures.calibration_readings import readings_of
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import CaptureError
from tests.support.served import SHAPE, Reader, Scene, expected_codes, make_map, on_tcp

BOARD = HelloAnswer(
    1, 1024, *SHAPE, 16, 8, 20, 220, (0, 1, 2, 4, 8), 8, 8, 10**6,
    Feature.EMULATOR | Feature.CALIBRATION, 240.0, "b", "f", "s",
)  # fmt: skip
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


def board_with(profile="scamp5", **settings):
    def even(text):
        return open_scene(text, *SHAPE)

    made = BoardSettings(profile=preset(profile), **settings)
    return VirtualBoard(Scene(), made, make_reader=Reader, open_scene=even)


def taken(folder, design, profile="scamp5", reads=4, **options):
    with on_tcp(board_with(profile)) as server, Board.open(server.url) as board:
        steps = plan(board.info, design, reads)
        windows = []
        with CaptureWriter(folder, board.info) as writer:
            take(board, steps, writer, advance=windows.append, **options)
        assert sum(windows) == sum(step.windows for step in steps)
    return readings_of([Capture.load(folder)])


@pytest.mark.parametrize("profile", ["scamp5", "paper"])
@pytest.mark.parametrize("design", list(Design))
def test_every_code_comes_back_at_its_pixel_and_read(tmp_path, design, profile):
    readings = taken(tmp_path / "night", design, profile)
    capture = Capture.load(tmp_path / "night")
    levels = iter(readings.levels)
    for series in capture.series:
        planes = np.stack([
            ReadPlan.of(series.ratio_map).planes(
                expected_codes(series.ratio_map, int(number), series.bits)
            )
            for number in series.numbers
        ])  # fmt: skip
        for n in sorted(set(series.ratio_map.levels.ravel().tolist())):
            level = next(levels)
            expected = planes[:, :n].reshape(-1, *SHAPE)
            pixels = series.ratio_map.levels == n
            np.testing.assert_array_equal(level.reads[:, pixels], expected[:, pixels])
            if level.pixels is not None:
                np.testing.assert_array_equal(level.pixels, pixels)
            assert (level.exposure, level.dark) == (16 / n, series.kind is WindowKind.DARK)
            assert level.light == series.light
            assert len(level.times_s) == len(level.reads) >= 4
    assert next(levels, None) is None
    assert readings.origin["captures"][0]["folder"] == "night"
    assert (readings.bits, readings.slots) == (preset(profile).bits, 16)


def test_a_map_of_all_spans_takes_half_the_windows(tmp_path):
    """The same spans, dark and lit, at least four reads each."""
    tiled, spans = (plan(BOARD, d, 4, [0.9]) for d in (Design.TILED, Design.SPANS))
    assert [sum(step.windows for step in steps) for steps in (tiled, spans)] == [8, 16]


def test_reads_of_a_uniform_map_stay_in_the_file(tmp_path):
    for level in taken(tmp_path / "night", Design.SPANS).levels:
        assert isinstance(level.reads.base, np.memmap)


def test_light_by_hand_is_asked_for_once_each_and_noted_only_if_known(tmp_path):
    asked = []
    readings = taken(tmp_path / "night", Design.SPANS, set_light=asked.append, lights_known=False)
    assert asked == [0.0, TOP_SIGNAL, 0.75 * TOP_SIGNAL]
    assert {level.light for level in readings.levels} == {0.0, None}
    assert [level.dark for level in readings.levels] == [True] * 4 + [False] * 5
    assert readings.levels[0].name == "the dark level of span 16 in night"
    assert readings.levels[5].name == "the level of span 8 in night"


def test_a_board_without_calibration_captures_is_told_what_it_can_do(tmp_path):
    class Bench:
        info = replace(BENCH, features=Feature(0))

    with pytest.raises(CaptureError, match="--design tiled"):
        take(Bench(), plan(BENCH, Design.SPANS, 2), None)


def test_a_bench_without_lamp_cannot_light_the_tile(tmp_path):
    class Bench:
        info = BENCH

        def upload(self, ratio_map):
            pass

    with pytest.raises(CaptureError, match="--board-sets-light"):
        take(Bench(), plan(BENCH, Design.TILED, 2), None)


def write(folder: Path, board=BOARD, ratio_map=None, **changes):
    ratio_map = ratio_map or RatioMap.uniform(4, SHAPE)
    window = Window(
        number=0,
        ratio_map=ratio_map,
        plan=ReadPlan.of(ratio_map),
        codes=expected_codes(ratio_map, 0, changes.get("bits", 8)),
        black_level_dn=20.0,
        full_scale_dn=220.0,
        bits=8,
        time_s=10.0,
        kind=WindowKind.FLAT,
    )
    with CaptureWriter(folder, board) as writer:
        writer.add(replace(window, **changes), light=0.5)
    return Capture.load(folder)


def test_reads_of_a_window_have_times_of_their_own(tmp_path):
    (level,) = readings_of([write(tmp_path / "a")]).levels
    np.testing.assert_allclose(np.diff(level.times_s), 4 / 240, atol=1e-6)


def test_captures_that_do_not_belong_together_are_refused(tmp_path):
    first = write(tmp_path / "first")
    aperture = make_map().with_aperture(np.ones((16, *SHAPE), np.bool_))
    for number, (other, words) in enumerate(
        [
            ({"board": replace(BOARD, serial="t")}, "another board"),
            ({"bits": 12}, "bits"),
            ({"black_level_dn": 21.0}, "black level"),
            ({"kind": WindowKind.SCENE}, "exposed to a scene"),
            ({"ratio_map": aperture}, "coded aperture"),
        ]
    ):
        with pytest.raises(CaptureError, match=words):
            readings_of([first, write(tmp_path / str(number), **other)])
    with CaptureWriter(tmp_path / "empty", BOARD):
        pass
    with pytest.raises(CaptureError, match="no windows"):
        readings_of([Capture.load(tmp_path / "empty")])
