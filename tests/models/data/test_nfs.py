"""Training segments from a small folder in the layout of Need for Speed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.scenes.grayscale import LUMA_WEIGHTS
from focalloop.host.cli.main import app
from focalloop.models.data import sources
from focalloop.models.data.nfs import NfsSettings, find_videos, held_out_names, write_nfs
from focalloop.models.training.training_data import TrainingData

SETTINGS = NfsSettings(segments=6, held_out_segments=2, size=24)
COUNTS = {"airboard_1": 30, "basketball_1": 24, "bee": 17, "bunny": 40, "car": 20}


def picture(seed: int, number: int) -> Image.Image:
    """A frame 40x72 in colour: its number is its brightness, so that frames can be told apart."""
    ramp = np.linspace(0, 60, 72, dtype=np.uint8)
    frame = np.zeros((40, 72, 3), np.uint8)
    frame[:] = ramp[None, :, None]
    frame += np.array([10 * seed, 4 * number, 30], np.uint8)
    return Image.fromarray(frame)


def write_video(folder: Path, name: str, count: int, *, seed: int = 0) -> None:
    for rate, step in (("240", 1), ("30", 8)):
        images = folder / name / rate / name
        images.mkdir(parents=True)
        for number in range(0, count, step):
            path = images / f"{number // step + 1:05d}.jpg"
            picture(seed, number).save(path, quality=95)
    lines = [f'0 10 12 30 28 {number} 0 0 0 "thing"\n' for number in range(1, count + 1)]
    for rate in ("240", "30"):
        (folder / name / rate / f"{name}.txt").write_text("".join(lines))


@pytest.fixture(scope="module")
def nfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nfs")
    for seed, (name, count) in enumerate(COUNTS.items()):
        write_video(folder, name, count, seed=seed)
    (folder / "README.txt").write_text("as published")
    return folder


def cut(folder: Path, output: Path, settings: NfsSettings = SETTINGS) -> dict[str, np.ndarray]:
    write_nfs(find_videos(folder, settings.slots), output, settings, processes=1)
    with np.load(output, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive}


def test_segments_are_consecutive_frames_of_their_video(nfs: Path, tmp_path: Path) -> None:
    made = cut(nfs, tmp_path / "nfs.npz")
    assert made["clips"].dtype == np.uint8
    for clip, name in zip(made["clips"], made["source"], strict=True):
        assert clip.shape == (16, 24, 24)
        # Green rises by 4 a frame, and nothing else changes; JPEG rounds by one or two.
        steps = np.diff(clip.mean(axis=(1, 2)))
        np.testing.assert_allclose(steps, 4 * LUMA_WEIGHTS[1], atol=2.5)
        np.testing.assert_allclose(steps.mean(), 4 * LUMA_WEIGHTS[1], atol=0.2)
        assert str(name) in COUNTS
    names, counts = np.unique(made["source"], return_counts=True)
    held_out = set(made["source"][made["validation"]])
    expected = {
        name: min(2 if name in held_out else 6, COUNTS[name] - 15) for name in map(str, names)
    }
    assert dict(zip(map(str, names), counts.tolist(), strict=True)) == expected


def test_whole_videos_are_held_out_and_the_split_is_stable(nfs: Path, tmp_path: Path) -> None:
    made = cut(nfs, tmp_path / "nfs.npz")
    held_out = set(made["source"][made["validation"]])
    assert len(held_out) == 1  # a fifth of five
    assert held_out.isdisjoint(made["source"][~made["validation"]])
    names = [f"video_{number}" for number in range(100)]
    split = held_out_names(names, NfsSettings())
    assert len(split) == 20
    assert held_out_names(names[::-1], NfsSettings()) == split
    assert held_out_names(names, NfsSettings(seed=1)) != split
    # One video more moves at most one across.
    assert len(split - held_out_names([*names, "another"], NfsSettings())) <= 1


def test_a_seed_gives_the_same_segments_on_any_number_of_processes(
    nfs: Path, tmp_path: Path
) -> None:
    videos = find_videos(nfs, 16)
    done: list[tuple[int, int]] = []
    first, counts = write_nfs(
        videos,
        tmp_path / "a.npz",
        SETTINGS,
        processes=1,
        progress=lambda *step: done.append(step),
    )
    again, _ = write_nfs(videos, tmp_path / "b.npz", SETTINGS, processes=2)
    other, _ = write_nfs(videos, tmp_path / "c.npz", replace(SETTINGS, seed=1), processes=1)
    assert (tmp_path / "a.npz").read_bytes()[50:] == (tmp_path / "b.npz").read_bytes()[50:]
    assert first == again != other
    assert done == [(number, sum(counts)) for number in range(1, sum(counts) + 1)]


def test_crop_keeps_shapes_and_resize_shows_the_whole_frame(nfs: Path, tmp_path: Path) -> None:
    cropped = cut(nfs, tmp_path / "crop.npz")["clips"].astype(int)
    squeezed = cut(nfs, tmp_path / "resize.npz", replace(SETTINGS, fit="resize"))["clips"]
    contrast = np.ptp(squeezed.astype(int).mean(axis=(1, 2)), axis=1)
    np.testing.assert_allclose(contrast, 60, atol=6)  # of the ramp across the frame
    narrower = np.ptp(cropped.mean(axis=(1, 2)), axis=1)
    np.testing.assert_allclose(narrower, 60 * 40 / 72, atol=5)
    # The place across is drawn for each segment.
    assert np.ptp(cropped[:, 0, :, 0].mean(axis=1) - 10) > 5


def test_the_file_is_training_data_with_a_recipe(nfs: Path, tmp_path: Path) -> None:
    made = cut(nfs, tmp_path / "nfs.npz")
    data = TrainingData.load(tmp_path / "nfs.npz")
    np.testing.assert_array_equal(data.training, made["clips"][~made["validation"]])
    np.testing.assert_array_equal(data.validation, made["clips"][made["validation"]])
    assert data.recipe["settings"]["fit"] == "crop"
    assert {source["name"] for source in data.recipe["sources"]} == {
        f"Need for Speed/{name}" for name in COUNTS
    }
    assert all(len(source["sha256"]) == 64 for source in data.recipe["sources"])
    assert len({source["sha256"] for source in data.recipe["sources"]}) == 5
    assert all("Need for Speed" in source["licence"] for source in data.recipe["sources"])


def test_one_video_of_the_folder_and_gaps_in_its_numbers(tmp_path: Path) -> None:
    write_video(tmp_path, "dog", 50)
    (tmp_path / "dog" / "240" / "dog" / "00020.jpg").unlink()
    (video,) = find_videos(tmp_path / "dog", 16)
    assert video.name == "dog"
    # 19 frames before the gap, 30 after it
    assert [video.frames[start].stem for start in video.starts] == [
        *(f"{number:05d}" for number in range(1, 5)),
        *(f"{number:05d}" for number in range(21, 36)),
    ]
    assert not video.incomplete  # published counts are one off, too
    (tmp_path / "dog" / "240" / "dog" / "00049.jpg").unlink()
    assert find_videos(tmp_path, 16)[0].incomplete


def test_bad_folders_are_told(nfs: Path, tmp_path: Path) -> None:
    with pytest.raises(FocalloopError, match="no video in the layout of Need for Speed"):
        find_videos(tmp_path, 16)
    write_video(tmp_path, "cup", 20)
    with pytest.raises(FocalloopError, match=r"one video, cup: a second one is needed"):
        write_nfs(find_videos(tmp_path, 16), tmp_path / "nfs.npz", SETTINGS)
    write_video(tmp_path, "drone", 9)
    with pytest.raises(FocalloopError, match=r"drone has 9 frames, .* needs 16 consecutive"):
        find_videos(tmp_path, 16)
    assert not (tmp_path / "nfs.npz").exists()


def test_a_damaged_frame_and_one_of_a_test_scene_stop_it_and_leave_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cup", "drone"):
        write_video(tmp_path, name, 16)
    output = tmp_path / "nfs.npz"
    output.write_bytes(b"before")
    frame = tmp_path / "cup" / "240" / "cup" / "00003.jpg"
    digest = hashlib.sha256(frame.read_bytes()).hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(sources, "EXCLUDED_SOURCE_SHA256", frozenset({digest}))
        with pytest.raises(FocalloopError, match=r"00003\.jpg shows the scene of a test clip"):
            write_nfs(find_videos(tmp_path, 16), output, SETTINGS, processes=1)
    frame.write_bytes(b"no picture")
    with pytest.raises(FocalloopError, match=r"00003\.jpg cannot be decoded"):
        write_nfs(find_videos(tmp_path, 16), output, SETTINGS, processes=1)
    assert output.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cup", "drone", "nfs.npz"]


def test_the_command_says_what_it_made_and_what_is_incomplete(nfs: Path, tmp_path: Path) -> None:
    output = tmp_path / "nfs.npz"
    arguments = ["data", "nfs", str(nfs), "-o", str(output), "--size", "16", "--segments", "2"]
    boxes = nfs / "car" / "240" / "car.txt"
    whole = boxes.read_text()
    boxes.write_text(whole + whole)
    result = CliRunner().invoke(app, [*arguments, "--processes", "1", "--json"])
    boxes.write_text(whole)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["videos"], document["windows"], document["validation"]) == (5, 13, 5)
    assert document["incomplete"] == ["car has 20 frames where 40 are annotated"]
    assert "warning: car has 20 frames" in result.stderr
    assert TrainingData.load(output).training.shape == (8, 16, 16, 16)
    assert CliRunner().invoke(app, [*arguments, "--fit", "stretch"]).exit_code == 2
