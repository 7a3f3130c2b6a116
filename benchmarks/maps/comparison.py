"""Train and score the entries of a plan one after the other, all in the same way.

Every network starts from the same universal weights, takes the same number of steps on the same
data, and is scored as it would be deployed: exported to ONNX, behind the emulated sensor.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.maps import plan
from benchmarks.maps.plan import Entry, PlanError
from benchmarks.maps.scores import SCORES, digest, write_whole
from focalloop.firmware_sim.maps.defaults import DEFAULT_SLOTS
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.evaluate import Evaluation, evaluate
from focalloop.models.errors import TrainError
from focalloop.models.export.bundle import export_run
from focalloop.models.networks.profiles import PROFILES, NetworkSettings, default_settings
from focalloop.models.training.learner import below
from focalloop.models.training.map_source import RATIO_MAP, MapSource, OneAperture, OneMap
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.run import RunSettings
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights

BUNDLE = "bundle"
NOISE = "paper"
EMULATOR_SEED = 0


class ScatteredLevels(OneAperture):
    """The levels of random maps: for every crop another map with the same shares."""

    def __init__(self, shares: dict[int, float], aperture: NDArray[np.bool_] | None) -> None:
        self.shares = shares
        self.name = f"scattered {shares}"
        self.slots = DEFAULT_SLOTS
        self.aperture = aperture

    def levels(self, rng: np.random.Generator, count: int, side: int) -> NDArray[np.uint8]:
        """Scatter the levels over each crop."""
        seeds = rng.integers(1 << 62, size=count)
        shape = (side, side)
        return np.stack([RatioMap.random(shape, self.shares, int(s)).levels for s in seeds])


class Comparison:
    """What all entries share: the data, the starting weights and the clips.

    Parameters
    ----------
    data : TrainingData
        Windows to train on.
    start : str
        Universal network: the name or file of its weights, or its checkpoint.
    clips : Clips
        Clips to score on.
    clips_file : str
        Name of their file, to be recorded with the scores.
    threads : int, optional
        Processor threads, for training and for reconstruction.
    """

    def __init__(
        self, data: TrainingData, start: str, clips: Clips, clips_file: str, threads: int = 2
    ) -> None:
        torch.set_num_threads(threads)
        self.threads = threads
        self.data = data
        self.weights = starting_weights(start)
        self.start = digest(*(self.weights[name].numpy() for name in sorted(self.weights)))
        self.clips = clips
        self.tested_on = {
            "file": clips_file,
            "sha256": digest(clips.clips),
            "names": list(clips.names),
            "noise": NOISE,
            "seed": EMULATOR_SEED,
        }

    def run(
        self, entry: Entry, folder: Path, on_step: Callable[[NetworkRun], None]
    ) -> Evaluation | None:
        """Train the network of an entry, or continue an interrupted training, and score it.

        Parameters
        ----------
        folder : Path
            Folder of this run; receives the checkpoint, the bundle and, at the end, `SCORES`.
        on_step : callable
            Called after every training step; may set `stop_wanted` of the run.

        Returns
        -------
        Evaluation
            Scores on the clips; None if the training was stopped.

        Raises
        ------
        FocalloopError
            If the entry, its map or the folder cannot be used.
        """
        ratio_map = entry.ratio_map(self.clips.clips.shape[2:])
        maps: MapSource = OneMap(ratio_map)
        if entry.method == "random":
            maps = ScatteredLevels(entry.shares(), ratio_map.aperture)
        training = NetworkRun(maps, self.data, self._settings(entry))
        training.command = shlex.join(["python", "-m", "benchmarks.maps", *sys.argv[1:]])
        training.learner.start_from(self.weights)  # unless the folder holds part of this run
        training.train(folder, on_step=on_step)
        if training.spent < 1:
            return None
        ratio_map.save(folder / RATIO_MAP)  # also a random map, which training does not save
        export_run(folder, folder / BUNDLE)
        reconstruct = Bundle.load(folder / BUNDLE).reconstructor(self.threads)
        started = time.monotonic()
        scored = evaluate(
            self.clips,
            ratio_map,
            reconstruct,
            preset(NOISE),
            name=entry.folder,
            seed=EMULATOR_SEED,
        )
        document = {
            "entry": asdict(entry),
            "map": _levels(entry, ratio_map),
            "r_avg": scored.r_avg,
            "training": asdict(training.settings),
            "result": asdict(training.progress),
            "tested_on": self.tested_on,
            "evaluation": scored.as_dict(),
            "seconds": 60 * training.progress.minutes + time.monotonic() - started,
        }
        write_whole(folder / SCORES, json.dumps(document, indent=1) + "\n")
        return scored

    def _settings(self, entry: Entry) -> RunSettings:
        return RunSettings(
            steps=entry.steps,
            batch=entry.batch,
            crop=entry.crop,
            learning_rate=entry.learning_rate,
            warm_up_steps=entry.warm_up_steps,
            noise=preset(NOISE),
            seed=entry.seed,
            start=self.start,
            network=network_settings(entry),
        )


def next_entry(path: Path, output: Path, failed: set[str]) -> Entry | None:
    """Return the first entry of the current plan that can and must still be run.

    Raises
    ------
    PlanError
        If it is not a plan, or a finished run is of another entry of that name.
    """
    for entry in plan.load(path):
        scores = output / entry.folder / SCORES
        if scores.exists():
            # JSON does not distinguish 1 from 1.0.
            if json.loads(scores.read_text("utf-8"))["entry"] != asdict(entry):
                raise PlanError(
                    f"{scores.parent} was made for another entry {entry.folder}: "
                    "rename the entry, or remove the folder to train it again"
                )
        elif entry.folder not in failed and entry.ready:
            return entry
    return None


def network_settings(entry: Entry) -> NetworkSettings:
    """Return the settings of the network of an entry.

    Raises
    ------
    PlanError
        If the profile or a setting is unknown.
    """
    if entry.profile not in PROFILES:
        raise PlanError(
            f"{entry.name}: there is no profile {entry.profile!r}, only {', '.join(PROFILES)}"
        )
    try:
        return replace(default_settings(entry.profile), aperture=entry.aperture, **entry.network)
    except TypeError as error:
        raise PlanError(f"{entry.name}: the network has no such setting ({error})") from None


def starting_weights(start: str) -> dict[str, Tensor]:
    """Read the starting weights: shipped weights by name, a file of weights, or a checkpoint.

    The averaged weights of a checkpoint are rounded to float16, as weights are shipped, so that
    starting from a checkpoint equals starting from the weights exported from it.

    Raises
    ------
    TrainError
        If the file is missing, damaged or of another kind.
    """
    if Path(start).is_file():
        try:
            averaged = below("average.", load_file(start))
        except (OSError, ValueError, SafetensorError) as error:
            raise TrainError(f"{start} does not hold weights: {error}") from None
        if averaged:
            return {name: value.half().float() for name, value in averaged.items()}
    return load_weights(start)[1]


def _levels(entry: Entry, ratio_map: RatioMap) -> dict[str, Any]:
    """Return the map for JSON: its tile, or the level shares of a random map."""
    if entry.method == "random":
        return {"shares": entry.shares(), "seed": 0}
    return {"tile": ratio_map.tile.tolist()}
