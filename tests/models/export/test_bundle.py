"""Bundles and weights from runs of every profile, through ONNX Runtime."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from typer.testing import CliRunner

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.noise import preset
from focalloop.host.cli.main import app
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models.errors import ExportError, TrainError
from focalloop.models.export import bundle as export, int8
from focalloop.models.export.bundle import Score, export_bundle, export_run, export_weights
from focalloop.models.export.int8 import measured
from focalloop.models.export.onnx_graph import parity, to_onnx
from focalloop.models.networks.aperture import ApertureSettings
from focalloop.models.networks.edge import USUAL_NOISE, EdgeSettings
from focalloop.models.networks.interpolation import REACH
from focalloop.models.networks.memory import NOTHING
from focalloop.models.networks.paper import PaperSettings
from focalloop.models.networks.profiles import Network, NetworkSettings, build_network
from focalloop.models.networks.sensing import clean_reads
from focalloop.models.training.checkpoint import CHECKPOINT
from focalloop.models.training.map_source import (
    RATIO_MAP,
    MapSource,
    OneMap,
    RandomApertures,
    RandomTiles,
)
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.rounding import parted
from focalloop.models.training.run import RunSettings
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights
from tests.support.tiny_bundle import tiny_network

pytestmark = pytest.mark.timeout(300)  # graphs are traced

EDGE = EdgeSettings(width=16, context=8, blocks=1)
PAPER = PaperSettings(stages=1)
APERTURE = ApertureSettings(width=16, context=16, stages=1)


def run_of(network: NetworkSettings, ratio_map: RatioMap | None, data: Path) -> NetworkRun:
    settings = RunSettings(steps=2, batch=1, crop=16, warm_up_steps=2, network=network)
    maps: MapSource = RandomApertures() if network == APERTURE else RandomTiles()
    if ratio_map is not None:
        maps = OneMap(ratio_map)
    return NetworkRun(maps, TrainingData.load(data), settings)


def checkpoint(run: NetworkRun, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    run.prepare(folder)
    run.save(folder / CHECKPOINT)
    return folder


def test_an_exported_bundle_reconstructs_what_the_network_does(
    tile_map: RatioMap, training_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ratio_map = tile_map.with_aperture_tile(APERTURE_TILE)
    run = run_of(replace(EDGE, aperture=True), ratio_map, training_file)
    run.train(tmp_path / "run")
    mean = {"psnr": 30.0, "ssim": 0.9}
    evaluation = {"results": [{"profile": "paper", "seed": 0, "r_avg": 0.125, "mean": mean}]}
    score = Score("clips.npz", "focalloop evaluate clips.npz", evaluation)
    manifest = export_run(tmp_path / "run", tmp_path / "tiny", [score])
    warned = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert not warned  # by the exporter, about its internals

    bundle = Bundle.load(tmp_path / "tiny")
    assert bundle.name == "tiny"
    assert np.array_equal(bundle.ratio_map.levels, tile_map.levels)
    assert bundle.meta["scores"][0]["psnr"] == 30.0
    assert bundle.meta["data"] == [{"name": "gratings", "licence": "none", "files": 1}]
    assert bundle.meta["training"]["settings"]["network"]["profile"] == "edge"
    assert bundle.meta["export"]["largest_difference"] < 1e-5
    assert manifest == json.loads((tmp_path / "tiny" / "bundle.json").read_text())

    fitted = ratio_map.tiled_to(21, 18)
    assert fitted.aperture is not None
    inputs = [torch.from_numpy(part.copy())[None] for part in (fitted.levels, fitted.aperture)]
    reads = clean_reads(torch.rand(1, 16, 21, 18), *inputs)
    with torch.inference_mode():
        expected = run.learner.averaged_network()(reads, *inputs)[0].numpy()
    found = bundle.reconstructor()(reads[0].numpy(), fitted)
    # Weights are stored as float16: about three significant digits.
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_network_that_is_told_the_noise_and_remembers_becomes_a_bundle(
    tile_map: RatioMap, sequences_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingData.load(sequences_file)
    run = run_of(replace(EDGE, noise=True, coarse=1, memory=True), None, sequences_file)
    torch.manual_seed(0)
    torch.nn.init.normal_(run.learner.average["told.layers.2.weight"], std=0.1)
    folder = checkpoint(run, tmp_path / "run")
    network = run.learner.averaged_network()
    levels = torch.from_numpy(tile_map.levels.copy())[None]
    reads, last = clean_reads(torch.rand(1, 16, 32, 32), levels), torch.rand(1, 32, 32)
    traced: list[tuple[bytes, float]] = []
    remembered: list[np.ndarray] = []
    narrowed = int8.in_int8

    def traced_once(network: Network) -> tuple[bytes, float]:
        traced[:] = traced or [to_onnx(network)]
        return traced[0]

    def in_int8(graph: bytes, inputs: list[int8.Inputs], **_: object) -> bytes:
        remembered.extend(each["last"] for each in inputs)
        return narrowed(graph, inputs)

    monkeypatch.setattr(export, "to_onnx", traced_once)
    monkeypatch.setattr(int8, "in_int8", in_int8)
    for name, windows, tolerance in (("wide", None, 2e-3), ("narrow", data, 0.1)):
        meta = export_run(folder, tmp_path / name, calibration=windows, first_map=tile_map)
        # It states the range of the noise, and takes any.
        low, high = np.array([meta["noise_range"]["s_ss"], meta["noise_range"]["s_r"]]).T
        assert (low < np.array(USUAL_NOISE) / 4).all()
        assert (high > np.array(USUAL_NOISE) * 4).all()
        reconstruct = Bundle.load(tmp_path / name).reconstructor(noise=tuple(high))
        with torch.inference_mode():
            noise = torch.tensor(np.array([high]), dtype=torch.float32)
            expected = network(reads, levels, noise=noise, last=last)[0].numpy()
        found = reconstruct(reads[0].numpy(), tile_map, last[0].numpy())
        np.testing.assert_allclose(found, expected, atol=tolerance)
        quiet = reconstruct.told(tuple(low))(reads[0].numpy(), tile_map, last[0].numpy())
        assert np.abs(quiet - found).mean() > 5e-3
    assert abs(meta["export"]["int8_loss_db"]) < 0.2
    # It is calibrated on windows in a row.
    assert len(remembered) == 3 * len(data.training)
    assert [bool((last == NOTHING).all()) for last in remembered[:4]] == [True, False, False, True]
    graph = (tmp_path / "narrow" / meta["network"]).read_bytes()
    (taken,) = (each for each in int8.loaded(graph).get_inputs() if each.name == "last")
    assert len(taken.shape) == 3


def test_a_network_for_any_aperture_becomes_a_bundle_for_any(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    run = run_of(APERTURE, None, training_file)
    folder = checkpoint(run, tmp_path / "run")
    meta = export_run(folder, tmp_path / "any", first_map=tile_map)
    assert meta["any_aperture"]
    bundle = Bundle.load(tmp_path / "any")
    coded = RatioMap.uniform(1, (21, 18)).with_random_aperture(2)
    assert coded.aperture is not None
    for ratio_map, aperture in (
        (coded, coded.aperture),
        (tile_map.tiled_to(21, 18), np.ones((16, 21, 18), np.bool_)),
    ):
        assert bundle.suits(ratio_map)
        inputs = [torch.from_numpy(each.copy())[None] for each in (ratio_map.levels, aperture)]
        reads = clean_reads(torch.rand(1, 16, 21, 18), *inputs)
        with torch.inference_mode():
            expected = run.learner.averaged_network()(reads, *inputs)[0].numpy()
        found = bundle.reconstructor()(reads[0].numpy(), ratio_map)
        np.testing.assert_allclose(found, expected, atol=2e-3)
    data = TrainingData.load(training_file)
    with pytest.raises(ExportError, match="edge profile"):
        export_run(folder, tmp_path / "narrow", calibration=data, first_map=tile_map)


@pytest.mark.parametrize("other", [{"bundle": "huge"}, {"r_avg": 0.25}])
def test_the_score_of_another_bundle_is_refused(other: dict[str, object]) -> None:
    result = {"bundle": "tiny", "profile": "paper", "seed": 0, "r_avg": 0.125}
    result |= {"mean": {"psnr": 30.0, "ssim": 0.9}}
    command = "focalloop evaluate clips.npz --bundle tiny"
    right = Score("clips.npz", command, {"results": [result]})
    assert right.entry("tiny", 0.125)["psnr"] == 30.0
    wrong = Score("clips.npz", command, {"results": [result | other]})
    with pytest.raises(ExportError, match=r"not of tiny at 0\.125: give those that `focalloop"):
        wrong.entry("tiny", 0.125)


def test_a_paper_network_with_lively_weights_is_the_same_in_onnx_runtime() -> None:
    torch.manual_seed(0)
    network = build_network(replace(PAPER, aperture=True))
    torch.nn.init.normal_(network.mapping.weight, std=0.05)
    graph, difference = to_onnx(network)
    assert difference < 1e-5
    # What is compared is the output of the stages, not just a first guess that passes them by.
    torch.nn.init.zeros_(network.mapping.weight)
    assert parity(network, graph) > 0.1
    torch.nn.init.constant_(network.mapping.weight, float("nan"))
    assert np.isnan(parity(network, graph))


def test_eight_bits_cost_little_and_too_much_is_refused(
    tile_map: RatioMap,
    training_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = TrainingData.load(training_file)
    folder = checkpoint(run_of(EDGE, tile_map, training_file), tmp_path / "run")
    shipped = Bundle.load("edge-learned-2of16")  # a network that has learned something
    monkeypatch.setattr(export, "to_onnx", lambda network: (shipped.network, 0.0))

    meta = export_run(folder, tmp_path / "narrow", calibration=data)
    assert capsys.readouterr().out == ""
    assert abs(meta["export"]["int8_loss_db"]) < 0.2
    bundle = Bundle.load(tmp_path / "narrow")
    assert b"QuantizeLinear" in bundle.network
    tensors = onnx.load_from_string(bundle.network).graph.initializer
    weights = [numpy_helper.to_array(t) for t in tensors if t.data_type == TensorProto.INT8]
    # Sums of two products fit into 16 bits, in which some processors add them.
    assert max(np.abs(narrow.astype(int)).max() for narrow in weights if narrow.ndim == 4) <= 64
    inputs = measured(data.validation, tile_map, preset("paper"))
    wide, found = (
        each.reconstructor()(inputs[0]["reads"][0], tile_map) for each in (shipped, bundle)
    )
    assert 0 < np.abs(found - wide).mean() < 0.01

    export_bundle(Path("edge-learned-2of16"), tmp_path / "of a bundle", data, narrow=True)
    again = Bundle.load(tmp_path / "of a bundle")
    assert b"QuantizeLinear" in again.network
    assert again.ratio_map == shipped.ratio_map
    assert again.meta["training"] == shipped.meta["training"]
    with pytest.raises(ExportError, match="any map"):
        export_bundle(Path("edge-universal-int8"), tmp_path / "x", data, narrow=True)
    with pytest.raises(ExportError, match="cannot be read"):
        export_bundle(tmp_path, tmp_path / "x", data)

    for_any = checkpoint(run_of(EDGE, None, training_file), tmp_path / "any")
    meta = export_run(for_any, tmp_path / "for any", calibration=data, first_map=tile_map)
    assert abs(meta["export"]["int8_loss_db"]) < 0.2

    monkeypatch.setattr(export, "MAX_INT8_LOSS_DB", -1)
    with pytest.raises(ExportError, match="8-bit arithmetic loses"):
        export_run(folder, tmp_path / "refused", calibration=data)
    assert not (tmp_path / "refused").exists()


def test_a_rounded_run_brings_the_ranges_of_its_eight_bits(
    tile_map: RatioMap, training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunSettings(steps=1, batch=1, crop=16, network=EDGE, rounded=True)
    data = TrainingData.load(training_file)
    run = NetworkRun(OneMap(tile_map), data, settings)
    brought: list[object] = []

    def in_int8(graph: bytes, *_: object, ranges: object) -> bytes:
        brought.append(ranges)
        return graph + b"x"

    monkeypatch.setattr(int8, "in_int8", in_int8)
    monkeypatch.setattr(int8, "mean_psnr", lambda *_: 0.0)
    monkeypatch.setattr(export, "to_onnx", lambda network: (tiny_network(), 0.0))
    monkeypatch.setattr(export, "noise_cost", lambda *_: {})
    export_run(checkpoint(run, tmp_path / "before"), tmp_path / "x", calibration=data)
    run.train(tmp_path / "after")
    export_run(tmp_path / "after", tmp_path / "y", calibration=data)
    none, found = brought
    assert none == {}
    assert isinstance(found, dict)
    _, expected = parted(run.learner.average)
    assert found.keys() == expected.keys() == {"squeeze", "blocks.0.first", "blocks.0.second"}
    assert all(repr(found[name]) == repr(expected[name]) for name in expected)


def test_maps_that_measure_nothing_do_not_count_in_the_loss_of_eight_bits(
    tile_map: RatioMap, training_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles, data = RandomTiles(), TrainingData.load(training_file)
    monkeypatch.setattr(tiles, "levels", lambda _, count, side: np.zeros((count, side, side), "u1"))
    calibrated_on: list[int8.Inputs] = []

    def in_int8(graph: bytes, inputs: list[int8.Inputs], **_: object) -> bytes:
        calibrated_on.extend(inputs)
        return graph

    monkeypatch.setattr(int8, "in_int8", in_int8)
    int8.calibrated(tiny_network(), data, tile_map, preset("paper"), tiles)
    assert len(calibrated_on) == len(data.training)
    assert all((each["levels"] == tile_map.levels).all() for each in calibrated_on)


@pytest.mark.parametrize("name", ["edge-fixed-1of16", "edge-universal-int8"])
def test_a_bundle_that_is_written_again_keeps_all_but_what_noise_costs(
    name: str, training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = {"against": "x", "s_ss": [1e-3], "s_r": [1e-3], "loss_db": [[0.5]]}
    monkeypatch.setattr(export, "noise_cost", lambda *_: {"noise_cost": cost})
    shipped = Bundle.load(name)
    export_bundle(Path(name), tmp_path / name, TrainingData.load(training_file))
    again = Bundle.load(tmp_path / name)
    assert again.network == shipped.network
    assert again.ratio_map == shipped.ratio_map
    told = again.noise_range is not None
    expected = (
        shipped.meta | {"sha256": again.meta["sha256"]} | ({} if told else {"noise_cost": cost})
    )
    assert again.meta == expected
    export_bundle(Path(name), tmp_path / "another", TrainingData.load(training_file))
    assert Bundle.load(tmp_path / "another").meta["scores"] == []


def test_the_recipe_is_the_command_that_trained(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    run = run_of(EDGE, tile_map, training_file)
    run.command = "focalloop train --map tile-2of16 --steps 2"
    origin = export_weights(checkpoint(run, tmp_path / "run"), tmp_path / "w.safetensors")
    assert origin["training"]["recipe"] == run.command
    assert origin["training"]["settings"]["seed"] == 0


def test_the_command_exports_weights_to_a_file_of_theirs(
    training_file: Path, tmp_path: Path
) -> None:
    folder = checkpoint(run_of(EDGE, None, training_file), tmp_path / "run")
    path = tmp_path / "w.safetensors"
    result = CliRunner().invoke(app, ["export", str(folder), "-o", str(path), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["licence"] == "Apache-2.0"
    assert load_weights(path)[0] == EDGE
    arguments = ["export", str(folder), "-o", str(path), "--score", "set=file"]
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("network", [EDGE, PAPER, APERTURE], ids=str)
def test_a_run_can_start_from_the_weights_of_another(
    network: NetworkSettings, training_file: Path, tmp_path: Path
) -> None:
    universal = run_of(network, None, training_file)
    path = tmp_path / "universal.safetensors"
    export_weights(checkpoint(universal, tmp_path / "run"), path)
    settings, weights = load_weights(path, network)
    assert settings == network
    again = run_of(settings, None, training_file)
    again.learner.start_from(weights)
    for name, value in universal.learner.average.items():
        torch.testing.assert_close(again.learner.average[name], value, rtol=1e-3, atol=1e-6)


def test_a_network_for_any_map_needs_one_to_begin_with(
    tile_map: RatioMap, training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(run_of(EDGE, None, training_file), tmp_path / "run")
    with pytest.raises(ExportError, match=r"a map to begin with, or .* ends in \.safetensors"):
        export_run(folder, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()

    graph = tiny_network()  # what is exported is not asked here
    monkeypatch.setattr(export, "to_onnx", lambda network: (graph, 0.0))
    words = ["export", str(folder), "-o", str(tmp_path / "bundle"), "--map", "tile-1of16"]
    assert CliRunner().invoke(app, words).exit_code == 0
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.ratio_map.mean_level == 1
    assert bundle.reach == REACH
    assert bundle.suits(tile_map)

    tile_map.save(folder / RATIO_MAP)
    with pytest.raises(ExportError, match="for one map, which it holds"):
        export_run(folder, tmp_path / "bundle", first_map=tile_map)


def test_a_map_that_is_not_the_networks_is_refused(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    folder = checkpoint(run_of(EDGE, tile_map, training_file), tmp_path / "run")
    tile_map.with_aperture_tile(APERTURE_TILE).save(folder / RATIO_MAP)
    with pytest.raises(ExportError, match="has a coded aperture, which its network was not made"):
        export_run(folder, tmp_path / "bundle")
    RatioMap.uniform(2, (16, 16), slots=8).save(folder / RATIO_MAP)
    with pytest.raises(ExportError, match="windows of 16 frames, its map for 8"):
        export_run(folder, tmp_path / "bundle")


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("words")
    with pytest.raises(ExportError, match="is not a bundle"):
        export_run(tmp_path / "run", precious)
    assert (precious / "chapter.txt").read_text() == "words"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FocalloopError, match="name a folder of `focalloop train`"):
        export_run(tmp_path, tmp_path / "bundle")


def test_a_damaged_checkpoint_is_refused_and_changes_nothing(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    run = run_of(EDGE, tile_map, training_file)
    run.save(tmp_path / CHECKPOINT)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainError, match="is not a checkpoint"):
        run.resume(tmp_path / CHECKPOINT)
    with pytest.raises(TrainError, match="is not a checkpoint"):
        export_run(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
