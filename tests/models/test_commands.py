"""``focalloop train`` and ``focalloop export`` as users run them."""

from __future__ import annotations

import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.cli import app
from models import commands
from models.training_data import TrainError


def invoke(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.exception


def test_train_resumes_and_prints_json(training_file: Path, tmp_path: Path) -> None:
    arguments = ["train", "--data", str(training_file), "-o", str(tmp_path / "run")]
    arguments += ["--steps", "2", "--batch", "1", "--crop", "16", "--json"]
    code, output, _ = invoke(*arguments)
    assert code == 0
    first = json.loads(output)
    assert first["step"] == 2
    assert first["validation_psnr"] > 0

    code, output, _ = invoke(*arguments)
    assert code == 0
    assert json.loads(output) == first


def test_train_needs_a_budget(training_file: Path, tmp_path: Path) -> None:
    code, _, _ = invoke("train", "--data", str(training_file), "-o", str(tmp_path / "run"))
    assert code == 2


def test_train_on_missing_data_says_how_to_make_some(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.npz")
    code, _, error = invoke("train", "--data", missing, "-o", str(tmp_path), "--steps", "1")
    assert code == 1
    assert isinstance(error, TrainError)
    assert "focalloop data build" in str(error)


@pytest.mark.parametrize(
    "arguments", [("train", "--data", "d", "-o", "r"), ("export", "r", "-o", "b")]
)
def test_without_pytorch_the_commands_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def absent(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(commands, "find_spec", absent)
    code, _, error = invoke(*arguments)
    assert code == 1
    assert "pip install 'focalloop[train]'" in str(error)


def test_export_refuses_scores_that_cannot_be_read(tmp_path: Path) -> None:
    code, _, _ = invoke("export", str(tmp_path), "-o", str(tmp_path / "b"), "--score", "set=none")
    assert code == 2
