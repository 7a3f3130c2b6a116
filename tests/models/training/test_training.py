"""The network and the training loop, on windows small enough to run in seconds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import NOISE_SPAN, USUAL_NOISE, EdgeSettings
from focalloop.models.networks.paper import PaperSettings
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from focalloop.models.training.map_source import RATIO_MAP, MapSource, OneMap, RandomTiles
from focalloop.models.training.network_run import NetworkRun, maps_in_a_row
from focalloop.models.training.optimizer import orthogonalised
from focalloop.models.training.run import LOG, PLOT, Run, RunSettings
from focalloop.models.training.run_log import RunLog
from focalloop.models.training.run_plot import draw
from focalloop.models.training.training_data import TrainingData

SMALL = EdgeSettings(width=16, context=8, blocks=1)
TOLD = replace(SMALL, noise=True)
REMEMBERING = replace(TOLD, memory=True)
QUICK = RunSettings(steps=6, batch=2, crop=16, warm_up_steps=2, network=SMALL)


def steps_in(log: Path) -> list[int]:
    return [int(row["step"]) for row in RunLog(log).rows()]


def trained(run: Run, folder: Path) -> dict[str, torch.Tensor]:
    run.train(folder)
    return {name: value.clone() for name, value in run.learner.average.items()}


def test_orthogonalised_evens_out_singular_values() -> None:
    matrix = torch.randn(8, 24, generator=torch.Generator().manual_seed(0))
    matrix[0] *= 20
    assert torch.linalg.svdvals(matrix).max() / torch.linalg.svdvals(matrix).min() > 20
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.5


@pytest.mark.parametrize("kind", ["one map", "universal", "with memory", "rounded"])
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    kind: str, tile_map: RatioMap, training_file: Path, sequences_file: Path, tmp_path: Path
) -> None:
    networks = {"one map": SMALL, "universal": TOLD, "with memory": REMEMBERING, "rounded": TOLD}
    network = networks[kind]
    data = TrainingData.load(sequences_file if network.memory else training_file)
    maps: MapSource = OneMap(tile_map) if network == SMALL else RandomTiles()
    settings = replace(QUICK, network=network, rounded=kind == "rounded")
    whole = trained(NetworkRun(maps, data, settings), tmp_path / "whole")

    first = NetworkRun(maps, data, settings)
    for _ in range(3):
        first.step()
        first.progress.step += 1
    first.save(tmp_path / CHECKPOINT)
    second = NetworkRun(maps, data, settings)
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
    run.settings = replace(run.settings, schedule="flat")
    assert run.learning_rate == QUICK.learning_rate


def test_a_network_that_is_told_the_noise_learns_from_noise_of_the_whole_range(
    training_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = NetworkRun(RandomTiles(), TrainingData.load(training_file), replace(QUICK, network=TOLD))
    seen = []
    measure = run.learner.measure

    def watched(*arguments: Any) -> dict[str, torch.Tensor]:
        inputs = measure(*arguments)
        seen.append(inputs["noise"])
        return inputs

    monkeypatch.setattr(run.learner, "measure", watched)
    for _ in range(60):
        run.step()
        run.progress.step += 1
    factors = torch.cat(seen) / torch.tensor(USUAL_NOISE)
    assert float(factors.max()) <= NOISE_SPAN
    assert float(factors.min()) >= 1 / NOISE_SPAN * 0.999
    assert (factors.amax(0) > 4).all()
    assert (factors.amin(0) < 1 / 4).all()
    assert abs(float(torch.corrcoef(factors.log().T)[0, 1])) < 0.3
    seen.clear()
    run.validate()
    expected = torch.tensor([USUAL_NOISE] * len(run.data.validation))
    torch.testing.assert_close(torch.cat(seen), expected, rtol=1e-4, atol=0)


def test_random_tiles_leave_out_single_pixels_of_some_crops() -> None:
    levels = RandomTiles().levels(np.random.default_rng(0), 200, 32)
    # Two tiles of 16 pixels differ only where pixels were left out, or everywhere in mixed crops.
    differ = (levels[:, :16] != levels[:, 16:]).mean((1, 2))
    with_defects = (differ > 0) & (differ < 0.11)
    assert 0.1 < with_defects.mean() < 0.35
    one, other = levels[with_defects, :16], levels[with_defects, 16:]
    assert (np.minimum(one, other)[one != other] == 0).mean() > 0.95


def test_tiles_move_by_one_step_from_window_to_window_or_are_others() -> None:
    levels = maps_in_a_row(np.random.default_rng(0), RandomTiles(), 60, 32)
    kinds: Counter[str] = Counter()
    for first, second, third in levels.reshape(60, 3, 32, 32):
        steps = [
            (down, right)
            for down in range(4)
            for right in range(4)
            if np.array_equal(second, np.roll(first, (down, right), (0, 1)))
        ]
        kinds["moves" if steps and steps[0] != (0, 0) else "stays" if steps else "another"] += 1
        if steps:
            assert np.array_equal(third, np.roll(second, steps[0], (0, 1)))
    assert kinds["moves"] > kinds["stays"] > 0
    assert kinds["another"] > 0


def test_a_run_refuses_the_folder_of_another_and_leaves_it_as_it_is(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    data = TrainingData.load(training_file)
    NetworkRun(OneMap(tile_map), data, QUICK).train(tmp_path)
    assert (tmp_path / LOG).read_text().splitlines()[-1].startswith("6,")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before.keys() >= {CHECKPOINT, LOG, PLOT, RATIO_MAP}
    other_map = RatioMap.from_tile(NAMED_TILES["tile-1of16"], shape=(32, 32))
    other_data = replace(data, recipe={"settings": {"seed": 1}, "sources": []})
    for maps, windows, settings, message in (
        (tile_map, data, replace(QUICK, seed=5), "seed 0, not 5"),
        (tile_map, data, replace(QUICK, network=PaperSettings()), "edge network, not of the paper"),
        (other_map, data, QUICK, "another ratio map"),
        (tile_map, other_data, QUICK, "other data"),
    ):
        with pytest.raises(TrainError, match=message):
            NetworkRun(OneMap(maps), windows, settings).train(tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_an_interrupted_run_goes_on_from_its_folder_with_a_whole_log(
    tile_map: RatioMap, training_file: Path, tmp_path: Path
) -> None:
    data = TrainingData.load(training_file)

    def stop_after_three(run: Run) -> None:
        run.stop_wanted = run.progress.step == 3

    first = NetworkRun(OneMap(tile_map), data, QUICK)
    first.train(tmp_path, on_step=stop_after_three)
    assert steps_in(tmp_path / LOG) == [3]
    # What a run wrote that was killed before its next checkpoint: more rows, and half of one.
    with (tmp_path / LOG).open("a") as file:
        file.write("5,0.1,20.0,20.0\n6")

    second = NetworkRun(OneMap(tile_map), data, QUICK)
    seen: list[int] = []
    second.train(tmp_path, on_step=lambda run: seen.append(run.progress.step))
    assert seen == [4, 5, 6]
    assert steps_in(tmp_path / LOG) == [3, 6]
    assert Image.open(tmp_path / PLOT).size > (300, 200)


def test_a_log_takes_new_columns_and_drops_what_is_not_kept(tmp_path: Path) -> None:
    log = RunLog(tmp_path / LOG)
    log.append({"step": 1, "train_psnr": 20.0})
    log.append({"step": 2, "train_psnr": 21.0, "price": 0.3})
    assert [row["price"] for row in log.rows()] == ["", "0.3000"]
    log.append({"step": 2, "train_psnr": 22.0, "price": 0.4})
    assert [row["train_psnr"] for row in log.rows()] == ["20.0000", "22.0000"]
    log.drop_after(0)
    assert log.rows() == []


def test_the_log_of_a_learned_map_is_drawn_with_its_budget(tmp_path: Path) -> None:
    row = {"price": "0.3", "entropy": "1.2", "sampled_mean": "2.4", "argmax_mean": "2"}
    row |= {"deployed_mean": "2", "budget": "2", "validation_psnr": "nan", "sampled_psnr": "23"}
    row |= {f"share_{level}": "0.2" for level in (0, 1, 2, 4, 8)}
    draw([row | {"step": "100"}, row | {"step": "200", "entropy": "0.9"}], tmp_path / PLOT)
    assert Image.open(tmp_path / PLOT).size > (600, 400)


@pytest.mark.parametrize("good_steps", [0, 3])
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    tile_map: RatioMap, training_file: Path, tmp_path: Path, good_steps: int
) -> None:
    run = NetworkRun(OneMap(tile_map), TrainingData.load(training_file), QUICK)
    checkpoints: list[bytes] = []

    def poison(run: Run) -> None:
        if run.progress.step > good_steps:
            next(iter(run.learner.network.parameters())).data.fill_(torch.nan)

    def keep(run: Run) -> None:
        checkpoints.append((tmp_path / CHECKPOINT).read_bytes())

    with pytest.raises(
        TrainError, match=rf"at step {good_steps + 1}.*holds step {good_steps}.*0.004"
    ):
        run.train(tmp_path, report_minutes=0, on_step=poison, on_report=keep)
    assert len(checkpoints) == good_steps
    progress = load_checkpoint(tmp_path / CHECKPOINT)[0]["progress"]
    assert progress["step"] == good_steps
    assert not checkpoints or (tmp_path / CHECKPOINT).read_bytes() == checkpoints[-1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (replace(QUICK, steps=None), "budget"),
        (replace(QUICK, crop=64), "do not fit"),
        (replace(QUICK, network=REMEMBERING), "3 windows of 16 frames in a row.*--frames 48"),
    ],
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
