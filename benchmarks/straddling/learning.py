"""Training and scoring of `TileNetwork` on sequences longer than a window.

One loop serves both questions. A sequence of windows is read one after the other, under the tile or
the tile shifted, and rebuilt; with memory each window is given the last frame of the one before.
Where the tile is shifted, pictures are turned around their edges until it lies as before, so that
the network always sees the same tile; `BORDER` leaves out what comes from the other edge.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.straddling.linear_gaussian import SLOTS
from benchmarks.straddling.network import TileNetwork
from benchmarks.straddling.tile_search import PhasedTile
from focalloop.firmware_sim.maps.tiles import repeat
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.networks.profiles import build_network
from focalloop.models.networks.sensing import read_out
from focalloop.models.networks.straddling import reads_taken, straddling_reads
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from focalloop.models.training.learner import ERROR_FLOOR, WeightLearner, below
from focalloop.models.training.run import RunSettings, TrainingLoop, decibels
from focalloop.models.training.training_data import TrainingData
from focalloop.models.training.weights import load_weights

START = "edge-universal"
"""Weights that every network begins with."""
BORDER = 8
"""Pixels at the edges that neither train nor count."""
NO_SHIFT = ((0, 0),)


@dataclass(frozen=True)
class Plan:
    """What is read, and what the network is given.

    Attributes
    ----------
    tile : PhasedTile
        Levels and phases.
    memory : bool
        Whether the network is given the frame that was rebuilt last.
    shifts : tuple of tuple of int
        Shifts (down, right) of the tile, in turn.
    windows : int
        Windows that are trained in a row.
    margins : bool
        Whether a scene has a window before the first that counts, and one after the last, as tiles
        with phases need.
    """

    tile: PhasedTile
    memory: bool = False
    shifts: tuple[tuple[int, int], ...] = NO_SHIFT
    windows: int = 1
    margins: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued, as JSON."""
        tile = self.tile
        return {
            "levels": tile.levels.tolist(),
            "phases": tile.phases.tolist(),
            "late": tile.late,
            "memory": self.memory,
            "shifts": [list(shift) for shift in self.shifts],
            "windows": self.windows,
            "margins": self.margins,
        }


class Sequences(TrainingData):
    """Training data whose windows hold several windows of a network."""

    @property
    def slots(self) -> int:
        """Frames per window of the network."""
        return SLOTS

    @classmethod
    def joined(cls, paths: Sequence[Path]) -> Sequences:
        """Load several files of `focalloop data build --frames` as one."""
        parts = [TrainingData.load(path) for path in paths]
        if len({part.training.shape[1:] for part in parts}) > 1:
            raise TrainError("the files hold sequences of different sizes: build them alike")
        return cls(
            np.concatenate([part.training for part in parts]),
            np.concatenate([part.validation for part in parts]),
            {"parts": [part.recipe for part in parts]},
        )


