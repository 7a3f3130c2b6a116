"""Radio networks on two processes that share each batch."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file

from focalloop.models.data.training_file import save_windows
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import block_transform
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.semcom import SemComSettings
from focalloop.models.radio.semcom_run import LinkTraining, SemComRun
from focalloop.models.radio.transforms import TransformSettings
from focalloop.models.training import distributed
from focalloop.models.training.run import LOG, RunSettings
from focalloop.models.training.run_log import RunLog
from focalloop.models.training.training_data import TrainingData
from tests.models.training.test_distributed import exit_codes
from tests.support import ROOT

SMALL = SemComSettings((8, 24, 72, 104), TransformSettings(104, (8, 12, 16), (1, 1, 1)))
WORKER = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from focalloop.models.training import distributed
from tests.models.radio.test_distributed import small_run

torch.set_num_threads(1)
training_file, folder = map(Path, sys.argv[1:])
with distributed.joined("cpu"):
    run = small_run(training_file)
    run.train(folder)
    save_file(run.learner.network.state_dict(), folder / f"{distributed.rank()}.weights")
"""


def small_run(training_file):
    data, sensing = TrainingData.load(training_file), Sensing(FrozenBundle())
    transform = block_transform(data, sensing.reads, windows=40)
    settings = RunSettings(
        steps=2, batch=4, crop=32, warm_up_steps=1, learning_rate=1e-3, bfloat16=False
    )
    return SemComRun(transform, LinkTraining(), SMALL, sensing, data, settings)


def both_shares(run, monkeypatch):
    """Train alone on the mean loss of what two processes draw; return weights."""
    for _ in range(run.settings.steps):
        losses = []
        for rank in range(2):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            rng, generator = run.random()
            scene = run.data.crops(rng, run.settings.batch // 2, run.settings.crop)
            cells = run.sensing.reads.measure(scene, generator)
            losses.append(run.loss(scene, cells, rng, generator)[0])
        run.learner.update(torch.stack(losses).mean(), run.learning_rate)
        run.progress.step += 1
    return run.learner.network.state_dict()


def test_two_processes_learn_what_one_does_from_both_their_shares(data, tmp_path, monkeypatch):
    training_file = tmp_path / "train.npz"
    save_windows(
        training_file,
        {
            "clips": np.concatenate([data.training, data.validation]),
            "validation": np.arange(len(data.training) + len(data.validation))
            >= len(data.training),
            "recipe": np.array(json.dumps(data.recipe)),
        },
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(training_file), str(tmp_path)],
            cwd=ROOT,
            env=os.environ | address | {"RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    alone = both_shares(small_run(training_file), monkeypatch)
    assert exit_codes(workers) == [0, 0]

    first, second = (load_file(tmp_path / f"{rank}.weights") for rank in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        torch.testing.assert_close(value, alone[name], rtol=1e-3, atol=1e-5, msg=name)
    assert [row["step"] for row in RunLog(tmp_path / LOG).rows()] == ["2"]
