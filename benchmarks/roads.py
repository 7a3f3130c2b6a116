"""Which road finds the best tile? ``python -m benchmarks.roads --data … --judge … --budget 1``.

Every road gets the same minutes, the same training windows and the same universal network to begin
with, the *judge*: policy gradients with each kind of credit, two differentiable relaxations, and a
search. What each found is scored by the judge as it was at first, on the same held-out windows with
the same noise, beside the peers: the best hand-made tile and the fixed level of the budget.

The judge's scores are a screening: a network that is trained for one tile alone does better, and
not equally so for all. The JSON document is therefore also a plan of `benchmarks.maps`, which
trains a network for each tile, equally.
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
from benchmarks.relaxation import METHODS, RelaxationSettings, RelaxedRun
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
"""Of the network where it learns along, which `benchmarks.maps` uses too."""
RETRAINING_STEPS = 1200
"""Of each network, in the plan that is printed."""

Tile = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """What every road is given.

    Attributes
    ----------
    data : TrainingData
        Windows.
    network, weights : NetworkSettings or dict of str to Tensor
        Settings and weights of the judge.
    budget : float
        Measurements a pixel.
    minutes : float
        For each road.
    period : int
        Side of the tile, pixels.
    seed : int
        Of every random choice.
    """

    data: TrainingData
    network: NetworkSettings
    weights: dict[str, Tensor]
    budget: float
    minutes: float
    period: int
    seed: int

    def judge(self) -> Learner:
        """Return the judge as it is at first."""
        judge = Learner(self.network, preset(NOISE))
        judge.start_from(self.weights)
        return judge

    @property
    def crop(self) -> int:
        """Side of the crops that all roads take, pixels."""
        return min(CROP, self.data.side)

    def run_settings(self) -> RunSettings:
        """Return the settings of a road that takes training steps."""
        return RunSettings(
            minutes=self.minutes,
            batch=BATCH,
            crop=self.crop,
            learning_rate=LEARNING_RATE,
            warm_up_steps=50,
            noise=NOISE,
            seed=self.seed,
            network=self.network,
        )


Road = Callable[[Task], Tile]


def by_policy(task: Task, credit: str) -> Tile:
    """Follow the policy gradient, with the network learning along."""
    policy = PolicySettings(budget=task.budget, credit=credit, periods=(task.period,))
    run = MapRun(policy, task.data, task.run_settings())
    _train(run, task)
    return run.policy.best_tile()


def by_relaxation(task: Task, method: str) -> Tile:
    """Follow the gradient of a relaxation, judged by the network as it is."""
    relaxation = RelaxationSettings(task.budget, method, period=(task.period, task.period))
    run = RelaxedRun(relaxation, task.data, task.run_settings())
    _train(run, task)
    return run.best_tile()


def by_search(task: Task) -> Tile:
    """Try many tiles."""
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


ROADS: dict[str, Road] = {
    **{f"policy-{credit}": partial(by_policy, credit=credit) for credit in CREDITS},
    **{f"relaxed-{method}": partial(by_relaxation, method=method) for method in METHODS},
    "search": by_search,
}


@dataclass(frozen=True)
class RoadRow:
    """A tile and how good the judge finds it.

    Attributes
    ----------
    road : str
        Who found it; ``hand-made`` or ``fixed`` for the peers.
    name : str
        Of the road's tile, or of the peer's.
    mean_level : float
        Measurements a pixel.
    psnr : float
        Mean over the held-out windows, dB.
    over_hand_made, over_fixed : float or None
        What it gains over the peers, dB; None where the budget has no such peer.
    minutes : float
        What finding it took.
    tile : list of list of int
        Rows of levels.
    """

    road: str
    name: str
    mean_level: float
    psnr: float
    over_hand_made: float | None
    over_fixed: float | None
    minutes: float
    tile: list[list[int]]


def compare(task: Task, roads: list[str], say: Callable[[str], None]) -> list[RoadRow]:
    """Go each road, and score what all of them found beside the peers."""
    found: dict[str, tuple[str, Tile, float]] = {}
    for road in roads:
        started = time.monotonic()
        tile = ROADS[road](task)
        minutes = (time.monotonic() - started) / 60
        found[f"{road}-{task.budget:g}"] = road, tile, minutes
        say(f"{road}: {minutes:.1f} min, {tile.tolist()}")
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
        RoadRow(
            road,
            name,
            float(tile.mean()),
            scores[name],
            gain(name, "hand-made"),
            gain(name, "fixed"),
            minutes,
            tile.tolist(),
        )
        for name, (road, tile, minutes) in sorted(found.items(), key=lambda item: -scores[item[0]])
    ]


def as_document(task: Task, rows: list[RoadRow]) -> dict[str, Any]:
    """Return all rows, and the entries of a plan of `benchmarks.maps` for what the roads found."""
    return {
        "budget": task.budget,
        "minutes": task.minutes,
        "period": task.period,
        "seed": task.seed,
        "rows": [asdict(row) for row in rows],
        "defaults": {"method": "learned", "budget": task.budget, "steps": RETRAINING_STEPS},
        "entries": [{"name": row.name, "tile": row.tile} for row in rows if row.road in ROADS],
    }


def load_judge(path: Path) -> tuple[NetworkSettings, dict[str, Tensor]]:
    """Read a universal network: a run's checkpoint, or a file of weights alone.

    Raises
    ------
    TrainError
        If it is neither, or takes a coded aperture, which no road here does.
    """
    try:
        network, weights = load_weights(path)
    except TrainError:
        metadata, tensors = load_checkpoint(path)
        network = settings_from(metadata["settings"]["network"])
        weights = below("average.", tensors)
    if network.aperture:
        raise TrainError(f"{path} is for sensors with a coded aperture: take one without")
    return network, weights


def main(arguments: list[str] | None = None) -> int:
    """Compare the roads as the command line says."""
    parser = argparse.ArgumentParser(description="Compare the roads to a tile.")
    parser.add_argument("--data", type=Path, required=True, help="what `focalloop data build` made")
    parser.add_argument("--judge", type=Path, required=True, help="a universal network")
    parser.add_argument("--budget", type=float, default=1.0, help="measurements a pixel")
    parser.add_argument("--minutes", type=float, default=3.0, help="for each road")
    parser.add_argument("--period", type=int, default=4, help="side of the tile, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--road", action="append", choices=ROADS, help="all by default")
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
            task, options.road or list(ROADS), lambda text: print(text, file=sys.stderr, flush=True)
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
        print(f"{row.road:<24} {row.psnr:6.2f} dB {gains} {row.mean_level:6.4g} {row.tile}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
