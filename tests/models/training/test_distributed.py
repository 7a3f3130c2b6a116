"""Training on two processes that share each batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.cli.main import app
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.map_run import MapRun
from focalloop.models.map_learning.policy import PolicySettings
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.training import distributed
from focalloop.models.training.map_source import OneMap
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.run import LOG, RunSettings
from focalloop.models.training.run_log import RunLog
from focalloop.models.training.training_data import TrainingData
from tests.support import ROOT
from tests.support.training_files import gratings

SMALL = EdgeSettings(width=8, context=4, blocks=1)
SETTINGS = RunSettings(
    steps=3, batch=4, crop=16, warm_up_steps=1, learning_rate=1e-3, bfloat16=False, network=SMALL
)
WORKER = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from focalloop.models.training import distributed
from tests.models.training.test_distributed import small_map_run, small_run

training_file, folder = map(Path, sys.argv[1:])
with distributed.joined("cpu"):
    for kind, make in (("network", small_run), ("map", small_map_run)):
        run = make(training_file)
        run.train(folder / kind)
        learned = {name: v for name, v in run.state().items() if name.startswith("network.")}
        if kind == "map":
            learned["logits"] = run.policy.logits.detach()
        save_file(learned, folder / kind / f"{distributed.rank()}.weights")
"""


def small_run(training_file: Path) -> NetworkRun:
    tile = np.array([[4, 1], [1, 2]], np.uint8)
    ratio_map = RatioMap.from_tile(tile, shape=(32, 32))
    return NetworkRun(OneMap(ratio_map), TrainingData.load(training_file), SETTINGS)


def small_map_run(training_file: Path) -> MapRun:
    policy = PolicySettings(budget=2.0, periods=(2, 4), tiles_per_scene=2, starts=2)
    return MapRun(policy, TrainingData.load(training_file), replace(SETTINGS, batch=8, steps=6))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what two processes learned together: a network, and then a map.

    Loading torch takes each of them far longer than to learn.
    """
    folder = tmp_path_factory.mktemp("together")
    training_file = gratings(folder / "train.npz", 16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(training_file), str(folder)],
            cwd=ROOT,
            env=os.environ | address | {"RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    assert exit_codes(workers) == [0, 0]
    return folder


def exit_codes(workers: list[subprocess.Popen[bytes]]) -> list[int]:
    try:
        return [worker.wait() for worker in workers]
    finally:  # also where the test's time is over
        for worker in workers:
            worker.kill()


def both_shares(run: NetworkRun, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Train alone on the crops, and under the noise, that two processes draw; return weights."""
    learner, levels = run.learner, torch.from_numpy(run.maps.levels(None, 1, 16).copy())  # type: ignore[arg-type]
    measure = learner.measure
    for _ in range(SETTINGS.steps or 0):
        scenes, generators = [], []
        for rank in range(2):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            rng, noise = run.random()
            scenes.append(run.data.crops(rng, SETTINGS.batch // 2, 16))
            generators.append(noise)

        def measured(*_: object, halves=scenes, noises=generators):  # type: ignore[no-untyped-def]
            parts = [
                measure(half, levels, None, noise)
                for half, noise in zip(halves, noises, strict=True)
            ]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

        monkeypatch.setattr(learner, "measure", measured)
        rate, generator = run.learning_rate, generators[0]
        learner.step(torch.cat(scenes), levels, None, learning_rate=rate, generator=generator)
        run.progress.step += 1
    return learner.network.state_dict()


def test_two_processes_learn_what_one_does_from_both_their_shares(
    trained: Path, training_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = both_shares(small_run(training_file), monkeypatch)
    first, second = (load_file(trained / f"network/{rank}.weights") for rank in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        expected = alone[name.removeprefix("network.")]
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5)
    assert [row["step"] for row in RunLog(trained / "network" / LOG).rows()] == ["3"]


def test_two_processes_learn_one_map(trained: Path) -> None:
    first, second = (load_file(trained / f"map/{rank}.weights") for rank in range(2))
    assert first["logits"].shape == (4, 4, 5)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_torchrun_goes_on_with_what_one_process_began(
    training_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = NetworkRun.step

    def interrupted(run: NetworkRun) -> float:
        run.stop_wanted = run.progress.step == 1
        return take(run)

    monkeypatch.setattr(NetworkRun, "step", interrupted)
    arguments = ["train", "--data", str(training_file), "-o", str(tmp_path / "run")]
    arguments += ["--steps", "4", "--batch", "2", "--crop", "16", "--device", "cpu", "--json"]
    assert CliRunner().invoke(app, arguments).exit_code != 0

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc_per_node", "2", "-m", "focalloop", *arguments]
    ended = subprocess.run(torchrun, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["step"] == 4
    assert [row["step"] for row in RunLog(tmp_path / "run" / LOG).rows()] == ["2", "4"]


def test_a_batch_that_cannot_be_split_is_refused(
    training_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "count", lambda: 3)
    with pytest.raises(TrainError, match="batch of 4 cannot be split among 3 processes"):
        small_run(training_file)


def test_a_device_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match="no CUDA device"), distributed.joined("cuda"):
        pass
    with distributed.joined("auto") as device:
        assert device == "cpu"
