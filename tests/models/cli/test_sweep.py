"""``focalloop train --sweep``: a run for every combination, each in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from focalloop.models.errors import OptionsError, TrainError
from focalloop.models.sweep import read_sweep, swept
from focalloop.models.training_options import TrainingOptions
from tests.support.command_line import complaint, run

SMALL = ["--crop", "16", "--threads", "1", "--device", "cpu", "--batch", "1"]


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return path


def test_every_combination_is_trained_and_the_same_command_goes_on(
    training_file: Path, tmp_path: Path
) -> None:
    sweep = toml(tmp_path, "seed = [0, 1]\nlearning-rate = [0.001]\n")
    words = ["train", "--data", training_file, "-o", tmp_path / "out", "--steps", 1, *SMALL]
    words += ["--sweep", sweep, "--json"]
    done = run(*words)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    names = ["seed-0_learning-rate-0.001", "seed-1_learning-rate-0.001"]
    assert [each["name"] for each in document["runs"]] == names
    assert [each["step"] for each in document["runs"]] == [1, 1]
    assert json.loads((tmp_path / "out" / "sweep.json").read_text())["runs"] == document["runs"]
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/checkpoint*")}
    assert len(written) == 2
    assert json.loads(run(*words).stdout) == document
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_run_that_fails_is_told_and_the_others_go_on(training_file: Path, tmp_path: Path) -> None:
    sweep = toml(tmp_path, "crop = [64, 16]\n")  # the windows have 32 pixels
    done = run(
        *["train", "--data", training_file, "-o", tmp_path / "out", "--steps", 1, "--batch", 1],
        *["--threads", 1, "--device", "cpu", "--sweep", sweep],
    )
    assert isinstance(done.exception, TrainError)
    assert "1 of 2 runs failed" in str(done.exception)
    assert "crops of 64 pixels do not fit" in " ".join(done.stdout.split())
    assert "crop-16" in done.stdout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed = [", "cannot be read"),
        ("", "must give 2 to 1000 combinations"),
        ("seed = [1]", "must give 2 to 1000 combinations"),
        ("seed = 1", "'seed' needs a list of different whole numbers"),
        ("seed = [1, 1]", "'seed' needs a list of different whole numbers"),
        ("seed = [1, true]", "'seed' needs a list of different whole numbers"),
        ("seed = [-1, 1]", "'seed' is 0 or more, not -1"),
        ("learning-rate = ['x', 'y']", "'learning-rate' needs a list of different numbers"),
        ("steps = [1, 2]", "'steps' cannot be tried"),
    ],
)
def test_what_is_no_sweep_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(OptionsError, match=problem):
        read_sweep(toml(tmp_path, text))


def test_options_that_contradict_a_sweep_are_refused(training_file: Path, tmp_path: Path) -> None:
    sweep = toml(tmp_path, "budget = [0.1, 0.2]\n")
    words = ["train", "--data", training_file, "-o", tmp_path / "out", "--steps", 1]
    assert "--budget is tried" in complaint(run(*words, "--sweep", sweep, "--budget", 0.1))
    assert "one of --map" in complaint(run(*words, "--sweep", sweep, "--map", "tile-2of16"))
    assert "--quick goes without" in complaint(run(*words, "--sweep", sweep, "--quick"))
    assert "--ray goes with --sweep" in complaint(run(*words, "--ray"))
    assert not (tmp_path / "out").exists()


def test_runs_have_absolute_paths_and_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text("{}")
    options = TrainingOptions(Path("out"), Path("data.npz"), ratio_map="tile-2of16", steps=1)
    runs = swept(options, {"noise": ["paper", "mine.json"]})
    assert [run.noise for run in runs] == ["paper", str(tmp_path / "mine.json")]
    assert [run.folder for run in runs] == [
        tmp_path / "out" / "noise-paper",
        tmp_path / "out" / "noise-mine.json",
    ]
    assert runs[0].data == tmp_path / "data.npz"
    with pytest.raises(OptionsError, match="would have the folder"):
        swept(options, {"noise": ["a/mine.json", "b/mine.json"]})
