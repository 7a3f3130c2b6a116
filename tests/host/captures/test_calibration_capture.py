"""Captures for a calibration: no code gets lost on the way from the board to the readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.default_calibration import TOP_SIGNAL
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.scene import open_scene
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Feature, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_capture import take
from focalloop.host.captures.calibration_design import Design, plan
from focalloop.host.captures.calibration_readings import readings_of
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import CaptureError
from tests.support.made_windows import BOARD
from tests.support.served import SHAPE, Reader, Scene, expected_codes, on_tcp

BENCH = replace(BOARD, features=Feature.CALIBRATION)


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


def test_a_board_without_calibration_captures_is_refused_with_advice(tmp_path):
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
