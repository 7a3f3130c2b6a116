"""Training windows from one's own videos, frames and pictures."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.cli.main import app
from focalloop.models.data import footage, sources
from focalloop.models.data.footage import FOOTAGE_SETTINGS, footage_data

SETTINGS = replace(FOOTAGE_SETTINGS, windows=8, size=32, validation_share=0.25)


def drifting(count: int, shape: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Frames of a texture that moves two pixels a frame."""
    blocks = np.random.default_rng(1).integers(0, 256, (shape[0] // 4, shape[1] // 4), np.uint8)
    texture = blocks.repeat(4, axis=0).repeat(4, axis=1)
    return [np.roll(texture, 2 * number, axis=1) for number in range(count)]


def write_video(path: Path, count: int, shape: tuple[int, int] = (48, 64)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width = shape
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in drifting(count, shape):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


def write_frames(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(drifting(count), start=1):
        Image.fromarray(frame).save(folder / f"{number:05d}.png")
    return folder


def frame_ranges(names: np.ndarray) -> list[tuple[int, int]]:
    found = (re.search(r"frames (\d+)-(\d+)$", str(name)) for name in set(names))
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def test_one_short_video_is_enough_and_its_last_part_is_held_out(tmp_path: Path) -> None:
    made = footage_data(write_video(tmp_path / "phone.mp4", 100), SETTINGS, processes=1)
    assert made["clips"].shape == (8, 16, 32, 32)
    assert made["clips"].dtype == np.uint8
    assert made["clips"].std() > 10
    assert 0 < made["filmed"].sum() < 8  # the others pan over its frames
    held_out = made["validation"]
    assert held_out.sum() == 2
    assert frame_ranges(made["source"][~held_out]) == [(0, 79)]
    assert frame_ranges(made["source"][held_out]) == [(80, 99)]
    recipe = json.loads(str(made["recipe"]))
    digest = hashlib.sha256((tmp_path / "phone.mp4").read_bytes()).hexdigest()
    assert [(source["sha256"], source["validation"]) for source in recipe["sources"]] == [
        (digest, False),
        (digest, True),
    ]


def test_windows_of_footage_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    video = write_video(tmp_path / "phone.mp4", 40)
    done: list[int] = []
    alone = footage_data(video, SETTINGS, done.append, processes=1)
    together = footage_data(video, SETTINGS, processes=2)
    assert done == list(range(1, 9))
    for key in alone:
        assert np.array_equal(alone[key], together[key]), key


def test_footage_shows_its_own_motion_and_pans_over_its_stills(tmp_path: Path) -> None:
    video = write_video(tmp_path / "phone.mp4", 40)
    filmed = footage_data(video, replace(SETTINGS, video_share=1.0), processes=1)
    panned = footage_data(video, replace(SETTINGS, video_share=0.0), processes=1)
    frames = load_clips(video, size=(32, 42)).clips.astype(int)
    window = filmed["clips"][0].astype(int)
    assert np.abs(np.diff(window, axis=0)).mean() > 0.3 * np.abs(np.diff(frames, axis=1)).mean()
    assert not np.array_equal(filmed["clips"], panned["clips"])


def test_of_a_long_video_runs_all_over_it_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footage, "RUN_FRAMES", 20)
    monkeypatch.setattr(footage, "KEPT_BYTES", 64 * 48 * 64)
    made = footage_data(
        write_video(tmp_path / "long.mp4", 160), replace(SETTINGS, windows=24), processes=1
    )
    # 160 frames against 64 that fit: every third run of 20, and of 60 kept frames the last 16
    assert frame_ranges(made["source"][~made["validation"]]) == [(0, 19), (60, 79)]
    assert frame_ranges(made["source"][made["validation"]]) == [(124, 139)]


def test_a_folder_of_numbered_frames_is_a_video(tmp_path: Path) -> None:
    made = footage_data(write_frames(tmp_path / "bear", 40), SETTINGS, processes=1)
    assert set(made["source"]) == {"bear frames 0-23", "bear frames 24-39"}


def test_videos_frames_and_pictures_go_together(tmp_path: Path, pictures: Path) -> None:
    for picture in sorted(pictures.iterdir()):
        picture.rename(picture.with_stem(f"beach {picture.stem}"))
    write_video(tmp_path / "a.mp4", 40)
    write_frames(tmp_path / "deep" / "bear", 20)  # too few to hold some out
    (tmp_path / "notes.txt").write_text("not footage")
    made = footage_data(tmp_path, replace(SETTINGS, windows=40), processes=1)
    names = {source["name"] for source in json.loads(str(made["recipe"]))["sources"]}
    assert {"a.mp4 frames 0-23", "a.mp4 frames 24-39", "deep/bear frames 0-19"} < names
    assert {"pictures/beach 0.png", "pictures/beach 1.png"} < names
    assert set(made["source"][made["validation"]]) == {"a.mp4 frames 24-39"}


def test_of_videos_too_short_to_cut_the_last_is_held_out(tmp_path: Path) -> None:
    for name in "abc":
        write_video(tmp_path / f"{name}.mp4", 20)
    made = footage_data(tmp_path, SETTINGS, processes=1)
    assert set(made["source"][made["validation"]]) == {"c.mp4 frames 0-19"}
    assert "c.mp4 frames 0-19" not in made["source"][~made["validation"]]


def test_too_few_frames_are_told_with_folder_and_counts(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "few", 9)
    with pytest.raises(FocalloopError, match=r"few has 9 numbered frames: a window needs 16"):
        footage_data(folder, SETTINGS)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FocalloopError, match=r"empty has no frame.* needs 16 frames"):
        footage_data(empty, SETTINGS)
    video = write_video(tmp_path / "blink.mp4", 20)
    with pytest.raises(
        FocalloopError, match=r"too little \(blink\.mp4 20 frames\).* one video needs 32"
    ):
        footage_data(video, SETTINGS)
    video = write_video(tmp_path / "wink.mp4", 7)
    with pytest.raises(FocalloopError, match=r"\(wink\.mp4 7 frames\).* needs 16"):
        footage_data(video, SETTINGS)
    with pytest.raises(FocalloopError, match="no footage at"):
        footage_data(tmp_path / "absent.mp4", SETTINGS)


def test_frames_smaller_than_a_window_are_told(tmp_path: Path) -> None:
    video = write_video(tmp_path / "small.mp4", 40)
    with pytest.raises(FocalloopError, match=r"small\.mp4 are 48x64.*windows of 64"):
        footage_data(video, replace(SETTINGS, size=64))
    Image.fromarray(drifting(1)[0]).save(tmp_path / "small.png")
    with pytest.raises(FocalloopError, match=r"small\.png is 48x64.* 52x52"):
        footage_data(tmp_path, replace(SETTINGS, size=44))


@pytest.mark.parametrize("kind", ["video", "frame"])
def test_footage_of_a_test_scene_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "video":
        shown = write_video(tmp_path / "holiday.mp4", 40)
    else:
        shown = write_frames(tmp_path / "holiday", 40) / "00031.png"
    digest = hashlib.sha256(shown.read_bytes()).hexdigest()
    monkeypatch.setattr(sources, "EXCLUDED_SOURCE_SHA256", frozenset({digest}))
    with pytest.raises(FocalloopError, match=f"{shown.name} shows the scene of a test clip"):
        footage_data(tmp_path, SETTINGS)


def test_damaged_footage_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"this is no video" * 100)
    with pytest.raises(FocalloopError, match=r"broken\.mp4 cannot be decoded"):
        footage_data(tmp_path, SETTINGS)


def test_the_command_makes_a_file_of_footage_alone(tmp_path: Path) -> None:
    video = write_video(tmp_path / "phone.mp4", 40)
    output = tmp_path / "train.npz"
    arguments = ["data", "build", "--footage", str(video), "-o", str(output), "--size", "32"]
    arguments += ["--windows", "4", "--processes", "1", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["windows"], document["validation"], document["sources"]) == (4, 1, 2)
    with np.load(output, allow_pickle=False) as archive:
        assert archive["clips"].shape == (4, 16, 32, 32)
    result = CliRunner().invoke(app, [*arguments, "--extra", str(tmp_path)])
    assert result.exit_code == 2
