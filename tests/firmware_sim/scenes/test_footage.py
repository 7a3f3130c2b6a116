"""How fast a clip is played, and what is said of it."""

from fractions import Fraction

import av
import numpy as np
import pytest

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.scenes.footage import footage_note, rate_of
from focalloop.firmware_sim.scenes.scene import open_scene


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video of 64 frames, 48 pixels wide and 32 high, at 30 frames per second."""
    path = tmp_path_factory.mktemp("footage") / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "gray"
        for i in range(64):
            frame = np.full((32, 48), 3 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


def test_the_rate_is_a_number_or_that_of_the_video(clip, tmp_path):
    assert rate_of("own", clip) == 30
    assert rate_of("7.5", clip) == 7.5
    for text in ("0", "-3", "inf", "nan", "fast"):
        with pytest.raises(SceneError, match="frames per second above 0"):
            rate_of(text, clip)
    np.savez(tmp_path / "clips.npz", clips=np.zeros((1, 16, 8, 8), np.uint8))
    with pytest.raises(SceneError, match="no frame rate of its own"):
        rate_of("own", tmp_path / "clips.npz")


@pytest.mark.parametrize("frames_per_slot", [1 / 8, 0.3, 1, 2])
def test_frames_stay_or_are_left_out_and_go_on_from_window_to_window(clip, frames_per_slot):
    frames = load_clips(clip, 16, size=(32, 48)).clips.reshape(-1, 32, 48)
    scene = open_scene(clip, 32, 48, frames_per_slot=frames_per_slot)
    shown = np.concatenate([scene.window(index) for index in range(5)])
    expected = [int(slot * frames_per_slot + 1e-6) % 64 for slot in range(80)]
    np.testing.assert_array_equal(shown, frames[expected])


def test_what_is_said_of_a_video(clip, tmp_path):
    note = "48 × 32 cropped to 16 × 16, filmed at 30 Hz, shown 8 times as fast"
    assert footage_note(clip, (16, 16), 240, None) == note
    own = "48 × 32, filmed at 30 Hz, shown at its own pace"
    assert footage_note(clip, (32, 48), 240, 30.0) == own
    assert footage_note(clip, (32, 48), 0, None) == "48 × 32, filmed at 30 Hz"
    assert footage_note(tmp_path, (32, 48), 240, None) == ""