def rebuilt(
    network: TileNetwork,
    plan: Plan,
    scene: Tensor,
    profile: NoiseProfile,
    generator: torch.Generator,
    *,
    lost: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read and rebuild the windows of a scene one after the other.

    Parameters
    ----------
    network : TileNetwork
        What rebuilds.
    plan : Plan
        What is read.
    scene : Tensor of float32, shape (N, S, H, W)
        Frames of whole windows; the height and width are multiples of `PERIOD`.
    profile : NoiseProfile
        Noise of the reads.
    generator : Generator
        Draws it.
    lost : int or None, optional
        Number of a window that never arrives; it is not yielded, and nothing is remembered.

    Yields
    ------
    tuple of Tensor of float32, shape (N, T, H, W)
        The video of a window, and what was to be seen.
    """
    tile, margin = plan.tile, int(plan.margins)
    height, width = scene.shape[2:]
    levels, phases = (
        torch.from_numpy(repeat(rows, height, width).copy())[None]
        for rows in (tile.levels, tile.phases)
    )
    taken = reads_taken(levels, phases, late=tile.late).expand(len(scene), -1, -1)
    last = None
    for number in range(margin, scene.shape[1] // SLOTS - margin):
        if number == lost:
            last = None
            continue
        begin = number * SLOTS
        down, right = plan.shifts[number % len(plan.shifts)]
        around = SLOTS if tile.late else 0
        seen = scene[:, begin - around : begin + SLOTS + around]
        seen = torch.roll(seen, (-down, -right), (2, 3))
        reads = straddling_reads(seen, levels, phases, around, late=tile.late)
        noisy = read_out(reads, taken, profile, generator=generator)
        given = None if last is None else torch.roll(last, (-down, -right), (1, 2))
        video = torch.roll(network(noisy, given), (down, right), (2, 3))
        if plan.memory:
            last = video[:, -1].clamp(0, 1)
        yield video, scene[:, begin : begin + SLOTS]


def squared_errors(video: Tensor, shown: Tensor) -> Tensor:
    """Return the mean squared error of each window (N,) within `BORDER`."""
    inner = slice(BORDER, -BORDER)
    return (video - shown)[..., inner, inner].square().mean((1, 2, 3))


class PlanRun(TrainingLoop):
    """Training of a network for a plan; other parameters as in `TrainingLoop`."""

    def __init__(self, plan: Plan, data: Sequences, settings: RunSettings) -> None:
        super().__init__(data, settings)
        self.plan = plan
        network = TileNetwork(plan.tile, start_network(), memory=plan.memory)
        self.learner = WeightLearner(
            network,
            network.outer,
            average_decay=settings.average_decay,
            bfloat16=settings.bfloat16,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The plan."""
        return self.plan.identity

    def step(self) -> float:
        """Take one step on a batch of sequences; return its mean squared error."""
        rng, generator = self.random()
        scene = self.data.crops(rng, self.share, self.settings.crop)
        needed = (self.plan.windows + 2 * self.plan.margins) * SLOTS
        begin = int(rng.integers(scene.shape[1] - needed + 1))
        scene = scene[:, begin : begin + needed]
        errors = []
        with torch.autocast("cpu", torch.bfloat16, enabled=self.learner.bfloat16):
            for video, shown in rebuilt(
                self.learner.network, self.plan, scene, self.settings.noise, generator
            ):
                errors.append(squared_errors(video, shown))
        loss = (torch.stack(errors) + ERROR_FLOOR).log().mean()
        self.learner.update(loss, self.learning_rate)
        return float(torch.stack(errors).detach().mean())

    @torch.inference_mode()
    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation sequences."""
        scenes = torch.from_numpy(self.data.validation).float() / 255
        generator = torch.Generator().manual_seed(0)
        network = self.averaged()
        errors = [
            squared_errors(video.clamp(0, 1), shown)
            for video, shown in rebuilt(network, self.plan, scenes, self.settings.noise, generator)
        ]
        return float(np.mean([decibels(float(error)) for error in torch.cat(errors)]))

    def averaged(self) -> TileNetwork:
        """Return a copy of the network with averaged weights."""
        network = copy.deepcopy(self.learner.network)
        network.load_state_dict(self.learner.average)
        return network.eval()

    def state(self) -> dict[str, Tensor]:
        """Return everything that has been learned, as named tensors."""
        return self.learner.state()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self.learner.load_state(tensors)


def trained(folder: Path, plan: Plan) -> TileNetwork:
    """Load the averaged weights of a run.

    Raises
    ------
    TrainError
        If there is no such run, or it is of another plan.
    """
    metadata, tensors = load_checkpoint(folder / CHECKPOINT)
    if metadata["identity"] != plan.identity:
        raise TrainError(f"{folder} holds a run of another plan: train it anew")
    network = TileNetwork(plan.tile, start_network(), memory=plan.memory)
    network.load_state_dict(below("average.", tensors))
    return network.eval()


def start_network() -> EdgeNetwork:
    """Return the network that every training begins with."""
    settings, weights = load_weights(START)
    network = build_network(settings)
    network.load_state_dict(weights)
    assert isinstance(network, EdgeNetwork)
    return network


def run_settings(steps: int, crop: int, batch: int) -> RunSettings:
    """Return the settings of every training."""
    settings, _ = load_weights(START)
    assert isinstance(settings, EdgeSettings)
    return RunSettings(
        steps=steps,
        batch=batch,
        crop=crop,
        learning_rate=2e-3,
        warm_up_steps=50,
        average_decay=0.99,
        network=settings,
        start=START,
    )
