"""Capture folders: what was written is what is read, and nothing else is believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import CaptureError
from tests.support.made_windows import BOARD, make_window
from tests.support.served import make_map


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "capture"
    with CaptureWriter(path, BOARD) as writer:
        for number in (3, 4, 7):
            writer.add(make_window(number, make_map()))
    return path


@pytest.mark.parametrize("bits", [8, 12])
def test_what_was_written_is_read_back(tmp_path, bits):
    windows = [make_window(number, make_map(), bits) for number in (3, 4, 7)]
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


@pytest.mark.parametrize("name", ["readouts-0.npy", "map-0.npz", "manifest.json"])
@pytest.mark.parametrize("fate", ["missing", "truncated", "flipped"])
def test_a_damaged_file_is_found_and_named(folder, name, fate):
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


def test_a_folder_that_is_not_a_capture_is_refused(tmp_path):
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
