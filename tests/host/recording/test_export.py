"""Exports: the windows of a recording in other forms."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.captures.capture import Capture
from focalloop.host.errors import RecordingError
from focalloop.host.recording.export import export
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.writer import RecordingWriter
from tests.support.made_windows import BOARD, write_recording
from tests.support.served import SHAPE


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


def test_there_have_to_be_windows(tmp_path):
    with RecordingWriter(tmp_path / "a.mcap", BOARD) as writer:
        writer.add_note("nothing came")
    with (
        Recording(tmp_path / "a.mcap") as recording,
        pytest.raises(RecordingError, match="no windows"),
    ):
        export(recording, "npz", tmp_path / "a.npz")
