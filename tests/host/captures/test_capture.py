"""Capture folders: what was written is what is read, and nothing else is believed."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Feature, HelloAnswer, WindowKind
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import CaptureError
from tests.support.served import SHAPE, expected_codes, make_map

BOARD = HelloAnswer(
    1,
    1024,
    *SHAPE,
    16,
    8,
    20,
    220,
    (0, 1, 2, 4, 8),
    8,
    8,
    10**6,
    Feature.EMULATOR,
    0,
    "b",
    "f",
    "s",
)


def window(number, ratio_map, bits=8, **changes):
    made = Window(
        number=number,
        ratio_map=ratio_map,
        plan=ReadPlan.of(ratio_map),
        codes=expected_codes(ratio_map, number, bits),
        black_level_dn=20.0,
        full_scale_dn=220.0,
        bits=bits,
        time_s=number / 15,
    )
    return replace(made, **changes)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "capture"
    with CaptureWriter(path, BOARD) as writer:
        for number in (3, 4, 7):
            writer.add(window(number, make_map()))
    return path


@pytest.mark.parametrize("bits", [8, 12])
def test_what_was_written_is_read(tmp_path, bits):
    windows = [window(number, make_map(), bits) for number in (3, 4, 7)]
    with CaptureWriter(tmp_path / "capture", BOARD) as writer:
        for each in windows:
            writer.add(each)
    capture = Capture.load(tmp_path / "capture")
    assert capture.board["serial"] == "s"
    assert capture.board["simulated"] is True
    (series,) = capture.series
    assert isinstance(series.readouts, np.memmap)
    assert series.numbers.tolist() == [3, 4, 7]
    np.testing.assert_allclose(np.diff(series.times_unix_s), [1 / 15, 3 / 15], atol=1e-5)
    assert series.ratio_map.hash() == make_map().hash()
    for index, each in enumerate(windows):
        np.testing.assert_array_equal(series.readouts[index], each.codes)
    for found, each in zip(capture.windows(), windows, strict=True):
        assert (found.number, found.bits, found.ratio_map) == (each.number, bits, each.ratio_map)
        np.testing.assert_array_equal(found.codes, each.codes)
        np.testing.assert_array_equal(found.reads, each.reads)
        assert found.time_s == pytest.approx(each.time_s, abs=1e-3)


def test_other_conditions_start_another_series(tmp_path):
    flat = RatioMap.uniform(4, SHAPE)
    with CaptureWriter(tmp_path / "capture", BOARD) as writer:
        writer.add(window(0, make_map()))
        writer.add(window(1, flat, kind=WindowKind.DARK), gain=0.5, temperature_c=21.5)
        for number, light in ((2, 0.25), (3, 0.25), (4, 0.5)):
            writer.add(window(number, flat, kind=WindowKind.FLAT), light=light)
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
        writer.add(window(0, make_map()))
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
        writer.add(window(0, make_map()))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(folder):
    before = sorted(path.read_bytes() for path in folder.iterdir())
    with pytest.raises(WriteError, match="exists already"):
        CaptureWriter(folder, BOARD).__enter__()
    assert sorted(path.read_bytes() for path in folder.iterdir()) == before


def test_a_place_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="choose another place"):
        CaptureWriter(tmp_path / "file" / "capture", BOARD).__enter__()


@pytest.mark.parametrize("name", ["readouts-0.npy", "map-0.npz", "manifest.json"])
@pytest.mark.parametrize("fate", ["missing", "truncated", "flipped"])
def test_damage_is_found_and_named(folder, name, fate):
    path = folder / name
    data = bytearray(path.read_bytes())
    if fate == "missing":
        path.unlink()
    elif fate == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0x80
        path.write_bytes(data)
    with pytest.raises(CaptureError, match="capture"):
        Capture.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format="other"), "is not a capture"),
        (lambda m: m.update(schema_version=2), "update focalloop"),
        (lambda m: m.pop("series"), "does not describe a capture"),
        (lambda m: m["series"][0].update(numbers=[1]), "shape"),
        (lambda m: m["series"][0].update(bits=12), "uint16"),
        (lambda m: m["series"][0].update(kind="x"), "does not describe"),
        (lambda m: m["series"][0].update(readouts="../map-0.npz"), "not a file beside it"),
        (lambda m: m["series"][0].update(map_hash="00"), "not the map"),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(folder, change, words):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(CaptureError, match=words):
        Capture.load(folder)


def test_what_is_no_capture_says_so(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file"):
        if path.name == "file":
            path.touch()
        with pytest.raises(CaptureError, match="is not a capture"):
            Capture.load(path)


@settings(max_examples=60, deadline=None)
@given(text=st.binary(max_size=200))
def test_no_manifest_breaks_the_reader(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("capture")
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(CaptureError):
        Capture.load(folder)
