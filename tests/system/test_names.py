"""Names with brackets, colons and other digits: read, written and shown as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from typer.testing import CliRunner

from focalloop.firmware_sim.errors import FocalloopError, SceneError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.scenes.scene import open_scene
from focalloop.host.captures.calibrate import kind_of
from focalloop.host.captures.capture import Capture
from focalloop.host.cli import output
from focalloop.host.cli.main import app
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.video import write_video

NAMES = ["run [take 2]", "[", "[/b]", "[bold]x[/]", ":smile:", "a:b", "http://x",
         "camera:0", "5²", "٣", "100%d", "{0}", "it's", "-n", "ünï", "a\nb"]  # fmt: skip
"""Beginnings of names; each without its slashes is one of a file on Linux."""


def run_cli(*words: str) -> str:
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def small_clips(path: Path, name: str) -> Path:
    np.savez(path, clips=np.zeros((1, 16, 16, 16), np.uint8), names=[name])
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_written_and_read(tmp_path: Path, name: str) -> None:
    name = name.replace("/", "_")
    video = tmp_path / f"{name}.mp4"
    write_video(video, [np.zeros((16, 32, 32), np.float32)], ["a"])
    assert load_clips(video).clips.shape == (1, 16, 32, 32)
    assert load_clips(tmp_path).names[0].startswith(name)
    ratio_map, profile = RatioMap.uniform(1, (4, 4)), NoiseProfile.load("paper")
    ratio_map.save(tmp_path / f"{name}.npz")
    assert RatioMap.load(tmp_path / f"{name}.npz") == ratio_map
    profile.save(tmp_path / f"{name}.json")
    assert NoiseProfile.load(tmp_path / f"{name}.json") == profile


def test_a_relative_name_with_a_colon_is_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.mp4", "http:x.mp4", "file:x.mp4", "pipe:1.mp4", "concat:a|b.mp4"):
        write_video(Path(name), [np.zeros((16, 32, 32), np.float32)], ["a"])
        assert (tmp_path / name).exists()
        assert len(load_clips(name)) == 1


def test_frames_are_numbered_by_ordinary_digits(tmp_path: Path) -> None:
    from PIL import Image

    for k in range(16):
        Image.new("L", (4, 4), k).save(tmp_path / f"m² {k}.png")
    assert load_clips(tmp_path).clips[0, :, 0, 0].tolist() == list(range(16))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_shows_names_as_they_are(tmp_path: Path, name: str) -> None:
    clips = small_clips(tmp_path / "clips.npz", name)
    words = ["evaluate", str(clips), "--map", "fixed-2of16"]
    shown = run_cli(*words)
    assert name.partition("\n")[0] in shown
    facts = json.loads(run_cli(*words, "--json"))
    assert facts["results"][0]["clips"][0]["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_messages_show_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for show in (output.print_notice, output.print_warning, output.print_error):
        show(f"about {name}.mp4")
        assert f"about {name}.mp4" in capsys.readouterr().err
    output.print_result(name)
    assert capsys.readouterr().out == f"{name}\n"


def test_names_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("clip")
    table.add_row("a\x1b[2J\x9b31m")
    output.stdout.print(table)
    output.print_error("a\x1b[2J\x9b31m.mp4 cannot be read")
    shown = capsys.readouterr()
    assert r"a\x1b[2J\x9b31m" in shown.out
    assert shown.err == "error: a\\x1b[2J\\x9b31m.mp4 cannot be read\n"


def test_a_pipe_is_no_clip(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SceneError, match="pipe is a device or a pipe"):
        load_clips(tmp_path / "pipe")


def test_progress_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "console", Console(force_terminal=True, width=200))
    with output.console.capture() as shown, output.progress_bar() as bar:
        assert isinstance(bar, Progress)
        bar.add_task("[/b] :smile:", total=1)
    assert "[/b] :smile:" in shown.get()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "a\0b.npz", "\ud800", ""])
@pytest.mark.parametrize(
    "load",
    [
        RatioMap.load,
        NoiseProfile.load,
        Bundle.load,
        Capture.load,
        kind_of,
        load_clips,
        lambda name: open_scene(name, 8, 8),
        lambda name: RatioMap.uniform(1, (2, 2)).save(f"{name}.npz"),
        lambda name: NoiseProfile.load("paper").save(name),
    ],
)
def test_what_cannot_be_a_name_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: object, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "" and load is not NoiseProfile.load:
        return
    assert callable(load)
    with pytest.raises(FocalloopError):
        load(name)


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["map", "show", "fixed-2of16"],
              ["map", "show", "fixed-2of16", "--json"]],
)  # fmt: skip
def test_standard_output_on_a_full_device_is_one_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "focalloop", *words],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output cannot be written (No space left")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["map", "show", "fixed-2of16", "--json"], 0),
        (["bundles"], 0),  # with a notice
        (["upload", "fixed-2of16", "--port", "/dev/nowhere", "--wait", "0"], 1),
        (["map", "show", "nowhere.npz"], 2),
    ],
)  # fmt: skip
def test_a_full_standard_error_changes_nothing(words: list[str], code: int) -> None:
    command = [sys.executable, "-m", "focalloop", *words]
    usual = subprocess.run(command, capture_output=True, text=True, check=False)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )  # fmt: skip
    assert done.returncode == usual.returncode == code
    assert done.stdout == usual.stdout
