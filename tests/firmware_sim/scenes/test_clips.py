"""Clips from every kind of file, and what bad ones say."""

import io
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from PIL import Image

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes import clips as clips_module
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.scenes.grayscale import fit_frame


def moving_ramp(frames: int, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    ramp = np.add.outer(2 * np.arange(height), 3 * np.arange(width)).astype(np.uint8)
    return np.stack([np.roll(ramp, k, axis=1) for k in range(frames)])


def write_video(path: Path, frames: NDArray[np.uint8], *, full_range: bool) -> None:
    """Lossless H.264 in the given range; gray in, so colour adds nothing."""
    level_range = 2 if full_range else 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "0"}
        stream.codec_context.color_range = level_range
        for gray in frames:
            frame = av.VideoFrame.from_ndarray(gray, format="gray")
            frame.color_range = 2
            frame = frame.reformat(format="yuv444p", src_color_range=2, dst_color_range=level_range)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("full_range", [True, False])
def test_a_video_comes_back_in_full_range_whatever_its_own(tmp_path, full_range):
    frames = moving_ramp(40)
    write_video(tmp_path / "ramp.mp4", frames, full_range=full_range)

    loaded = load_clips(tmp_path / "ramp.mp4")

    assert loaded.clips.shape == (2, 16, 32, 48)  # the rest of 8 frames is left out
    assert loaded.names == ("ramp[0]", "ramp[1]")
    off = np.abs(loaded.clips.reshape(32, 32, 48).astype(int) - frames[:32])
    assert off.max() <= (0 if full_range else 1)  # 219 codes cannot carry 256


@pytest.mark.parametrize("full_range", [True, False])
def test_a_scaled_video_keeps_its_brightness(tmp_path, full_range):
    flat = np.full((16, 64, 64), 173, np.uint8)
    write_video(tmp_path / "flat.mp4", flat, full_range=full_range)
    scaled = load_clips(tmp_path / "flat.mp4", size=(32, 32)).clips
    assert np.abs(scaled.astype(int) - 173).max() <= 1


def test_colour_becomes_gray_by_the_stated_weights(tmp_path):
    rgb = np.zeros((16, 8, 8, 3), np.uint8)
    rgb[:] = (200, 100, 50)
    for k, frame in enumerate(rgb):
        Image.fromarray(frame).save(tmp_path / f"{k + 1:05d}.png")
    expected = round(0.2126 * 200 + 0.7152 * 100 + 0.0722 * 50)
    assert (load_clips(tmp_path).clips == expected).all()


def test_a_folder_of_frames_is_read_in_numerical_order(tmp_path):
    frames = moving_ramp(16)
    for k, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{k + 1}.png")  # 10 sorts before 2 as text
    (tmp_path / "notes.txt").write_text("not a frame")
    np.testing.assert_array_equal(load_clips(tmp_path).clips[0], frames)


def test_the_need_for_speed_layout_takes_the_240_hz_frames(tmp_path):
    for rate, frames in (("30", moving_ramp(16)), ("240", moving_ramp(32)[16:])):
        folder = tmp_path / "gymnastics" / rate / "gymnastics"
        folder.mkdir(parents=True)
        for k, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"{k + 1:05d}.png")
    loaded = load_clips(tmp_path)
    np.testing.assert_array_equal(loaded.clips[0], moving_ramp(32)[16:])
    assert loaded.names == ("gymnastics[0]",)


def test_a_folder_of_videos_gives_their_windows_in_order(tmp_path):
    for name in ("b", "a"):
        write_video(tmp_path / f"{name}.mkv", moving_ramp(32), full_range=True)
    assert load_clips(tmp_path).names == ("a[0]", "a[1]", "b[0]", "b[1]")
    assert load_clips(tmp_path, max_clips=3).names == ("a[0]", "a[1]", "b[0]")
    assert load_clips(tmp_path, slots=8, max_clips=1).clips.shape == (1, 8, 32, 48)


def test_an_npz_gives_its_clips_and_names(tmp_path):
    clips = np.stack([moving_ramp(16), moving_ramp(16)[::-1]])
    np.savez(tmp_path / "two.npz", clips=clips, names=np.array(["one", "two"]))
    loaded = load_clips(tmp_path / "two.npz")
    np.testing.assert_array_equal(loaded.clips, clips)
    assert loaded.names == ("one", "two")
    assert len(loaded) == 2


