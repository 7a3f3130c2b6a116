"""Videos as they are shown: upright, with square pixels, even in time, and whole."""

from __future__ import annotations

import gzip
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.scenes.frame_times import MAX_HELD_S
from focalloop.firmware_sim.scenes.picture_files import gray_image

DATA = Path(__file__).parents[2] / "data" / "clips"

CORNER = np.full((48, 64), 40, np.uint8)
CORNER[:8] = 220
CORNER[:24, :8] = 130
"""A bright edge on top, and part of the left one, so that no turn of it is like another."""


def write_video(
    path: Path,
    frames: NDArray[np.uint8],
    *,
    codec: str = "libx264",
    times_ms: list[int] | None = None,
    aspect: Fraction | None = None,
    pixels: str = "yuv420p",
    **options: str,
) -> Path:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = pixels
        stream.options = {"crf": "1", "g": "12"} if codec == "libx264" else {}
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, gray in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.dstack([gray] * 3), format="rgb24")
            if times_ms:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def moving(count: int) -> NDArray[np.uint8]:
    """Frame k has a bright column at 2 k, of 64."""
    frames = np.full((count, 48, 64), 30, np.uint8)
    for number, frame in enumerate(frames):
        frame[:, 2 * number % 64 : 2 * number % 64 + 2] = 230
    return frames


def test_a_video_of_a_phone_is_shown_upright():
    clip = load_clips(DATA / "rot90.mp4").clips[0]
    assert clip.shape == (16, 320, 240)
    assert clip[:, :8].min() > 150 > 100 > clip[:, -8:].max()
    fitted = load_clips(DATA / "rot90.mp4", size=(160, 120)).clips[0]
    assert fitted[:, :4].min() > 150 > 100 > fitted[:, -4:].max()


def matrix(turn: int, mirrored: bool) -> bytes:
    """The display matrix of an MP4 for a turn of 90 degrees clockwise, after mirroring."""
    a, b, c, d = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][turn]
    a, b = (-a, -b) if mirrored else (a, b)
    fixed = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    return struct.pack(">9i", *fixed)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_every_turn_and_mirror_of_a_video_is_applied(tmp_path, turn, mirrored):
    path = write_video(tmp_path / "turned.mp4", np.stack([CORNER] * 16))
    content = path.read_bytes()
    plain = matrix(0, False)
    assert content.count(plain) == 2  # of the movie, and of the track
    at = content.rindex(plain)
    path.write_bytes(content[:at] + matrix(turn, mirrored) + content[at + len(plain) :])
    wanted = np.rot90(CORNER[:, ::-1] if mirrored else CORNER, -turn)
    shown = load_clips(path).clips[0, 0].astype(int)
    assert shown.shape == wanted.shape
    assert np.median(np.abs(shown - wanted)) < 4
    assert np.abs(shown - wanted).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("colour", [False, True])
