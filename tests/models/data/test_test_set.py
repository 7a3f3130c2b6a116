"""The public test set: cuts of videos, and the clips themselves."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.models.data.cut import SIDE, Cut, luma, read_cut
from focalloop.models.data.packages import Package, PackagedFile
from focalloop.models.data.test_set import (
    EXCLUDED_SOURCE_SHA256,
    TEST_SET,
    ClipRecipe,
    build_test_set,
    clips_sha256,
    compare_by_name,
    save_test_set,
)
from focalloop.models.errors import CutError, TestSetError
from tests.support import ROOT

DEMO_CLIP = ROOT / "host/clips/box.mp4"
BT709, LIMITED, FULL = 1, 1, 2

network = [
    pytest.mark.network,
    pytest.mark.skipif(
        os.environ.get("FOCALLOOP_NETWORK") != "1",
        reason="downloads 164 MB: set FOCALLOOP_NETWORK=1",
    ),
    pytest.mark.timeout(600),
]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def planes_of_noise(frames: int, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """I420 pictures, (height * 3 / 2, width), over the limited range of luma."""
    rng = np.random.default_rng(seed)
    return list(rng.integers(16, 236, (frames, height * 3 // 2, width)).astype(np.uint8))


def write_video(
    path: Path,
    pictures: list[np.ndarray],
    pixel_format: str = "yuv420p",
    colorspace: int | None = None,
    color_range: int = LIMITED,
) -> Path:
    """Write pictures in `pixel_format`'s layout as lossless H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        frames = [av.VideoFrame.from_ndarray(picture, format=pixel_format) for picture in pictures]
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = pixel_format
        stream.codec_context.color_range = color_range
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for frame in frames:
            frame.color_range = color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def stretched(luma_plane: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((luma_plane.astype(float) - 16) * 255 / 219), 0, 255)