def test_sequences_in_an_npz_are_cut_into_windows(tmp_path):
    sequences = np.stack([moving_ramp(35), moving_ramp(35)[::-1]])
    np.savez(tmp_path / "two.npz", sequences=sequences, names=np.array(["one", "two"]))
    loaded = load_clips(tmp_path / "two.npz")
    assert loaded.names == ("one[0]", "one[1]", "two[0]", "two[1]")
    np.testing.assert_array_equal(loaded.clips[2], sequences[1, :16])
    assert len(load_clips(tmp_path / "two.npz", slots=8)) == 8
    np.savez(tmp_path / "short.npz", sequences=sequences[:, :9])
    with pytest.raises(SceneError, match=r"short\.npz \(9 frames\)"):
        load_clips(tmp_path / "short.npz")


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(1, 60)] * 4))
def test_fit_frame_always_gives_the_size_and_keeps_a_flat_picture(sizes):
    fitted = fit_frame(np.full(sizes[:2], 77, np.uint8), sizes[2:])
    assert fitted.shape == sizes[2:]
    assert (fitted == 77).all()


def test_fit_frame_takes_the_middle():
    frame = np.repeat(np.array([[0, 50, 100, 150, 200, 250]], np.uint8), 2, axis=0)
    np.testing.assert_array_equal(fit_frame(frame, (2, 2)), [[100, 150]] * 2)


BAD_NPZ = {
    "of the wrong T": ({"clips": np.zeros((1, 8, 4, 4), np.uint8)}, "T=8"),
    "of complex numbers": ({"clips": np.zeros((1, 16, 4, 4), np.complex64)}, "complex64"),
    "of three axes": ({"clips": np.zeros((16, 4, 4), np.uint8)}, "(16, 4, 4)"),
    "without clips": ({"frames": np.zeros(3)}, "frames"),
    "of no clips": ({"clips": np.zeros((0, 16, 4, 4), np.uint8)}, "(0, 16, 4, 4)"),
    "with a name too many": (
        {"clips": np.zeros((1, 16, 4, 4), np.uint8), "names": np.array(["a", "b"])},
        "2 names",
    ),
    "pickled": ({"clips": np.array([{"a": 1}], dtype=object)}, "pickle"),
}


@pytest.mark.parametrize(("arrays", "told"), BAD_NPZ.values(), ids=BAD_NPZ.keys())
def test_a_bad_npz_is_told_in_one_sentence(tmp_path, arrays, told):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(SceneError) as caught:
        load_clips(tmp_path / "bad.npz")
    assert told in str(caught.value)
    assert "bad.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_told_wherever_the_damage_is(tmp_path, save):
    path = tmp_path / "clips.npz"
    save(path, clips=moving_ramp(16)[None])
    whole = path.read_bytes()
    undamaged = load_clips(path).clips
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        path.write_bytes(whole[:place])
        with pytest.raises(SceneError):
            load_clips(path)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            clips = load_clips(path).clips
        except SceneError:
            continue
        np.testing.assert_array_equal(clips, undamaged)  # the flip fell where nobody reads


def test_a_header_that_claims_more_than_the_file_holds_is_told(tmp_path):
    buffer = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 16, 256, 256)}
    np.lib.format.write_array_header_1_0(buffer, header)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("clips.npy", buffer.getvalue())
    with pytest.raises(SceneError, match=r"bomb\.npz"):
        load_clips(tmp_path / "bomb.npz")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.npz", "00001.png"])
@pytest.mark.parametrize("content", [b"", b"this is no picture" * 100])
def test_what_cannot_be_decoded_is_told_in_one_sentence(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SceneError) as caught:
        load_clips(tmp_path if name.endswith(".png") else path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_video_cut_short_is_told(tmp_path):
    write_video(tmp_path / "whole.mp4", moving_ramp(64), full_range=True)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SceneError, match=r"cut\.mp4 cannot be decoded"):
        load_clips(tmp_path / "cut.mp4")


def test_too_little_too_much_and_mixed_sizes_are_told(tmp_path, monkeypatch):
    with pytest.raises(SceneError, match="no clip at"):
        load_clips(tmp_path / "absent.mp4")
    with pytest.raises(SceneError, match="no frames or videos"):
        load_clips(tmp_path)
    write_video(tmp_path / "a.mkv", moving_ramp(9), full_range=True)
    with pytest.raises(SceneError, match=r"16 frames; too short: a\.mkv \(9 frames\)"):
        load_clips(tmp_path)
    write_video(tmp_path / "b.mkv", moving_ramp(16), full_range=True)
    write_video(tmp_path / "c.mkv", moving_ramp(16, 64, 64), full_range=True)
    loaded = load_clips(tmp_path)
    assert loaded.names == ("b[0]",)
    (told,) = loaded.notes
    assert "a.mkv (9 frames), too short" in told
    assert "c.mkv (64x64 pixels, the others 48x32)" in told
    assert load_clips(tmp_path, size=(24, 24)).clips.shape == (2, 16, 24, 24)
    monkeypatch.setattr(clips_module, "MAX_CLIP_BYTES", 16 * 32 * 48)
    with pytest.raises(SceneError, match="memory"):
        load_clips(tmp_path, size=(33, 48))
