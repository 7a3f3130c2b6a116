"""``focalloop adaptive train`` as users run it."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from focalloop.host.adaptive.controller_file import load_controller
from focalloop.host.cli.main import app
from focalloop.models.data.training_file import save_windows
from tests.support.command_line import complaint


def invoke(*arguments):
    return CliRunner().invoke(app, ["adaptive", "train", *map(str, arguments)])


@pytest.fixture
def sequences(tmp_path):
    path = tmp_path / "sequences.npz"
    clips = np.random.default_rng(0).integers(0, 256, (3, 64, 8, 8), np.uint8)
    held_out, recipe = np.array([True, False, False]), {"settings": {}, "sources": []}
    arrays = {"clips": clips.repeat(4, 2).repeat(4, 3), "validation": held_out}
    save_windows(path, arrays | {"recipe": np.array(json.dumps(recipe))})
    return path


def test_it_writes_a_controller(sequences, tmp_path):
    path, kept = tmp_path / "controller.npz", tmp_path / "samples.npz"
    common = ("--steps", 2, "--members", 2, "--threads", 1, "--json", "-o", path)
    made = [
        invoke("--data", sequences, "--keep-samples", kept, *common),
        invoke("--samples", kept, *common),
    ]
    for result in made:
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        controller = load_controller(path)
        assert told["path"] == str(path)
        assert controller.meta["validation"] == {key: told[key] for key in ("deviance", "spread")}
        assert controller.meta["training"]["settings"]["steps"] == 2
    assert made[0].stdout == made[1].stdout


def test_samples_have_a_noise_already(sequences, tmp_path):
    (tmp_path / "samples.npz").touch()
    result = invoke("--samples", tmp_path / "samples.npz", "--noise", "paper")
    assert result.exit_code == 2
    assert "samples have theirs" in complaint(result)
    assert invoke().exit_code == 2
    assert invoke("--data", sequences, "--samples", tmp_path / "samples.npz").exit_code == 2


def test_missing_data_is_a_mistake_of_the_command_line(tmp_path):
    result = invoke("--data", tmp_path / "none.npz")
    assert result.exit_code == 2
    assert "focalloop data build --frames 64 --slow" in complaint(result)


def test_unknown_weights_are_named(sequences):
    result = invoke("--data", sequences, "--weights", "nothing", "--steps", 1)
    assert result.exit_code == 1
    assert "no weights 'nothing'" in complaint(result)
