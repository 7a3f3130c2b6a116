"""Methods of map learning, compared by the tiles that they find.

``python -m benchmarks.map_learning --data train.npz --judge edge-universal --budget 1`` gives every
method the same minutes, the same training windows and the same universal network to begin with, the
*judge*: policy gradients with each kind of credit, two differentiable relaxations, and a search.
The tiles found are scored by the initial judge, on the same held-out windows with the same noise,
beside the peers: the best hand-made tile and the fixed level of the budget.

The scores of the judge are a screening: networks that are trained for one tile do better, and not
equally so for all tiles. The JSON document is therefore also a plan of `benchmarks.maps`, which
trains a network for each tile.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.maps import hand_made
from benchmarks.relaxation import RELAXATIONS, RelaxationSettings, RelaxedRun
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.noise import preset
from focalloop.models.errors import TrainError
from focalloop.models.map_learning.map_run import MapRun
from focalloop.models.map_learning.policy import CREDITS, PolicySettings
from focalloop.models.map_learning.tile_search import SearchSettings, scene_psnr, search_tiles
from focalloop.models.networks.profiles import NetworkSettings, settings_from
from focalloop.models.training.checkpoint import load_checkpoint
from focalloop.models.training.learner import Learner, below
from focalloop.models.training.run import Run, RunSettings
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights

NOISE = "paper"
BATCH = 16
CROP = 64
LEARNING_RATE = 1.5e-3
"""Learning rate of the network, where it learns too, as in `benchmarks.maps`."""
RETRAINING_STEPS = 1200
"""Training steps of each network, in the plan that is printed."""

Tile = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """What every method is given.

    Attributes
    ----------
    data : TrainingData
        Windows.
    network, weights : NetworkSettings or dict of str to Tensor
        Settings and weights of the judge.
    budget : float
        Measurements per pixel.
    minutes : float
        Time for each method.
    period : int
        Side of the tile, pixels.
    seed : int
        Seed of every random choice.
    """

    data: TrainingData
    network: NetworkSettings
    weights: dict[str, Tensor]
    budget: float
    minutes: float
    period: int
    seed: int

    def judge(self) -> Learner:
        """Return the initial judge."""
        judge = Learner(self.network, preset(NOISE))
        judge.start_from(self.weights)
        return judge

    @property
    def crop(self) -> int:
        """Side of the crops that all methods take, pixels."""
        return min(CROP, self.data.side)

    def run_settings(self) -> RunSettings:
        """Return the settings of a method that takes training steps."""
        return RunSettings(
            minutes=self.minutes,
            batch=BATCH,
            crop=self.crop,
            learning_rate=LEARNING_RATE,
            warm_up_steps=50,
            noise=preset(NOISE),
            seed=self.seed,
            network=self.network,
        )


Method = Callable[[Task], Tile]


def by_policy(task: Task, credit: str) -> Tile:
    """Follow the policy gradient, while the network learns too."""
    policy = PolicySettings(budget=task.budget, credit=credit, periods=(task.period,))
    run = MapRun(policy, task.data, task.run_settings())
    _train(run, task)
    return run.policy.best_tile()


def by_relaxation(task: Task, method: str) -> Tile:
    """Follow the gradient of a relaxation, under the initial judge."""
    relaxation = RelaxationSettings(task.budget, method, period=(task.period, task.period))
    run = RelaxedRun(relaxation, task.data, task.run_settings())
    _train(run, task)
    return run.best_tile()


def by_search(task: Task) -> Tile:
    """Search among many tiles."""
    settings = SearchSettings(
        period=(task.period, task.period),
        crop=task.crop,
        generations=None,
        minutes=task.minutes,
        seed=task.seed,
    )
    return search_tiles(task.judge(), task.data, task.budget, settings)[0].tile


def _train(run: Run, task: Task) -> None:
    run.learner.start_from(task.weights)
    with tempfile.TemporaryDirectory() as folder:
        run.train(Path(folder), report_minutes=task.minutes)


METHODS: dict[str, Method] = {
    **{f"policy-{credit}": partial(by_policy, credit=credit) for credit in CREDITS},
    **{f"relaxed-{method}": partial(by_relaxation, method=method) for method in RELAXATIONS},
    "search": by_search,
}


@dataclass(frozen=True)
class Row:
    """A tile and its score.

    Attributes
    ----------
    method : str
        What found the tile; ``hand-made`` or ``fixed`` for the peers.
    name : str
        Name of the tile.
    mean_level : float
        Measurements per pixel.
    psnr : float
        Mean over the held-out windows, dB.
    over_hand_made, over_fixed : float or None
        Gain over the peers, dB; None if the budget has no such peer.
    minutes : float
        Time that finding the tile took.
    tile : list of list of int
        Rows of levels.
    """

    method: str
    name: str
    mean_level: float
    psnr: float
    over_hand_made: float | None
    over_fixed: float | None
    minutes: float
    tile: list[list[int]]


def compare(task: Task, methods: list[str], say: Callable[[str], None]) -> list[Row]:
    """Run each method, and score the tiles found beside the peers."""
    found: dict[str, tuple[str, Tile, float]] = {}
    for method in methods:
        started = time.monotonic()
        tile = METHODS[method](task)
        minutes = (time.monotonic() - started) / 60
        found[f"{method}-{task.budget:g}"] = method, tile, minutes
        say(f"{method}: {minutes:.1f} min, {tile.tolist()}")
    for name, rows in hand_made.HAND_MADE.get(task.budget, {}).items():
        found[name] = "hand-made", np.array(rows, np.uint8), 0.0
    if task.budget in hand_made.FIXED:
        rows = hand_made.FIXED[task.budget]
        found[f"fixed-{task.budget:g}"] = "fixed", np.array(rows, np.uint8), 0.0
    scenes = torch.from_numpy(task.data.validation).float() / 255
    judge = task.judge()
    scores = {
        name: float(scene_psnr(judge, scenes, tile, task.seed).mean())
        for name, (_, tile, _) in found.items()
    }

    def gain(name: str, peers: str) -> float | None:
        those = [scores[peer] for peer, (kind, _, _) in found.items() if kind == peers]
        return scores[name] - max(those) if those else None

    return [
        Row(
            method,
            name,
            float(tile.mean()),
            scores[name],
            gain(name, "hand-made"),
            gain(name, "fixed"),
            minutes,
            tile.tolist(),
        )
        for name, (method, tile, minutes) in sorted(
            found.items(), key=lambda item: -scores[item[0]]
        )
    ]


def as_document(task: Task, rows: list[Row]) -> dict[str, Any]:
    """Return all rows, and a plan of `benchmarks.maps` for the tiles that the methods found."""
    return {
        "budget": task.budget,
        "minutes": task.minutes,
        "period": task.period,
        "seed": task.seed,
        "rows": [asdict(row) for row in rows],
        "defaults": {"method": "learned", "budget": task.budget, "steps": RETRAINING_STEPS},
        "entries": [{"name": row.name, "tile": row.tile} for row in rows if row.method in METHODS],
    }


def load_judge(path: Path) -> tuple[NetworkSettings, dict[str, Tensor]]:
    """Read a universal network: weights by name or file, or the checkpoint of a run.

    Raises
    ------
    TrainError
        If it is neither, or needs a coded aperture, which no method here has.
    """
    try:
        network, weights = load_weights(path)
    except TrainError:
        metadata, tensors = load_checkpoint(path)
        network = settings_from(metadata["settings"]["network"])
        weights = below("average.", tensors)
    if network.aperture:
        raise TrainError(f"{path} is for sensors with a coded aperture: name one without")
    return network, weights


def main(arguments: list[str] | None = None) -> int:
    """Compare the methods as the command line asks."""
    parser = argparse.ArgumentParser(description="Compare methods of map learning.")
    parser.add_argument("--data", type=Path, required=True, help="a file of `focalloop data build`")
    parser.add_argument("--judge", type=Path, required=True, help="a universal network")
    parser.add_argument("--budget", type=float, default=1.0, help="measurements per pixel")
    parser.add_argument("--minutes", type=float, default=3.0, help="for each method")
    parser.add_argument("--period", type=int, default=4, help="side of the tile, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", action="append", choices=METHODS, help="all by default")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or options.period < 1:
        parser.error("--minutes and --period must be above 0")
    try:
        network, weights = load_judge(options.judge)
        task = Task(
            TrainingData.load(options.data).filmed_alone(),
            network,
            weights,
            options.budget,
            options.minutes,
            options.period,
            options.seed,
        )
        rows = compare(
            task,
            options.method or list(METHODS),
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    except FocalloopError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(as_document(task, rows), indent=1))
        return 0
    for row in rows:
        gains = " ".join(
            f"{'' if value is None else format(value, '+.2f'):>7}"
            for value in (row.over_hand_made, row.over_fixed)
        )
        print(f"{row.method:<24} {row.psnr:6.2f} dB {gains} {row.mean_level:6.4g} {row.tile}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
