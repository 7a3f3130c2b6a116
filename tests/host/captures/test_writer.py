"""Writing captures: a series per set of conditions, and a folder that is whole or not there."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from tests.support.made_windows import BOARD, make_window
from tests.support.served import SHAPE, make_map


def test_other_conditions_start_another_series(tmp_path):
    flat = RatioMap.uniform(4, SHAPE)
    with CaptureWriter(tmp_path / "capture", BOARD) as writer:
        writer.add(make_window(0, make_map()))
        writer.add(make_window(1, flat, kind=WindowKind.DARK), gain=0.5, temperature_c=21.5)
        for number, light in ((2, 0.25), (3, 0.25), (4, 0.5)):
            writer.add(make_window(number, flat, kind=WindowKind.FLAT), light=light)
    series = Capture.load(tmp_path / "capture").series
    assert [(each.kind.name, each.light, len(each)) for each in series] == [
        ("SCENE", None, 1),
        ("DARK", None, 1),
        ("FLAT", 0.25, 2),
        ("FLAT", 0.5, 1),
    ]
    assert (series[1].gain, series[1].temperature_c) == (0.5, 21.5)


def test_a_capture_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), CaptureWriter(tmp_path / "capture", BOARD) as writer:  # noqa: PT012
        writer.add(make_window(0, make_map()))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch):
    def full(path, *_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with (
        pytest.raises(WriteError, match="No space left"),
        CaptureWriter(tmp_path / "capture", BOARD) as writer,
    ):
        writer.add(make_window(0, make_map()))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path):
    folder = tmp_path / "capture"
    with CaptureWriter(folder, BOARD) as writer:
        writer.add(make_window(0, make_map()))
    before = sorted(path.read_bytes() for path in folder.iterdir())
    with pytest.raises(WriteError, match="exists already"):
        CaptureWriter(folder, BOARD).__enter__()
    assert sorted(path.read_bytes() for path in folder.iterdir()) == before


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="choose another place"):
        CaptureWriter(tmp_path / "file" / "capture", BOARD).__enter__()
