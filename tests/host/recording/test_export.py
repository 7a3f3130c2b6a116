"""Exports: the windows of a recording in other forms."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image
from rerun.chunk import RrdReader

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.captures.capture import Capture
from focalloop.host.errors import RecordingError
from focalloop.host.recording import export_ome_zarr
from focalloop.host.recording.export import FORMS, export
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.writer import RecordingWriter
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.served import SHAPE, make_map

COLUMN = RatioMap.from_tile([[1, 2]], SHAPE)


@pytest.fixture
def recorded(tmp_path):
    windows = write_recording(tmp_path / "a.mcap")
    with Recording(tmp_path / "a.mcap") as recording:
        yield recording, windows


def test_a_capture_has_the_same_windows(recorded, tmp_path):
    recording, windows = recorded
    assert export(recording, "capture", tmp_path / "captured") == 3
    capture = Capture.load(tmp_path / "captured")
    assert [window.codes.tobytes() for window in capture.windows()] == [
        window.codes.tobytes() for window in windows
    ]
    assert capture.board == dict(recording.capture().board, level_set=[0, 1, 2, 4, 8])


def test_arrays_have_reads_levels_numbers_and_times(recorded, tmp_path):
    recording, windows = recorded
    told = []
    assert export(recording, "npz", tmp_path / "a.npz", told.append) == 3
    assert told == [1, 2, 3]
    with np.load(tmp_path / "a.npz") as arrays:
        for at, window in enumerate(windows):
            np.testing.assert_array_equal(arrays["reads"][at], window.reads)
            np.testing.assert_array_equal(arrays["levels"][at], window.ratio_map.levels)
        assert arrays["numbers"].tolist() == [0, 1, 2]
        np.testing.assert_allclose(np.diff(arrays["times_unix_s"]), 1 / 15, atol=1e-3)


def test_a_stack_has_the_light_of_each_window(recorded, tmp_path):
    recording, windows = recorded
    export(recording, "tiff", tmp_path / "a.tiff")
    with Image.open(tmp_path / "a.tiff") as stack:
        assert stack.n_frames == 3
        for at, window in enumerate(windows):
            stack.seek(at)
            np.testing.assert_array_equal(np.asarray(stack), window.light)


def test_a_video_has_a_frame_for_each_window(recorded, tmp_path):
    recording, _ = recorded
    export(recording, "mp4", tmp_path / "a.mp4")
    assert load_clips(tmp_path / "a.mp4", 3).clips.shape == (1, 3, *SHAPE)


@pytest.fixture
def changing(tmp_path):
    """A recording of which every second window is under another map, with things that happened."""
    windows = [make_window(number, (make_map(), COLUMN)[number % 2]) for number in (0, 1, 2, 5)]
    with RecordingWriter(tmp_path / "a.mcap", BOARD, floor_bytes=0) as writer:
        writer.add_event("the board is back", "warning")
        for window in windows:
            writer.add(window)
        writer.add_state({"link": {"resent": 3, "url": "tcp"}, "busy": True})
    with Recording(tmp_path / "a.mcap") as recording:
        yield recording, windows


def test_hdf5_has_reads_and_each_map_once(changing, tmp_path):
    recording, windows = changing
    assert export(recording, "h5", tmp_path / "a.h5") == 4
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["reads"].shape == (4, 8, *SHAPE)
        assert len(file["levels"]) == 2
        for at, window in enumerate(windows):
            reads = file["reads"][at, : window.plan.max_reads]
            np.testing.assert_array_equal(reads, window.reads)
            assert not file["reads"][at, window.plan.max_reads :].any()
            levels = file["levels"][file["map"][at]]
            np.testing.assert_array_equal(levels, window.ratio_map.levels)
        assert file["numbers"][:].tolist() == [0, 1, 2, 5]
        np.testing.assert_allclose(np.diff(file["times_unix_s"]), [1 / 15, 1 / 15, 0.2], atol=1e-5)
        assert json.loads(file.attrs["board"])["serial"] == "s"


def test_ome_zarr_is_an_image_over_time(changing, tmp_path, monkeypatch):
    monkeypatch.setattr(export_ome_zarr, "_SHARD_BYTES", 3 * 4 * SHAPE[0] * SHAPE[1])
    recording, windows = changing
    assert export(recording, "ome-zarr", tmp_path / "a.ome.zarr") == 4
    image = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    described = image.attrs["ome"]
    assert described["version"] == "0.5"
    (multiscale,) = described["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["t", "y", "x"]
    (level,) = multiscale["datasets"]
    ((scale),) = level["coordinateTransformations"]
    np.testing.assert_allclose(scale["scale"], [1 / 9, 1, 1], atol=1e-5)
    light = image[level["path"]]
    assert light.metadata.dimension_names == ("t", "y", "x")
    np.testing.assert_array_equal(light, [window.light for window in windows])
    assert image["numbers"][:].tolist() == [0, 1, 2, 5]
    assert sorted(each.name for each in (tmp_path / "a.ome.zarr").iterdir()) == [
        "0", "numbers", "times_unix_s", "zarr.json"
    ]  # fmt: skip


def test_rerun_opens_pictures_maps_events_and_counters(changing, tmp_path):
    recording, windows = changing
    assert export(recording, "rrd", tmp_path / "a.rrd") == 4
    reader = RrdReader(tmp_path / "a.rrd")
    assert [store.application_id for store in reader.recordings()] == ["focalloop"]
    found = {}
    for chunk in reader.stream():
        rows = chunk.to_record_batch().drop_columns(["time"]).to_pydict()
        for name, values in rows.items():
            found.setdefault((chunk.entity_path, name), []).extend(values)
    lights = [
        np.frombuffer(bytes(buffer), np.float32).reshape(SHAPE)
        for (buffer,) in found["/light", "Image:buffer"]
    ]
    np.testing.assert_array_equal(lights, [window.light for window in windows])
    assert found["/light", "window"] == [0, 1, 2, 5]
    assert [bytes(buffer) for (buffer,) in found["/map", "Image:buffer"]] == [
        window.ratio_map.levels.tobytes() for window in windows
    ]
    assert found["/events", "TextLog:text"] == [["the board is back"]]
    assert found["/events", "TextLog:level"] == [["WARN"]]
    assert found["/gaps", "TextLog:text"] == [["2 windows did not arrive"]]
    assert found["/state/link/resent", "Scalars:scalars"] == [[3.0]]
    assert ("/state/busy", "Scalars:scalars") not in found


@pytest.mark.parametrize("kind", FORMS)
def test_of_an_export_that_fails_nothing_is_left(changing, tmp_path, kind):
    recording, _ = changing
    before = sorted(tmp_path.iterdir())

    def stop(windows):
        if windows == 2:
            raise KeyboardInterrupt

    output = tmp_path / f"b{(FORMS[kind].suffixes or ('',))[0]}"
    with pytest.raises(KeyboardInterrupt):
        export(recording, kind, output, stop)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", [kind for kind, form in FORMS.items() if form.package])
def test_a_missing_package_is_named_with_its_remedy(recorded, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("focalloop.host.recording.export.find_spec", lambda name: None)
    with pytest.raises(RecordingError, match=r"pip install 'focalloop\[recordings\]'"):
        export(recorded[0], kind, tmp_path / "b")


def test_windows_of_boards_that_differ_in_size_are_refused(tmp_path):
    other = replace(BOARD, boot_id=2, height=8, width=4)
    small = make_window(0, RatioMap.from_tile([[1, 2]], (8, 4)), board=other)
    with RecordingWriter(tmp_path / "a.mcap", BOARD, floor_bytes=0) as writer:
        writer.add(make_window(0, COLUMN))
        writer.add(small)
    with (
        Recording(tmp_path / "a.mcap") as recording,
        pytest.raises(RecordingError, match="is of another board than the first"),
    ):
        export(recording, "npz", tmp_path / "a.npz")


def test_there_have_to_be_windows(tmp_path):
    with RecordingWriter(tmp_path / "a.mcap", BOARD) as writer:
        writer.add_note("nothing came")
    with (
        Recording(tmp_path / "a.mcap") as recording,
        pytest.raises(RecordingError, match="no windows"),
    ):
        export(recording, "npz", tmp_path / "a.npz")
