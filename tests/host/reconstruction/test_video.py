"""Video files: what was reconstructed comes back, and nothing is half written."""

import numpy as np
import pytest

from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.reconstruction.video import VideoError, write_video


def windows(height=32, width=48, count=2):
    scene = SyntheticScene(height, width, seed=2)
    return [scene.window(k).astype(np.float32) / 255 for k in range(count)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("shape", [(32, 48), (33, 47)])
def test_a_video_file_plays_the_windows_at_40_db_or_better(tmp_path, suffix, shape):
    path = tmp_path / f"out{suffix}"
    written = windows(*shape)
    write_video(path, written, ["a", "b"])
    played = load_clips(path).clips.astype(np.float32) / 255
    assert played.shape == (2, 16, *shape)
    assert -10 * np.log10(np.mean((played - np.stack(written)) ** 2)) > 40


def test_brightness_keeps_its_full_range(tmp_path):
    flat = [np.full((16, 32, 32), value, np.float32) for value in (-0.5, 0.0, 0.5, 1.0, 1.5)]
    write_video(tmp_path / "flat.mp4", flat, list("abcde"))
    means = load_clips(tmp_path / "flat.mp4").clips.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [0, 0, 128, 255, 255], atol=1)


def test_an_npz_holds_the_numbers_and_serves_as_clips(tmp_path):
    written = windows()
    written[0][0, 0, 0] = -0.25  # kept in `video`, clipped in `clips`
    write_video(tmp_path / "out.npz", written, ["a", "b"])
    with np.load(tmp_path / "out.npz", allow_pickle=False) as data:
        np.testing.assert_array_equal(data["video"], np.stack(written))
    clips = load_clips(tmp_path / "out.npz")
    assert clips.names == ("a", "b")
    assert clips.clips[0, 0, 0, 0] == 0
    np.testing.assert_array_equal(clips.clips[1], np.rint(written[1] * 255))


def test_a_failed_write_keeps_what_was_there(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    with pytest.raises(VideoError, match=r"2x20000 .* write \.npz"):
        write_video(path, [np.zeros((1, 2, 20000), np.float32)], ["wider than H.264 goes"])
    assert path.read_bytes() == b"before"
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(WriteError, match="cannot write"):
        write_video(tmp_path / "folder.npz", windows(), ["a", "b"])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.npz", "out.mp4"]


@pytest.mark.parametrize(("name", "told"), [("out.avi", "out.avi"), ("no/out.mp4", "no folder")])
def test_a_path_that_cannot_be_written_is_refused(tmp_path, name, told):
    with pytest.raises(VideoError, match=told):
        write_video(tmp_path / name, windows(), ["a", "b"])