class TestCut:
    def test_a_crop_of_the_stored_frames_is_their_stretched_luma(self, tmp_path):
        pictures = planes_of_noise(5, 270, 300)
        video = write_video(tmp_path / "noise.mp4", pictures)
        cut = read_cut(video, Cut(2, 3, size=(270, 300), top=9, left=40))
        assert cut.shape == (3, SIDE, SIDE)
        for picture, expected in zip(cut, pictures[2:], strict=True):
            np.testing.assert_array_equal(picture, stretched(expected[9:265, 40:296]))

    @settings(
        max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(rows=st.integers(SIDE, 300), cols=st.integers(SIDE, 320), data=st.data())
    def test_shrinking_is_the_mean_over_the_area_of_each_pixel(self, tmp_path, rows, cols, data):
        top = data.draw(st.integers(0, rows - SIDE))
        left = data.draw(st.integers(0, cols - SIDE))
        (picture,) = planes_of_noise(1, 300, 320)
        video = write_video(tmp_path / "noise.mp4", [picture])
        (cut,) = read_cut(video, Cut(0, 1, size=(rows, cols), top=top, left=left))
        # The integral of the picture up to a fractional edge is linear between whole ones.
        area = stretched(picture[:300])
        for axis, (length, target) in enumerate([(300, rows), (320, cols)]):
            sums = np.cumsum(np.insert(area, 0, 0, axis=axis), axis=axis)
            edges = np.linspace(0, length, target + 1)
            at_edges = np.apply_along_axis(
                lambda line, edges=edges: np.interp(edges, np.arange(len(line)), line), axis, sums
            )
            area = np.diff(at_edges, axis=axis) * target / length
        error = cut - area[top : top + SIDE, left : left + SIDE]
        assert np.abs(error).max() <= 0.5 + 1e-9

    def test_full_range_video_is_not_stretched(self, tmp_path):
        (picture,) = planes_of_noise(1, 256, 256)
        video = write_video(tmp_path / "full.mp4", [picture], color_range=FULL)
        (cut,) = read_cut(video, Cut(0, 1, size=(SIDE, SIDE), top=0, left=0))
        np.testing.assert_array_equal(cut, picture[:256])

    def test_bt709_luma_becomes_bt601_luma(self, tmp_path):
        # Moderate colours: R, G and B stay inside 0..255, where the closed form has no clipping.
        rng = np.random.default_rng(3)
        y = rng.integers(90, 160, (256, 256))
        cb, cr = rng.integers(113, 144, (2, 128, 128))
        picture = np.concatenate([plane.ravel() for plane in (y, cb, cr)]).reshape(384, 256)
        video = write_video(tmp_path / "709.mp4", [picture.astype(np.uint8)], colorspace=BT709)
        (cut,) = read_cut(video, Cut(0, 1, size=(SIDE, SIDE), top=0, left=0))
        cb, cr = ((plane.repeat(2, 0).repeat(2, 1) - 128) / 224 for plane in (cb, cr))
        luma_709 = (y - 16) / 219
        red = luma_709 + 1.5748 * cr
        blue = luma_709 + 1.8556 * cb
        green = (luma_709 - 0.2126 * red - 0.0722 * blue) / 0.7152
        exact = 255 * (0.299 * red + 0.587 * green + 0.114 * blue)
        error = cut - exact
        # Three truncated terms in green and two in the others: between 0 and -2.6, then rounding.
        assert error.max() <= 0.6
        assert error.min() >= -3.1
        assert np.abs(stretched(y) - exact).max() > 5  # the conversion does something

    def test_too_short_a_video_is_named_with_what_is_missing(self, tmp_path):
        video = write_video(tmp_path / "short.mp4", planes_of_noise(5, 256, 256))
        with pytest.raises(CutError, match=r"short\.mp4 ends before frame 5.*up to 19"):
            read_cut(video, Cut(4, 16, size=(SIDE, SIDE), top=0, left=0))

    def test_a_file_that_is_no_video_is_refused(self, tmp_path):
        (tmp_path / "text.mp4").write_text("not a video")
        with pytest.raises(CutError, match=r"text\.mp4 cannot be decoded"):
            read_cut(tmp_path / "text.mp4", Cut(0, 1, size=(SIDE, SIDE), top=0, left=0))

    def test_other_pixel_formats_are_refused(self):
        frame = av.VideoFrame(256, 256, "yuv444p")
        with pytest.raises(CutError, match="yuv444p"):
            luma(frame)

    @pytest.mark.parametrize(
        "cut",
        [
            Cut(0, 1, size=(255, 256), top=0, left=0),
            Cut(0, 1, size=(256, 256), top=1, left=0),
            Cut(0, 1, size=(256, 300), top=0, left=-1),
            Cut(0, 1, size=(400, 256), top=0, left=0),
        ],
    )
    def test_a_crop_outside_the_frame_is_refused(self, tmp_path, cut):
        video = write_video(tmp_path / "noise.mp4", planes_of_noise(1, 300, 300))
        with pytest.raises(CutError, match="do not fit"):
            read_cut(video, cut)


NPM = Package("npm", "tiny-clips", "1.2.0")


@pytest.fixture
def recipes(tmp_path):
    """Two clips of a video of 20 frames in the folder `videos`."""
    (tmp_path / "videos").mkdir()
    video = write_video(tmp_path / "videos/noise.mp4", planes_of_noise(20, 256, 300))
    file = PackagedFile(NPM, "package/noise.mp4", sha256(video.read_bytes()))
    size = (256, 300)
    return (
        ClipRecipe("early", file, "CC0-1.0", Cut(0, 16, size=size, top=0, left=0)),
        ClipRecipe("late", file, "CC0-1.0", Cut(4, 16, size=size, top=0, left=44)),
    )


class TestTestSet:
    def test_the_file_is_what_load_clips_reads(self, tmp_path, recipes):
        clips = build_test_set(tmp_path, sources=tmp_path / "videos", recipes=recipes)
        save_test_set(tmp_path / "set.npz", clips, recipes)
        loaded = load_clips(tmp_path / "set.npz")
        assert loaded.names == ("early", "late")
        np.testing.assert_array_equal(loaded.clips, clips)
        np.testing.assert_array_equal(clips[0, 4:, :, 44:], clips[1, :12, :, :212])
        with np.load(tmp_path / "set.npz") as stored:
            assert list(stored["licence"]) == ["CC0-1.0", "CC0-1.0"]
            assert list(stored["source"]) == ["npm tiny-clips 1.2.0: noise.mp4"] * 2

    def test_the_hash_changes_with_any_pixel(self, tmp_path, recipes):
        clips = build_test_set(tmp_path, sources=tmp_path / "videos", recipes=recipes)
        again = build_test_set(tmp_path, sources=tmp_path / "videos", recipes=recipes)
        assert clips_sha256(clips) == clips_sha256(again)
        again[1, 15, 255, 255] ^= 1
        assert clips_sha256(clips) != clips_sha256(again)

    def test_every_package_and_clip_is_reported(self, tmp_path, recipes):
        steps: list[str] = []
        videos = tmp_path / "videos"
        build_test_set(tmp_path, sources=videos, recipes=recipes, on_step=steps.append)
        assert steps == ["npm tiny-clips 1.2.0", "early", "late"]

    def test_clips_are_compared_by_name(self, tmp_path, recipes):
        clips = build_test_set(tmp_path, sources=tmp_path / "videos", recipes=recipes)
        other = clips.copy()
        other[1] ^= 1  # one level everywhere: the MSE is 1
        np.savez(tmp_path / "o.npz", clips=other[::-1], names=["late", "early"])
        early, late = compare_by_name(clips, tmp_path / "o.npz", recipes)
        assert (early.name, early.differing_pixels, early.psnr_db) == ("early", 0, None)
        assert (late.differing_pixels, late.max_difference_dn) == (16 * SIDE * SIDE, 1)
        assert late.psnr_db == pytest.approx(20 * np.log10(255))

    def test_files_that_cannot_be_compared_are_refused(self, tmp_path, recipes):
        clips = np.zeros((2, 16, SIDE, SIDE), np.uint8)
        (tmp_path / "text").write_text("not an archive")
        np.savez(tmp_path / "unnamed.npz", clips=clips)
        np.savez(tmp_path / "strangers.npz", clips=clips, names=["a", "b"])
        np.savez(tmp_path / "short.npz", clips=clips[:, :8], names=["early", "late"])
        for name, reason in [
            ("text", "cannot be compared"),
            ("unnamed.npz", "`names`"),
            ("strangers.npz", "no clip with the name"),
            ("short.npz", r"early is \(16, 256, 256\) here and \(8, 256, 256\) there"),
        ]:
            with pytest.raises(TestSetError, match=reason):
                compare_by_name(clips, tmp_path / name, recipes)

    def test_a_failed_write_leaves_nothing_behind(self, tmp_path, recipes):
        clips = np.zeros((2, 16, SIDE, SIDE), np.uint8)
        (tmp_path / "taken").mkdir()
        with pytest.raises(WriteError, match=r"cannot write .*taken"):
            save_test_set(tmp_path / "taken", clips, recipes)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "videos"]

    def test_no_source_of_a_clip_may_be_trained_on(self):
        assert {recipe.file.sha256 for recipe in TEST_SET} <= EXCLUDED_SOURCE_SHA256
        assert sha256(DEMO_CLIP.read_bytes()) in EXCLUDED_SOURCE_SHA256


