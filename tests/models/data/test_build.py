"""Training windows from small synthetic pictures, and the list of sources."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from focalloop.host.cli.main import app
from focalloop.models.data import sources
from focalloop.models.data.build import BuildSettings, build_windows
from focalloop.models.data.camera_motion import Motion
from focalloop.models.data.sources import checked_source, folder_sources, listed_files
from focalloop.models.data.test_set import EXCLUDED_SOURCE_SHA256
from focalloop.models.errors import SourceError

SETTINGS = BuildSettings(windows=5, size=48, seed=3)


def split(folder: Path) -> list[sources.Source]:
    """The pictures of a folder, the first held out for validation."""
    found = folder_sources(folder)
    first = checked_source(found[0].path, "held out", "photograph", licence="", validation=True)
    return [first, *found[1:]]


def test_windows_do_not_depend_on_the_number_of_processes(pictures: Path) -> None:
    alone = build_windows(split(pictures), SETTINGS, processes=1)
    together = build_windows(split(pictures), SETTINGS, processes=2)
    assert alone["clips"].shape == (5, 16, 48, 48)
    assert alone["clips"].dtype == np.uint8
    for key in alone:
        assert np.array_equal(alone[key], together[key]), key


def test_another_seed_gives_other_windows(pictures: Path) -> None:
    one = build_windows(split(pictures), SETTINGS, processes=1)
    other = build_windows(split(pictures), BuildSettings(5, 48, seed=4), processes=1)
    assert not np.array_equal(one["clips"], other["clips"])


def test_the_validation_split_has_sources_of_its_own(pictures: Path) -> None:
    made = build_windows(split(pictures), SETTINGS, processes=1)
    held_out = set(made["source"][made["validation"]])
    assert held_out == {"held out"}
    assert held_out.isdisjoint(made["source"][~made["validation"]])
    recipe = json.loads(str(made["recipe"]))
    assert {source["name"] for source in recipe["sources"]} == {"held out", "1.png", "2.png"}
    assert recipe["settings"]["renderer"] == 2


def test_the_limit_of_a_picture_stays_for_everything_else(pictures: Path) -> None:
    build_windows(split(pictures), SETTINGS, processes=1)
    assert Image.MAX_IMAGE_PIXELS is not None


def test_a_split_without_sources_is_refused(pictures: Path) -> None:
    with pytest.raises(SourceError, match="validation split"):
        build_windows(folder_sources(pictures), SETTINGS, processes=1)


def test_a_picture_too_small_for_a_window_is_refused(pictures: Path) -> None:
    with pytest.raises(SourceError, match="too few"):
        build_windows(split(pictures), BuildSettings(2, size=118), processes=1)


def test_a_picture_just_large_enough_is_panned_over(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (56, 56, 3), np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(noise).save(tmp_path / name)
    made = build_windows(split(tmp_path), BuildSettings(12, size=48), processes=1)
    assert made["clips"].std() > 10


def test_what_moves_in_front_is_never_brighter_than_its_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / name)
    made = build_windows(split(tmp_path), BuildSettings(12, size=48), processes=1)
    assert np.ptp(made["clips"].astype(int), axis=(1, 2, 3)).max() <= 2  # no outlines


def test_a_packed_video_is_unpacked(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 64, 64), np.uint8)
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "gray"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    content = (tmp_path / "v.mkv").read_bytes()
    (tmp_path / "v.mkv").unlink()
    for name in ("a.gz", "b.gz"):
        (tmp_path / name).write_bytes(gzip.compress(content))
    one, other = folder_sources(tmp_path)
    found = [one, replace(other, validation=True)]
    made = build_windows(found, BuildSettings(2, size=48), processes=1)
    assert made["filmed"].all()
    (tmp_path / "b.gz").write_bytes(gzip.compress(content)[:-200])
    with pytest.raises(SourceError, match=r"b\.gz cannot be unpacked"):
        folder_sources(tmp_path)


def test_motion_is_smooth_and_within_its_speed() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        steps = np.diff(Motion.draw(rng, 16, max_speed_px=6.0).shift, axis=0)
        speed = np.linalg.norm(steps, axis=1)
        assert speed.max() < 20
        jumps = np.linalg.norm(np.diff(steps, axis=0), axis=1)
        assert jumps.max() <= 0.5 * speed.max() + 0.1


def test_listed_files_are_none_of_the_test_clips_sources() -> None:
    listed = listed_files()
    assert len(listed) > 400
    assert EXCLUDED_SOURCE_SHA256.isdisjoint(entry.file.sha256 for entry in listed)
    assert {entry.role for entry in listed} == {"photograph", "cutout", "video"}
    assert all(len(entry.file.sha256) == 64 and entry.licence for entry in listed)
    assert any(entry.validation for entry in listed)
    assert not any("pose2sim" in str(entry.file) for entry in listed)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_shows_a_test_scene_is_refused_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    content = b"the very bytes of a test clip's video"
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(sources, "EXCLUDED_SOURCE_SHA256", frozenset({digest}))
    path = tmp_path / ("holiday.mp4.gz" if packed else "holiday.mp4")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(SourceError, match="test clip"):
        folder_sources(tmp_path)


def test_a_folder_of_neither_pictures_nor_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(SourceError, match="no picture"):
        folder_sources(tmp_path)


def test_build_says_in_one_sentence_what_a_folder_of_sources_lacks(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["data", "build", "-o", str(tmp_path / "t.npz"), "--sources", str(tmp_path)]
    )
    assert result.exit_code != 0
    assert "there is no" in str(result.exception)
    assert not (tmp_path / "t.npz").exists()


def test_a_share_of_slow_windows_needs_slow_ones(tmp_path: Path) -> None:
    arguments = ["data", "build", "-o", str(tmp_path / "t.npz"), "--slow-share", "0.5"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert "--slow-share is for --slow" in result.stderr


def test_slow_windows_move_less(pictures: Path) -> None:
    made = {}
    for share in (0.0, 0.5, 1.0):
        settings = replace(SETTINGS, slots=32, slow_share=share)
        made[share] = build_windows(split(pictures), settings, processes=1)
    change = {k: np.abs(np.diff(m["clips"].astype(int), axis=1)).mean() for k, m in made.items()}
    assert made[1.0]["clips"].shape == (5, 32, 48, 48)
    assert change[1.0] < 0.6 * change[0.0]
    assert change[1.0] < change[0.5]
    assert json.loads(str(made[0.5]["recipe"]))["settings"]["slow_share"] == 0.5
