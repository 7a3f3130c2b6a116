"""Folders: what can be read alone is read, what is left out is named."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.clips import load_clips
from tests.firmware_sim.scenes.test_videos import moving, write_video


def write_frames(folder: Path, frames: NDArray[np.uint8]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:05d}.png")
    return folder


def write_stack(path: Path, frames: NDArray[np.generic]) -> Path:
    pages = [Image.fromarray(frame) for frame in frames]
    pages[0].save(path, save_all=True, append_images=pages[1:], lossless=True)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("a.ts", "a.mts", "a.m2ts", "a.3gp", "a.y4m", "a.flv", "a.vob", "a.mxf", "a.MP4", "a.nut"),
        *("a.m4v", "a.wmv", "a.ogv", "a.qt", "a.divx", "a.dat", "a", "a.h264"),
    ],
)
def test_every_video_in_a_folder_is_read_whatever_its_name(tmp_path, name):
    codecs = {"a.y4m": "wrapped_avframe", "a.mxf": "mpeg2video", "a.vob": "mpeg2video"}
    suffixes = {"a.ogv": ".mkv", "a.qt": ".mov", "a.divx": ".avi", "a.dat": ".mpg", "a": ".mp4"}
    written = tmp_path / ("a" + suffixes.get(name, Path(name).suffix))
    codec = codecs.get(name, "mpeg2video" if written.suffix == ".mpg" else "libx264")
    write_video(written, moving(32), codec=codec).rename(tmp_path / name)
    write_video(tmp_path / "b.mp4", moving(16))
    loaded = load_clips(tmp_path)
    assert loaded.names == ("a[0]", "a[1]", "b[0]")
    assert loaded.notes == ()


def test_videos_stacks_arrays_and_frames_in_one_folder_are_all_read(tmp_path):
    frames = moving(16)
    write_video(tmp_path / "take1.mp4", frames)
    write_frames(tmp_path / "seq", frames)
    write_frames(tmp_path, frames)
    write_stack(tmp_path / "stack.tif", frames)
    np.save(tmp_path / "array.npy", frames)
    np.savez(tmp_path / "set.npz", clips=frames[None], names=np.array(["named"]))
    loaded = load_clips(tmp_path)
    own = f"{tmp_path.name}[0]"
    assert set(loaded.names) == {own, "array[0]", "seq[0]", "named", "stack[0]", "take1[0]"}
    assert loaded.notes == ()


def test_what_is_left_out_is_named_with_the_reason(tmp_path):
    write_video(tmp_path / "take.mp4", moving(16))
    Image.fromarray(moving(1)[0]).save(tmp_path / "thumbnail.png")
    (tmp_path / "notes.txt").write_text("not a clip")
    np.savez(tmp_path / "eight.npz", clips=np.zeros((1, 8, 48, 64), np.uint8))
    write_video(tmp_path / "wide.mkv", np.repeat(moving(16), 2, axis=2))
    loaded = load_clips(tmp_path)
    assert loaded.names == ("take[0]",)
    (told,) = loaded.notes
    for part in (
        "thumbnail.png (1 frame), too short",
        "notes.txt (no clip)",
        "eight.npz (clips of 8 frames)",
        "wide.mkv (128x48 pixels, the others 64x48)",
    ):
        assert part in told


def test_a_folder_of_nothing_readable_says_what_it_holds(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("text")
    with pytest.raises(SceneError, match=r"no frames or videos.*0\.txt \(no clip\).* and 4 more"):
        load_clips(tmp_path)


def test_hidden_files_are_passed_over(tmp_path):
    """As macOS leaves them beside every file on a disk of another system."""
    write_video(tmp_path / "take.mp4", moving(16))
    (tmp_path / "._take.mp4").write_bytes(b"\0\5\x16\7" + bytes(200))
    (tmp_path / ".DS_Store").write_bytes(bytes(200))
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "1.png").write_bytes(b"x")
    frames = write_frames(tmp_path / "seq", moving(16))
    (frames / "._00001.png").write_bytes(bytes(200))
    loaded = load_clips(tmp_path)
    assert loaded.names == ("seq[0]", "take[0]")
    assert loaded.notes == ()


def test_a_link_to_itself_is_one_copy_and_a_link_elsewhere_is_followed(tmp_path):
    inside = write_frames(tmp_path / "in", moving(16))
    outside = write_frames(tmp_path / "out", moving(16))
    (inside / "again").symlink_to(inside)
    (inside / "more").symlink_to(outside)
    (inside / "broken").symlink_to(tmp_path / "gone")
    loaded = load_clips(inside)
    assert loaded.names == ("in[0]", "more[0]")
    assert "again (a link to what is read already" in loaded.notes[0]
    assert "broken (a link" in loaded.notes[0]


def test_two_clips_of_one_name_are_told_apart(tmp_path):
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "take.mp4", moving(16))
    assert load_clips(tmp_path).names == ("monday/take.mp4[0]", "tuesday/take.mp4[0]")


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "colour", "webp", "apng"])
def test_a_stack_of_pages_is_a_clip(tmp_path, kind):
    frames = moving(20)
    suffix = {"webp": ".webp", "apng": ".png"}.get(kind, ".tif")
    values = {
        "uint16": frames * np.uint16(257),
        "float32": (frames / 255).astype(np.float32),
        "colour": np.stack([frames] * 3, axis=-1),
    }
    path = write_stack(tmp_path / f"stack{suffix}", values.get(kind, frames))
    loaded = load_clips(path)
    np.testing.assert_array_equal(loaded.clips[0], frames[:16])
    assert loaded.names == ("stack[0]",)


def test_the_picture_for_programs_that_show_no_motion_is_no_frame(tmp_path):
    frames = moving(16)
    still, *pages = (Image.fromarray(frame) for frame in [255 - frames[0], *frames])
    path = tmp_path / "moving.png"
    still.save(path, save_all=True, append_images=pages, default_image=True, duration=40)
    np.testing.assert_array_equal(load_clips(path).clips[0], frames)


def test_a_preview_beside_the_picture_is_no_stack(tmp_path):
    frames = moving(16)
    for number, frame in enumerate(frames):
        preview = Image.fromarray(frame[::4, ::4].copy())
        preview.encoderinfo = {"tiffinfo": {254: 1}}
        path = tmp_path / f"{number}.tif"
        Image.fromarray(frame).save(path, save_all=True, append_images=[preview])
    np.testing.assert_array_equal(load_clips(tmp_path).clips[0], frames)


@pytest.mark.parametrize("shape", ["frames", "clips", "colour"])
def test_an_npy_is_a_clip(tmp_path, shape):
    frames = moving(32)
    arrays = {
        "frames": frames,
        "clips": frames.reshape(2, 16, 48, 64),
        "colour": np.stack([frames] * 3, axis=-1),
    }
    np.save(tmp_path / "take.npy", arrays[shape])
    loaded = load_clips(tmp_path / "take.npy")
    np.testing.assert_array_equal(loaded.clips.reshape(32, 48, 64), frames)
    assert loaded.names == ("take[0]", "take[1]")


def test_a_bad_npy_is_told_in_one_sentence(tmp_path):
    path = tmp_path / "take.npy"
    np.save(path, moving(16))
    whole = path.read_bytes()
    for content in (b"", whole[:60], whole[:-1], whole + b"x"):
        path.write_bytes(content)
        with pytest.raises(SceneError, match=r"take\.npy is not a readable"):
            load_clips(path)
    np.save(path, np.zeros((3, 3)))
    with pytest.raises(SceneError, match=r"take\.npy is float64 of shape \(3, 3\)"):
        load_clips(path)


def test_a_playlist_in_a_folder_fetches_nothing(tmp_path):
    write_video(tmp_path / "take.mp4", moving(16))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/part.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        for name in ("list.m3u8", "list"):
            (tmp_path / name).write_text(playlist)
        loaded = load_clips(tmp_path)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert loaded.names == ("take[0]",)
    assert "list.m3u8 (no clip)" in loaded.notes[0]