def focalloop(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "focalloop", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


class TestCommand:
    def test_a_missing_source_is_one_sentence_and_writes_nothing(self, tmp_path):
        (tmp_path / "empty").mkdir()
        output = tmp_path / "set.npz"
        done = focalloop(
            "data", "test-set", "--sources", str(tmp_path / "empty"), "-o", str(output), "--json"
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: there is no box.mp4 (of Debian opencv-doc")
        assert not output.exists()


class TestDemoClip:
    def test_it_is_ten_windows_forward_and_backward(self):
        frames = load_clips(DEMO_CLIP).clips.reshape(-1, SIDE, SIDE).astype(float)
        assert len(frames) == 320
        assert np.mean((frames - frames[::-1]) ** 2) < 8  # lossy: twice 44 dB
        assert np.mean((frames[:160] - frames[159]) ** 2) > 500  # and it moves

    def test_its_luma_needs_no_conversion(self):
        frames = load_clips(DEMO_CLIP, max_clips=1).clips[0]
        with av.open(str(DEMO_CLIP)) as container:
            first = next(container.decode(video=0))
        np.testing.assert_array_equal(luma(first), frames[0])


class TestFromTheRegistries:
    pytestmark = network

    def test_the_test_set_has_the_published_bits(self, tmp_path):
        done = focalloop("data", "test-set", "-o", str(tmp_path / "set.npz"), "--json")
        document = json.loads(done.stdout)
        assert document["sha256"] == document["expected_sha256"]
        assert all(0.5 < clip["motion_px_per_frame"] < 3 for clip in document["clips"])
        loaded = load_clips(tmp_path / "set.npz")
        assert loaded.names == tuple(recipe.name for recipe in TEST_SET)
        assert clips_sha256(loaded.clips) == document["sha256"]

    def test_the_demo_clip_is_made_again(self, tmp_path):
        focalloop("data", "demo-clip", "-o", str(tmp_path / "again.mp4"))
        again, shipped = (load_clips(path).clips for path in (tmp_path / "again.mp4", DEMO_CLIP))
        # Another encoder version may choose other bits, of the same quality.
        assert np.mean((again.astype(float) - shipped) ** 2) < 8
