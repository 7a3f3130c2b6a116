"""Captures and recordings as one thing to work with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.calibrate import calibrate
from focalloop.host.captures.capture import Capture
from focalloop.host.errors import CaptureError
from focalloop.host.recording.export import export
from focalloop.host.recording.loading import load_windows, scene_windows
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.writer import RecordingWriter
from tests.support.made_windows import BOARD, make_window
from tests.support.served import SHAPE, make_map

resource = pytest.importorskip("resource")

COLUMN = RatioMap.from_tile([[1, 2]], SHAPE)


@pytest.fixture
def sources(tmp_path):
    """A recording whose map changes between its scenes, and the same as a capture."""
    kinds = [WindowKind.DARK, WindowKind.SCENE, WindowKind.SCENE, WindowKind.SCENE]
    windows = [
        make_window(number, (COLUMN, COLUMN, make_map(), COLUMN)[number], kind=kind)
        for number, kind in enumerate(kinds)
    ]
    with RecordingWriter(tmp_path / "a.mcap", BOARD, floor_bytes=0) as writer:
        for window in windows:
            writer.add(window)
    with Recording(tmp_path / "a.mcap") as recording:
        export(recording, "capture", tmp_path / "a")
    return tmp_path / "a.mcap", tmp_path / "a", windows[1:]


def test_scenes_come_with_the_map_of_each(sources):
    recording, capture, expected = sources
    for path in (recording, capture):
        scenes = scene_windows(path)
        assert (scenes.numbers, scenes.ratio_map, scenes.serial) == ((1, 2, 3), COLUMN, "s")
        found = list(scenes.windows)
        assert [each.ratio_map for each in found] == [each.ratio_map for each in expected]
        assert [each.codes.tobytes() for each in found] == [e.codes.tobytes() for e in expected]
        limited = scene_windows(path, 2)
        assert limited.numbers == (1, 2)
        assert [each.number for each in limited.windows] == [1, 2]


def test_boards_that_differ_in_size_are_refused_with_the_windows_before(tmp_path):
    path = tmp_path / "a.mcap"
    small = replace(BOARD, boot_id=2, height=8, width=4)
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add(make_window(0, COLUMN))
        writer.add(make_window(7, RatioMap.from_tile([[1, 2]], (8, 4)), board=small))
    with pytest.raises(CaptureError, match=r"to 16 slots of 4x8 pixels at window 7.*--limit 1$"):
        scene_windows(path)
    assert scene_windows(path, 1).numbers == (0,)


def test_the_doors_of_captures_point_to_recordings(sources):
    recording, capture, _ = sources
    for refuse in (Capture.load, calibrate):
        with pytest.raises(CaptureError, match=r"focalloop\.Recording\(\.\.\.\)\.capture\(\)"):
            refuse(recording)
    assert Capture.load(capture).board["serial"] == "s"


def test_no_scene_is_said(tmp_path):
    with RecordingWriter(tmp_path / "a.mcap", BOARD, floor_bytes=0) as writer:
        writer.add(make_window(0, COLUMN, kind=WindowKind.DARK))
    with pytest.raises(CaptureError, match="holds no window of a scene"):
        scene_windows(tmp_path / "a.mcap")


def test_many_series_take_few_files(tmp_path):
    """Each grid of an adaptive map begins another series, and a process may open 1024 files."""
    adaptive = AdaptiveMap(COLUMN, np.array([[[1]], [[2]]]), 16)
    grids = [np.full(adaptive.grid_shape, number % 2, np.uint8) for number in range(200)]
    with RecordingWriter(tmp_path / "a.mcap", BOARD, floor_bytes=0) as writer:
        for number, grid in enumerate(grids):
            composed = (adaptive, grid.tobytes())
            writer.add(make_window(number, adaptive.compose(grid), 8 + number % 3, grid=composed))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (180, hard))
    try:
        capture = load_windows(tmp_path / "a.mcap")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(capture.series) == 200
    for number, window in enumerate(capture.windows()):
        expected = make_window(number, adaptive.compose(grids[number]), 8 + number % 3)
        assert window.codes.tobytes() == expected.codes.tobytes()