def test_a_photograph_is_upright(tmp_path, orientation, suffix, colour):
    # What a camera stores, so that a viewer shows CORNER.
    inverse = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    image = Image.fromarray(CORNER)
    if orientation > 1:
        image = image.transpose(turns[inverse[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    (image.convert("RGB") if colour else image).save(path, exif=exif, quality=95)
    shown = gray_image(path)
    assert shown.shape == CORNER.shape
    assert np.abs(shown.astype(int) - CORNER).mean() < 4


@pytest.mark.parametrize(("aspect", "width"), [((16, 15), 68), ((8, 9), 57), ((2, 1), 128)])
def test_pixels_become_square(tmp_path, aspect, width):
    frames = np.stack([CORNER] * 16)
    path = write_video(tmp_path / "dv.mp4", frames, aspect=Fraction(*aspect))
    clip = load_clips(path).clips[0]
    assert clip.shape == (16, 48, width)
    assert clip[0, :4, width // 2 :].min() > 190
    assert load_clips(path, size=(24, 24)).clips.shape == (1, 16, 24, 24)


def test_a_variable_frame_rate_is_told_and_sampled_by_time(tmp_path):
    loaded = load_clips(DATA / "vfr.mp4")
    (told,) = loaded.notes
    assert "vfr.mp4 has a variable frame rate" in told
    # Frame 10 stays for 13 intervals.
    times = [*range(0, 800, 40), *range(1000, 2000, 40)]
    path = write_video(tmp_path / "gap.mkv", moving(len(times)), times_ms=times)
    loaded = load_clips(path, slots=1)
    columns = loaded.clips[:, 0, 20].argmax(axis=1) // 2
    expected = [sum(time <= 40 * k for time in times) - 1 for k in range(len(columns))]
    np.testing.assert_array_equal(columns, np.array(expected) % 32)
    assert "every 40 ms" in loaded.notes[0]


def animated(path: Path, durations_ms: list[int]) -> Path:
    pages = [Image.fromarray(frame) for frame in moving(len(durations_ms))]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=durations_ms, **lossless)
    return path


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_an_animation_is_sampled_by_its_times(tmp_path, suffix):
    loaded = load_clips(animated(tmp_path / f"a{suffix}", [40] * 9 + [400] + [40] * 9), slots=1)
    columns = loaded.clips[:, 0, 20].reshape(-1, 32, 2).max(axis=2).argmax(axis=1)
    np.testing.assert_array_equal(columns, [*range(9), *[9] * 10, *range(10, 19)])
    assert f"a{suffix} has a variable frame rate" in loaded.notes[0]


def test_a_gif_is_as_even_as_its_hundredths_of_a_second(tmp_path):
    loaded = load_clips(animated(tmp_path / "30.gif", [30, 30, 40] * 8), slots=1)
    assert len(loaded) == 24
    assert not loaded.notes


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_an_even_frame_rate_is_left_alone(tmp_path, suffix):
    loaded = load_clips(write_video(tmp_path / f"even{suffix}", moving(32)), slots=1)
    assert loaded.notes == ()
    np.testing.assert_array_equal(loaded.clips[:, 0, 20].argmax(axis=1) // 2, np.arange(32))


FORMATS = {
    "faststart.mp4": {"movflags": "faststart"},
    "plain.mov": {},
    "take.mkv": {},
    "take.3gp": {"codec": "mpeg4"},
    "take.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "take.webm": {"codec": "libvpx-vp9"},
    "lossless.mkv": {"codec": "ffv1"},
    "take.gif": {"codec": "gif", "pixels": "rgb8"},
    "take.y4m": {"codec": "wrapped_avframe"},
    "take.wmv": {"codec": "wmv2"},
    "take.flv": {},
    "take.ivf": {"codec": "libvpx-vp9"},
    "take.ts": {},
    "take.m2ts": {},
}


@pytest.mark.parametrize(("name", "options"), FORMATS.items(), ids=FORMATS)
def test_a_video_cut_short_is_refused_wherever_it_is_cut(tmp_path, name, options):
    path = write_video(tmp_path / name, moving(48), **options)
    assert len(load_clips(path)) == 3
    content = path.read_bytes()
    for share in np.linspace(0.02, 0.99, 40):
        path.write_bytes(content[: int(share * len(content)) | 1])  # within a packet of a .ts
        with pytest.raises(SceneError) as caught:
            load_clips(path)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_mxf_cut_short_is_refused_unless_its_frames_are_all_there(tmp_path):
    path = write_video(tmp_path / "take.mxf", moving(48), codec="mpeg2video")
    content = path.read_bytes()
    refused = 0
    for share in np.linspace(0.02, 0.99, 20):
        path.write_bytes(content[: int(share * len(content))])
        try:
            assert len(load_clips(path)) == 3
        except SceneError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".hevc"])
def test_damage_gives_all_frames_or_an_error_on_every_thread_setting(tmp_path, suffix, monkeypatch):
    codec = "libx265" if suffix == ".hevc" else "libx264"
    path = write_video(tmp_path / f"take{suffix}", moving(64), codec=codec)
    content = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for place in rng.integers(len(content) // 10, len(content), 60):
        damaged = bytearray(content)
        damaged[place : place + 40] = bytes(40)
        path.write_bytes(damaged)
        try:
            found = len(load_clips(path))
        except SceneError:
            refused += 1
        else:
            # A bare stream does not say how many frames it holds.
            assert found == 4 or (suffix == ".hevc" and found < 4)
    assert refused > 10


def test_a_packed_video_is_checked_as_well(tmp_path):
    path = write_video(tmp_path / "box.mp4", moving(32), movflags="faststart")
    content = path.read_bytes()
    packed = tmp_path / "box.mp4.gz"
    packed.write_bytes(gzip.compress(content))
    assert len(load_clips(packed)) == 2
    packed.write_bytes(gzip.compress(content[: -len(content) // 5]))
    with pytest.raises(SceneError, match=r"box\.mp4\.gz cannot be decoded"):
        load_clips(packed)


def test_a_recording_that_starts_between_pictures_starts_at_the_first(tmp_path):
    path = write_video(tmp_path / "air.ts", moving(64))
    content = path.read_bytes()
    path.write_bytes(content[(len(content) // 188 // 3) * 188 :])
    assert 1 <= len(load_clips(path)) <= 3


def test_a_pause_of_hours_is_a_cut(tmp_path):
    times = [*range(0, 640, 40), *range(3_600_000, 3_600_640, 40)]
    path = write_video(tmp_path / "night.mkv", moving(32), times_ms=times)
    assert len(load_clips(path)) == 2
    assert MAX_HELD_S < 3600
