"""``focalloop radio train`` and ``focalloop radio bundle`` as users run them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.cli.main import app
from focalloop.host.radio.radio_bundle import RadioBundle
from focalloop.models.data.training_file import save_windows
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from focalloop.models.training.run_log import RunLog
from tests.support.command_line import complaint

SMALL = ["--crop", "32", "--batch", "1", "--threads", "1", "--device", "cpu"]


def invoke(*arguments):
    return CliRunner().invoke(app, ["radio", *map(str, arguments)])


def trained(kind, *arguments):
    result = invoke("train", kind, *arguments, *SMALL, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "train.npz"
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (6, 16, 4, 4), np.uint8).repeat(12, 2).repeat(12, 3)
    held_out = np.array([False] * 5 + [True])
    recipe = {"settings": {}, "sources": []}
    save_windows(
        path, {"clips": clips, "validation": held_out, "recipe": np.array(json.dumps(recipe))}
    )
    return path


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "semcom"
    trained("semcom", "--data", data, "-o", folder, "--steps", 8)
    return folder


def test_a_run_becomes_a_bundle_and_the_start_of_others(run, data, tmp_path):
    assert [int(row["step"]) for row in RunLog(run / "log.csv").rows()] == [8]
    result = invoke("bundle", run, "-o", tmp_path / "radio-mine")
    assert result.exit_code == 0, result.output
    bundle = RadioBundle.load(tmp_path / "radio-mine")
    assert bundle.kind == "semcom"
    assert bundle.rates[-1] == 192
    again = trained(
        "jscc",
        "--start",
        tmp_path / "radio-mine",
        "--data",
        data,
        "-o",
        tmp_path / "j",
        "--steps",
        1,
    )
    assert again["step"] == 1


def test_8_bits_take_a_bundle_and_training_data(run, data, tmp_path):
    result = invoke("bundle", run, "--int8", data, "-o", tmp_path / "x")
    assert result.exit_code == 1
    assert "no 8-bit form can be made of" in str(result.exception)
    result = invoke("bundle", "radio-semcom", "--int8", "nowhere.npz", "-o", tmp_path / "x")
    assert result.exit_code == 2
    assert "nowhere.npz" in complaint(result)


def test_rate_allocation_leaves_the_ends_alone(run, data, tmp_path):
    from focalloop.models.radio.pipeline import starting_weights

    trained("ran", "--start", run, "--data", data, "-o", tmp_path / "ran", "--steps", 1)
    before, after = (starting_weights(str(path))[1] for path in (run, tmp_path / "ran"))
    changed = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"allocation"}


def test_a_policy_starts_from_a_run_and_leaves_its_ends_alone(run, data, tmp_path):
    arguments = ["--start", run, "--data", data, "-o", tmp_path / "ran", "--steps", 1]
    told = trained("ran", "--reward", "psnr", *arguments)
    assert set(told) >= {"allocated_72_psnr", "allocated_104_psnr"}
    before, after = (load_checkpoint(folder / CHECKPOINT)[1] for folder in (run, tmp_path / "ran"))
    ends = [name for name in before if name.startswith(("network.encoder.", "network.decoder."))]
    assert ends
    for name in ends:
        # The start is averaged weights.
        assert after[name].equal(before[name.replace("network.", "average.", 1)]), name


@pytest.mark.parametrize("words", [("--reward", "psnr", "--expected"), ("--features", "codec")])
def test_other_roads_of_rate_allocation_are_selectable(run, data, tmp_path, words):
    arguments = ["--start", run, "--data", data, "-o", tmp_path / "ran", "--steps", 1]
    assert trained("ran", *words, *arguments)["step"] == 1
    assert trained("ran", *words, *arguments)["step"] == 1  # the same command goes on


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--expected"], "--expected has no effect without --reward"),
        (["--reward", "psnr", "--features", "codec"], "--features has no effect with --reward"),
        (["--reward", "psnr", "--snr", 5, 10], "--snr has no effect with --reward"),
    ],
)
def test_roads_that_do_not_go_together_are_refused(run, data, tmp_path, words, message):
    arguments = ["--start", run, "--data", data, "-o", tmp_path / "x", "--steps", 1]
    result = invoke("train", "ran", *arguments, *words)
    assert result.exit_code == 2
    assert message in complaint(result)


def test_the_published_networks_are_selectable_and_go_on(data, tmp_path):
    arguments = ["--network", "paper", "--data", data, "-o", tmp_path / "p", "--steps", 1]
    assert trained("semcom", *arguments)["allocated_symbols"] >= 6_912  # 12 reals a location, and F
    assert trained("semcom", *arguments)["step"] == 1


def test_the_same_command_goes_on(run, data):
    assert trained("semcom", "--data", data, "-o", run, "--steps", 8)["step"] == 8


def test_the_published_codec_is_selectable(data, tmp_path):
    arguments = ["--network", "paper", "--data", data, "-o", tmp_path / "c", "--steps", 1]
    told = trained("codec", *arguments)
    assert told["step"] == 1
    assert told["bits"] > 0
    result = invoke("train", "codec", *arguments, "--prices", 0.1, 0.01)
    assert result.exit_code == 2
    assert "--prices has no effect with --network paper" in complaint(result)
    result = invoke("bundle", tmp_path / "c", "-o", tmp_path / "radio-c")
    assert result.exit_code == 1
    assert "a run of the published networks" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --minutes or --steps"),
        (["--steps", 1, "--snr", 20, 0], "ascending"),
        (["--steps", 1, "--snr", "nan", 0], "not a finite number"),
        (["--steps", 1, "--reals", 50], "not in the rate table: give one of 8, 16"),
        (["--steps", 1, "--data", "nowhere.npz"], "nowhere.npz"),
        (["--steps", 1, "--network", "paper", "--snr", 5, 10], "--snr has no effect"),
        (["--steps", 1, "--network", "paper", "--reals", 48], "--reals has no effect"),
        (["--steps", 1, "--network", "paper", "--max-papr", 6], "--max-papr has no effect"),
        (["--steps", 1, "--max-papr", 0], "--max-papr"),
    ],
)
def test_wrong_usage_is_told_at_once(data, tmp_path, arguments, message):
    result = invoke("train", "semcom", "--data", data, "-o", tmp_path / "x", *arguments)
    assert result.exit_code == 2
    assert message in complaint(result)
    assert not (tmp_path / "x").exists()


def test_a_start_that_is_none_is_refused(data, tmp_path):
    result = invoke(
        "train", "semcom", "--data", data, "-o", tmp_path / "x", "--steps", 1, "--start", tmp_path
    )
    assert result.exit_code == 1
    assert "no weights of a radio network" in str(result.exception)


def test_a_codec_starts_from_the_shipped_one(data, tmp_path):
    words = ("--start", "radio-codec-edge", "--data", data, "-o", tmp_path / "codec", "--steps", 1)
    trained("codec", *words)
    metadata, _ = load_checkpoint(tmp_path / "codec" / CHECKPOINT)
    assert metadata["settings"]["start"].startswith("radio-codec-edge@")
    elsewhere = ("--data", data, "-o", tmp_path / "x", "--steps", 1, *SMALL)
    result = invoke("train", "codec", "--start", "radio-semcom", *elsewhere)
    assert "no weights of a codec in 'radio-semcom'" in complaint(result)


def test_a_tile_and_its_link_start_from_the_shipped_ones(data, tmp_path):
    folder = tmp_path / "joint"
    words = ("--data", data, "-o", folder, "--steps", 1, *SMALL, "--batch", 4)
    result = invoke("train", "joint", "--method", "semcom-noran", *words, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["step"] == 1
    assert RatioMap.load(folder / "ratio_map.npz").tile.sum() == 40
    assert load_checkpoint(folder / CHECKPOINT)[0]["settings"]["start"].startswith("radio-semcom@")
    result = invoke("train", "joint", "--method", "semcom", *words)
    assert result.exit_code == 1
    assert "another" in complaint(result)
