"""The network, the training loop and the export, on windows small enough to run in seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from firmware_sim.errors import FocalloopError
from firmware_sim.ratio_map import NAMED_TILES, RatioMap
from host.bundle import Bundle
from models.edge_network import EdgeNetwork, EdgeSettings
from models.export import Score, export_run
from models.map_source import OneMap
from models.optimizer import Muon, orthogonalised
from models.run import CHECKPOINT, LOG, Run, RunSettings
from models.sensing import clean_reads, initial_reconstruction
from models.train import NetworkRun
from models.training_data import TrainError, TrainingData

SMALL = EdgeSettings(width=16, context=8, coarse_blocks=1, exit_blocks=1)
QUICK = RunSettings(steps=6, batch=2, crop=16, warm_up_steps=2, network=SMALL)


def trained(run: Run, folder: Path) -> dict[str, torch.Tensor]:
    run.train(folder)
    return {name: value.clone() for name, value in run.learner.average.items()}


@pytest.mark.parametrize(("height", "width"), [(16, 16), (5, 3), (17, 30), (1, 1)])
def test_any_size_gives_a_video_of_that_size(height: int, width: int) -> None:
    levels = torch.ones(2, height, width, dtype=torch.uint8)
    video = EdgeNetwork(SMALL)(torch.rand(2, 8, height, width), levels)
    assert video.shape == (2, 16, height, width)


def test_an_untrained_network_gives_the_initial_reconstruction(tile_map: RatioMap) -> None:
    levels = torch.from_numpy(tile_map.tiled_to(16, 24).levels.copy())[None]
    reads = clean_reads(torch.rand(1, 16, 16, 24), levels)
    torch.testing.assert_close(
        EdgeNetwork(SMALL)(reads, levels), initial_reconstruction(reads, levels)
    )


def test_unmeasured_pixels_start_from_their_measured_neighbours() -> None:
    levels = torch.tensor([[4, 0], [0, 4]], dtype=torch.uint8).repeat(4, 4)[None]
    reads = clean_reads(torch.full((1, 16, 8, 8), 0.7), levels)
    video = EdgeNetwork(SMALL)(reads, levels)
    torch.testing.assert_close(video, torch.full_like(video, 0.7))


def test_one_window_can_be_learned_by_heart(tile_map: RatioMap) -> None:
    y, x = np.mgrid[:16, :16]
    frames = [0.5 + 0.4 * np.sin(0.8 * x + 0.5 * y + 0.4 * t) for t in range(16)]
    scene = torch.from_numpy(np.stack(frames)).float()[None]
    levels = torch.from_numpy(tile_map.tiled_to(16, 16).levels.copy())[None]
    reads = clean_reads(scene, levels)
    torch.manual_seed(0)
    network = EdgeNetwork(SMALL)
    optimizer = Muon(network.named_parameters(), outer=("squeeze", "head"))
    first = float((network(reads, levels) - scene).square().mean().detach())
    for step in range(120):
        error = (network(reads, levels) - scene).square().mean()
        error.backward()
        optimizer.step(5e-3 * (1 - step / 120))
        network.zero_grad(set_to_none=True)
    assert float(error.detach()) < first / 50


def test_orthogonalised_evens_out_singular_values() -> None:
    matrix = torch.randn(8, 24, generator=torch.Generator().manual_seed(0))
    matrix[0] *= 20
    assert torch.linalg.svdvals(matrix).max() / torch.linalg.svdvals(matrix).min() > 20
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.5


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    data = TrainingData.load(training_file)
    whole = trained(NetworkRun(OneMap(tile_map), data, QUICK), tmp_path / "whole")

    first = NetworkRun(OneMap(tile_map), data, QUICK)
    for _ in range(3):
        first.step()
        first.progress.step += 1
    first.save(tmp_path / CHECKPOINT)
    second = NetworkRun(OneMap(tile_map), data, QUICK)
    second.resume(tmp_path / CHECKPOINT)
    resumed = trained(second, tmp_path / "resumed")

    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_another_seed_trains_another_network(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    data = TrainingData.load(training_file)
    one = trained(NetworkRun(OneMap(tile_map), data, QUICK), tmp_path / "one")
    two = trained(NetworkRun(OneMap(tile_map), data, replace(QUICK, seed=1)), tmp_path / "two")
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_the_learning_rate_warms_up_and_ends_at_zero(
    tile_map: RatioMap, training_file: Path
) -> None:
    run = NetworkRun(OneMap(tile_map), TrainingData.load(training_file), replace(QUICK, steps=100))
    assert 0 < run.learning_rate < QUICK.learning_rate
    run.progress.step = 50
    assert run.learning_rate == pytest.approx(QUICK.learning_rate / 2)
    run.progress.step = 100
    assert run.spent == 1
    assert run.learning_rate == 0


def test_a_run_keeps_a_log_and_refuses_other_settings_or_maps(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    data = TrainingData.load(training_file)
    NetworkRun(OneMap(tile_map), data, QUICK).train(tmp_path)
    assert (tmp_path / LOG).read_text().splitlines()[-1].startswith("6,")
    with pytest.raises(TrainError, match="other settings"):
        NetworkRun(OneMap(tile_map), data, replace(QUICK, seed=5)).resume(tmp_path / CHECKPOINT)
    other = RatioMap.from_tile(NAMED_TILES["tile-1of16"], shape=(32, 32))
    with pytest.raises(TrainError, match="another ratio map"):
        NetworkRun(OneMap(other), data, QUICK).resume(tmp_path / CHECKPOINT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [(replace(QUICK, steps=None), "budget"), (replace(QUICK, crop=64), "do not fit")],
)
def test_settings_that_cannot_work_are_refused(
    tile_map: RatioMap, training_file: Path, settings: RunSettings, message: str
) -> None:
    with pytest.raises(TrainError, match=message):
        NetworkRun(OneMap(tile_map), TrainingData.load(training_file), settings)


def test_a_file_that_is_no_training_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clips.npz"
    np.savez(path, clips=np.zeros((1, 16, 8, 8), np.uint8))
    with pytest.raises(TrainError, match="focalloop data build"):
        TrainingData.load(path)
    with pytest.raises(TrainError, match="focalloop data build"):
        TrainingData.load(tmp_path / "missing.npz")


def test_an_exported_bundle_reconstructs_what_the_network_does(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    run = NetworkRun(OneMap(tile_map), TrainingData.load(training_file), QUICK)
    run.train(tmp_path / "run")
    mean = {"psnr": 30.0, "ssim": 0.9}
    evaluation = {"results": [{"profile": "paper", "seed": 0, "r_avg": 0.125, "mean": mean}]}
    score = Score("clips.npz", "focalloop evaluate clips.npz", evaluation)
    manifest = export_run(tmp_path / "run", tmp_path / "edge-tiny", [score])

    bundle = Bundle.load(tmp_path / "edge-tiny")
    assert bundle.name == "edge-tiny"
    assert np.array_equal(bundle.ratio_map.levels, tile_map.levels)
    assert bundle.meta["scores"][0]["psnr"] == 30.0
    assert bundle.meta["data"] == [{"name": "gratings", "licence": "none", "files": 1}]
    assert manifest == json.loads((tmp_path / "edge-tiny" / "bundle.json").read_text())

    fitted = tile_map.tiled_to(21, 18)
    levels = torch.from_numpy(fitted.levels.copy())[None]
    reads = clean_reads(torch.rand(1, 16, 21, 18), levels)
    with torch.inference_mode():
        expected = run.learner.averaged_network()(reads, levels)[0].numpy()
    found = bundle.reconstructor()(reads[0].numpy(), fitted)
    # Weights are stored as float16: about three significant digits.
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FocalloopError, match="no folder of `focalloop train`"):
        export_run(tmp_path, tmp_path / "bundle")


def test_a_damaged_checkpoint_is_refused_and_changes_nothing(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    run = NetworkRun(OneMap(tile_map), TrainingData.load(training_file), QUICK)
    run.save(tmp_path / CHECKPOINT)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainError, match="no checkpoint"):
        run.resume(tmp_path / CHECKPOINT)
    with pytest.raises(TrainError, match="no checkpoint"):
        export_run(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
