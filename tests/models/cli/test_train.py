"""``focalloop train`` and ``focalloop export`` as users run them."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from focalloop.firmware_sim.default_calibration import corrected
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.host.cli.main import app
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.noise_fit import noise_note
from focalloop.models import training_pipeline
from focalloop.models.cli import extra
from focalloop.models.export import bundle as export
from focalloop.models.export.bundle import export_run
from focalloop.models.networks.profiles import build_network, default_settings
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from focalloop.models.training.map_source import RATIO_MAP, RandomApertures
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.run import LOG
from focalloop.models.training.run_log import RunLog
from focalloop.models.training.weights import save_weights
from tests.support.command_line import complaint
from tests.support.tiny_bundle import tiny_network

SMALL = ["--crop", "16", "--threads", "1", "--device", "cpu"]


def invoke(*arguments: object) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.exception


def train(*arguments: object) -> dict[str, object]:
    code, output, error = invoke("train", *arguments, *SMALL, "--json")
    assert code == 0, error
    return json.loads(output)


def refused(*arguments: object) -> str:
    return complaint(CliRunner().invoke(app, ["train", *map(str, arguments), *SMALL]))


def everything_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_network_is_trained_for_a_map_and_the_same_command_goes_on(
    training_file: Path, tmp_path: Path
) -> None:
    arguments = ["--data", training_file, "-o", tmp_path / "run", "--steps", 2, "--batch", 1]
    first = train(*arguments)
    assert first["step"] == 2
    assert train(*arguments) == first
    metadata, _ = load_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert metadata["command"].split()[0] == "focalloop"


def test_a_network_for_any_aperture_is_trained_through_random_ones(
    training_file: Path, tmp_path: Path
) -> None:
    arguments = ["--data", training_file, "-o", tmp_path / "run", "--steps", 1, "--batch", 2]
    train(*arguments, "--network", "aperture", "--map", "random-tiles")
    metadata, _ = load_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert metadata["identity"] == {"maps": RandomApertures.name}
    assert metadata["settings"]["network"]["profile"] == "aperture"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_keeps_its_step(
    number: signal.Signals, training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = NetworkRun.step

    def interrupted(run: NetworkRun) -> float:
        if run.progress.step == 1:
            signal.raise_signal(number)
        return take(run)

    monkeypatch.setattr(NetworkRun, "step", interrupted)
    arguments = ["--data", training_file, "-o", tmp_path / "run", "--steps", 4, "--batch", 1]
    assert invoke("train", *arguments, *SMALL)[0] != 0
    assert [row["step"] for row in RunLog(tmp_path / "run" / LOG).rows()] == ["2"]
    assert train(*arguments)["step"] == 4


def test_a_budget_gives_a_map_and_its_network_in_one_folder(
    training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_pipeline, "SEARCH_GENERATIONS", 1)
    monkeypatch.setattr(training_pipeline, "SEARCH_CANDIDATES", 10)
    output = tmp_path / "run"
    arguments = ["--budget", 0.0625, "--period", 4, "--steps", 6, "--map-share", 0.5]
    arguments += ["--data", training_file, "-o", output, "--aperture", "--start", "none"]
    document = train(*arguments)
    assert document["r_avg"] == pytest.approx(0.0625, rel=0.01)
    assert (document["map"]["step"], document["network"]["step"]) == (3, 3)
    searched = json.loads((output / "map" / training_pipeline.SEARCHED).read_text())
    assert all(np.sum(found["tile"]) == 16 for found in searched)
    learned = RatioMap.load(output / "map" / RATIO_MAP)
    deployed = RatioMap.load(output / "network" / RATIO_MAP)
    assert np.array_equal(learned.levels, deployed.levels)
    assert np.array_equal(deployed.aperture_tile, APERTURE_TILE)
    settings = load_checkpoint(output / "network" / CHECKPOINT)[0]["settings"]
    assert settings["start"].startswith("map@")
    assert settings["network"]["aperture"]

    # Interrupted between the two, it goes on with the network alone.
    map_then = everything_in(output / "map")
    for path in (output / "network").iterdir():
        path.unlink()
    again = train(*arguments)
    assert again["map"] == document["map"]
    assert again["network"]["validation_psnr"] == document["network"]["validation_psnr"]
    assert everything_in(output / "map")[output / "map" / LOG] == map_then[output / "map" / LOG]


def test_the_papers_way_begins_anywhere(training_file: Path, tmp_path: Path) -> None:
    arguments = ["--budget", 0.125, "--steps", 4, "--credit", "own-pixel", "--start", "none"]
    document = train(*arguments, "--data", training_file, "-o", tmp_path / "run")
    assert document["r_avg"] == pytest.approx(0.125, rel=0.01)
    assert not (tmp_path / "run" / "map" / training_pipeline.SEARCHED).exists()


def test_prices_give_a_map_each_and_a_summary(training_file: Path, tmp_path: Path) -> None:
    arguments = ["--price", 0.01, "--price", 3, "--steps", 3, "--period", 2, "--start", "none"]
    document = train(*arguments, "--data", training_file, "-o", tmp_path)
    assert document == json.loads((tmp_path / "summary.json").read_text())
    assert [entry["price"] for entry in document["maps"]] == [0.01, 3]
    for name in ("price-0.01", "price-3"):
        assert {CHECKPOINT, LOG, RATIO_MAP} <= {path.name for path in (tmp_path / name).iterdir()}


def test_the_folder_of_another_training_is_left_as_it_is(
    training_file: Path, tmp_path: Path
) -> None:
    common = ["--data", training_file, "--steps", 2, "--batch", 1, "--start", "none"]
    train(*common, "-o", tmp_path / "one")
    before = everything_in(tmp_path)
    for others in (["--budget", 0.1], ["--price", 1.0]):
        assert "holds another training" in refused(*common, "-o", tmp_path / "one", *others)
    others = ["--map", "tile-1of16", "--batch", 2]
    assert "batch 1, not 2" in refused(*common, "-o", tmp_path / "one", *others)
    network = ["--network", "paper"]
    assert "edge network, not of the paper" in refused(*common, "-o", tmp_path / "one", *network)
    assert everything_in(tmp_path) == before


def test_weights_to_start_from_fit_the_profile_or_are_refused(
    training_file: Path, tmp_path: Path
) -> None:
    edge, paper = default_settings("edge"), default_settings("paper")
    for name, settings in (("edge", edge), ("paper", paper), ("long", replace(edge, slots=32))):
        weights = build_network(settings).state_dict()
        save_weights(tmp_path / f"{name}.safetensors", settings, weights, {})
    common = ["--data", training_file, "--steps", 1, "--batch", 1, "-o", tmp_path / "run"]
    message = refused(*common, "--start", tmp_path / "paper.safetensors")
    assert "paper network, not of the edge network" in message
    assert "32 frames, not of 16" in refused(*common, "--start", tmp_path / "long.safetensors")
    assert "nothing at nothing" in refused(*common, "--start", "nothing")
    assert not (tmp_path / "run").exists()

    train(*common, "--start", tmp_path / "edge.safetensors", "--aperture")
    settings = load_checkpoint(tmp_path / "run" / CHECKPOINT)[0]["settings"]
    assert settings["start"].startswith("edge@")
    assert settings["learning_rate"] == 1.5e-3
    # What a run started from is in its record: without a wish, it goes on.
    assert train(*common, "--aperture")["step"] == 1


@pytest.mark.timeout(300)  # a graph is traced
def test_quick_turns_footage_into_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    footage = tmp_path / "my footage"
    footage.mkdir()
    y, x = np.mgrid[:64, :80]
    for index in range(40):
        frame = 127 + 100 * np.sin(0.3 * x + 0.2 * y + 0.5 * index)
        Image.fromarray(frame.astype(np.uint8)).save(footage / f"{index:05d}.png")
    few = replace(training_pipeline.FOOTAGE_SETTINGS, windows=8)
    monkeypatch.setattr(training_pipeline, "FOOTAGE_SETTINGS", few)
    bundle = tmp_path / "mine"
    arguments = ["--quick", "--footage", footage, "-o", bundle, "--steps", 4, "--period", 4]
    document = train(*arguments)
    assert document["show"] == f"focalloop live --bundle {bundle} --scene '{footage}'"
    made = Bundle.load(bundle)
    assert made.ratio_map.ratio == pytest.approx(0.125, rel=0.01)

    # Once is enough of what takes longest.
    difference = made.meta["export"]["largest_difference"]
    monkeypatch.setattr(export, "to_onnx", lambda network: (made.network, difference))
    (footage / "00040.png").write_bytes((footage / "00000.png").read_bytes())
    assert train(*arguments) == document, "windows are made once"
    elsewhere = [arguments[0], "--footage", tmp_path, *arguments[3:]]
    assert "was made from" in refused(*elsewhere)
    (tmp_path / "mine.run").rename(tmp_path / "away")
    assert "exists already" in refused(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--minutes or --steps"),
        (["--steps", "0"], "steps"),
        (["--minutes", "nan"], "--minutes"),
        (["--minutes", "inf"], "inf is not a finite"),
        (["--steps", "1", "--seed", "-1"], "seed"),
        (["--steps", "1", "--budget", "0"], "outside (0, 0.5]"),
        (["--steps", "1", "--budget", "0.51"], "outside (0, 0.5]"),
        (["--steps", "1", "--budget", "nan"], "nan is not a finite"),
        (["--steps", "1", "--budget", "0.1", "--map", "tile-1of16"], "one of --map, --budget"),
        (["--steps", "1", "--price", "-1"], "--price -1"),
        (["--steps", "1", "--price", "1", "--quick"], "not --price"),
        (["--steps", "1", "--map", "random-tiles", "--quick"], "needs one map"),
        (["--steps", "1", "--footage", "f"], "either --data or --footage"),
        (["--steps", "1", "--white", "4095"], "--white is for --footage"),
        (["--steps", "1", "--learning-rate", "inf"], "inf is not a finite"),
        (["--steps", "1", "--budget", "0.1", "--rounded"], "--rounded is for the edge network"),
        (["--steps", "1", "--network", "paper", "--rounded"], "--rounded is for the edge network"),
        (["--steps", "9", "--budget", "0.1", "--map-share", "1"], "--map-share 1"),
        (["--steps", "9", "--budget", "0.1", "--period", "4", "--period", "6"], "multiple of 4"),
        (["--steps", "9", "--budget", "0.1", "--period", "128"], "larger than a crop"),
    ],
)
def test_wrong_usage_is_told_and_leaves_nothing(
    tmp_path: Path, options: list[str], message: str
) -> None:
    arguments = ["train", "--data", "d.npz", "-o", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_trained_on_is_told(training_file: Path, tmp_path: Path) -> None:
    missing = ["--data", tmp_path / "none.npz", "-o", tmp_path / "run", "--steps", 1]
    assert "focalloop data build" in refused(*missing)
    small = ["--data", training_file, "-o", tmp_path / "run", "--steps", 1, "--crop", 64]
    code, _, error = invoke("train", *small)
    assert code == 1
    assert "crops of 64 pixels do not fit windows of 32" in str(error)
    assert not (tmp_path / "run").exists()
    few = ["--data", training_file, "-o", tmp_path / "run", "--steps", 2, "--budget", 0.1]
    assert "2 steps leave 0 for the map" in refused(*few, "--map-share", 0.1)
    random = ["--data", training_file, "-o", tmp_path / "run", "--steps", 1, "--start", "none"]
    assert "--rounded is for weights that are good" in refused(*random, "--rounded")
    (tmp_path / "file").write_text("")
    blocked = ["--data", training_file, "-o", tmp_path / "file" / "run", "--steps", 1]
    assert "is in no folder" in refused(*blocked)


@pytest.mark.parametrize(
    "arguments", [("train", "--data", "d", "-o", "r"), ("export", "r", "-o", "b")]
)
def test_without_pytorch_the_commands_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def absent(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(extra, "find_spec", absent)
    code, _, error = invoke(*arguments)
    assert code == 1
    assert "pip install 'focalloop[train]'" in str(error)


def test_export_refuses_scores_that_cannot_be_read(tmp_path: Path) -> None:
    code, _, _ = invoke("export", tmp_path, "-o", tmp_path / "b", "--score", "set=none")
    assert code == 2


def test_a_training_for_a_sensor_says_so_in_its_bundle(
    training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "to_onnx", lambda _: (tiny_network(), 0.0))  # tracing is slow
    sensor = replace(preset("scamp5"), name="mine", prnu=0.02)
    sensor.save(tmp_path / "mine.json")
    common = ["--data", training_file, "--steps", 1, "--batch", 1, "--start", "none"]
    noise = ["--noise", tmp_path / "mine.json", "--corrected"]
    train(*common, *noise, "-o", tmp_path / "run")
    manifest = export_run(tmp_path / "run", tmp_path / "bundle")
    stated = NoiseProfile.from_dict(manifest["noise_profile"])
    assert stated == corrected(sensor)
    assert "noise_range" not in manifest
    assert noise_note(Bundle.load(tmp_path / "bundle"), stated) is None
    # The same command goes on; another sensor, or none, is another run.
    train(*common, *noise, "-o", tmp_path / "run")
    message = refused(*common, *noise[:2], "-o", tmp_path / "run")
    assert ", not 0.02" in message
    assert "s_r" not in message
    assert "noise name mine, not paper" in refused(*common, "-o", tmp_path / "run")


@pytest.mark.parametrize("noise", [[], ["--noise", "scamp5"]])
def test_a_universal_network_is_told_the_noise_unless_it_is_for_one(
    noise: list[str], training_file: Path, tmp_path: Path
) -> None:
    common = ["--data", training_file, "--steps", 1, "--batch", 1, "--start", "none"]
    train(*common, "--map", "random-tiles", *noise, "-o", tmp_path)
    settings = load_checkpoint(tmp_path / CHECKPOINT)[0]["settings"]
    assert settings["network"]["noise"] == (not noise)
    assert settings["noise"]["name"] == (noise[1] if noise else "paper")


def test_noise_that_is_none_is_refused(training_file: Path, tmp_path: Path) -> None:
    common = ["--data", training_file, "--steps", 1, "-o", tmp_path / "run"]
    assert "no noise profile 'nothing'" in refused(*common, "--noise", "nothing")
    newer = preset("paper").as_dict() | {"schema_version": 2}
    (tmp_path / "newer.json").write_text(json.dumps(newer))
    assert "schema_version 1, not 2" in refused(*common, "--noise", tmp_path / "newer.json")
    assert "there is no --noise" in refused(*common, "--corrected")
    even = refused(*common, "--noise", "paper", "--corrected")
    assert "paper has no fixed pattern that could be corrected" in even
    assert not (tmp_path / "run").exists()
