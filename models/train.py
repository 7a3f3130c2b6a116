"""Train a reconstruction network for one ratio map: ``focalloop train``.

Reads top to bottom. Every random choice of step k follows from ``(seed, k)``, and the learning rate
from how much of the budget is spent, so a run that was interrupted and resumed takes the very steps
it would have taken. The budget is a number of steps, or minutes of training: then the schedule ends
on time however busy the machine is.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from firmware_sim.errors import FocalloopError
from firmware_sim.noise import preset
from firmware_sim.ratio_map import RatioMap
from models.networks import EdgeNetwork, EdgeSettings
from models.optimizer import Muon
from models.sensing import add_noise, clean_reads

CHECKPOINT = "checkpoint.safetensors"
RATIO_MAP = "ratio_map.npz"
LOG = "log.csv"
ERROR_FLOOR = 1e-5
"""Added to squared errors before the logarithm: beyond 50 dB there is nothing to gain."""
LOG_FIELDS = ("step", "minutes", "learning_rate", "train_psnr", "validation_psnr")


class TrainError(FocalloopError):
    """Training data or a run's folder that cannot be used; the text says what and why."""


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides the outcome of a run, besides the data and the map.

    Attributes
    ----------
    minutes, steps
        The budget: whichever is reached first ends the run; at least one is given.
    batch, crop
        Windows a step, and the side of the square cut from each, pixels.
    learning_rate
        Of the convolutions at the top of the schedule: warm-up over `warm_up_steps`, then half a
        cosine over the budget.
    average_decay
        Of the exponential moving average of the weights, which is what is validated and exported.
    noise
        Preset of `firmware_sim.noise` to train under.
    seed
        Of every random choice.
    bfloat16
        Compute convolutions in bfloat16 (about twice as fast where the processor has it).
    network
        Size of the network.
    """

    minutes: float | None = None
    steps: int | None = None
    batch: int = 16
    crop: int = 96
    learning_rate: float = 4e-3
    warm_up_steps: int = 200
    average_decay: float = 0.998
    noise: str = "paper"
    seed: int = 0
    bfloat16: bool = True
    network: EdgeSettings = field(default_factory=EdgeSettings)


@dataclass
class Progress:
    """Where a run stands: steps taken, minutes spent training, and the last PSNRs in dB."""

    step: int = 0
    minutes: float = 0.0
    train_psnr: float = math.nan
    validation_psnr: float = math.nan


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Windows to learn from, and windows of other source files to validate on.

    Attributes
    ----------
    training, validation
        (N, T, S, S) uint8.
    recipe
        How they were made: settings, and name, licence and SHA-256 of every source.
    """

    training: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    recipe: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> TrainingData:
        """Load what ``focalloop data build`` wrote.

        Raises
        ------
        TrainError
            If the file is missing or not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                clips, held_out = archive["clips"], archive["validation"]
                recipe = json.loads(str(archive["recipe"]))
        except (OSError, ValueError, KeyError) as error:
            raise TrainError(
                f"{path} is no training data ({error}): make some with `focalloop data build`"
            ) from None
        if held_out.all() or not held_out.any():
            raise TrainError(f"{path} needs windows for both training and validation")
        return cls(clips[~held_out], clips[held_out], recipe)


class Run:
    """One training run: network, optimiser, averaged weights, and how far it has come.

    Parameters
    ----------
    ratio_map
        A periodic map; crops are taken on whole tiles, so that the network always sees one phase.
    data
        Windows.
    settings
        Everything else.
    """

    def __init__(self, ratio_map: RatioMap, data: TrainingData, settings: TrainSettings) -> None:
        if settings.minutes is None and settings.steps is None:
            raise TrainError("a run needs a budget: give it minutes or steps")
        if settings.crop > data.training.shape[-1]:
            raise TrainError(
                f"crops of {settings.crop} pixels do not fit windows of {data.training.shape[-1]}"
            )
        self.ratio_map = ratio_map
        self.settings = settings
        self.data = data
        self.progress = Progress()
        noise = preset(settings.noise)
        self.noise = {"s_ss": noise.s_ss, "s_r": noise.s_r}
        self.levels = _levels(ratio_map, settings.crop)
        self.validation_levels = _levels(ratio_map, data.validation.shape[-1])
        torch.manual_seed(settings.seed)
        self.network = EdgeNetwork(settings.network)
        self.optimizer = Muon(self.network.named_parameters(), outer=("squeeze", "head"))
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}

    # ------------------------------------------------------------ the loop

    def train(
        self,
        folder: Path,
        *,
        report_minutes: float = 5.0,
        on_step: Callable[[Run], None] | None = None,
    ) -> None:
        """Train until the budget is spent, with a checkpoint and a log line now and then.

        Parameters
        ----------
        folder
            Gets `RATIO_MAP`, `CHECKPOINT` (replaced atomically) and `LOG`.
        report_minutes
            Time between validations and checkpoints.
        on_step
            Called after every step.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.ratio_map.save(folder / RATIO_MAP)
        started, spent_before = time.monotonic(), self.progress.minutes
        reported = spent_before
        smooth = math.nan
        while self.spent < 1.0:
            psnr = -10 * math.log10(self.step())
            if not math.isfinite(psnr):
                raise TrainError(f"the training diverged at step {self.progress.step}")
            smooth = psnr if math.isnan(smooth) else 0.98 * smooth + 0.02 * psnr
            self.progress.minutes = spent_before + (time.monotonic() - started) / 60
            self.progress.train_psnr = smooth
            if on_step:
                on_step(self)
            if self.progress.minutes - reported >= report_minutes or self.spent >= 1.0:
                self.progress.validation_psnr = self.validate()
                self.save(folder / CHECKPOINT)
                _append_log(folder / LOG, self)
                reported = self.progress.minutes

    def step(self) -> float:
        """Take one step on one batch; return its mean squared error.

        The loss is the mean over the batch of the *logarithm* of each window's squared error, where
        CRL Eq. 8 has the squared error itself: a set is scored by its mean PSNR, and a few windows
        of fast fine texture would otherwise drown all others.
        """
        scene = self.batch(self.progress.step)
        reads = clean_reads(scene, self.levels)
        reads = add_noise(reads, self.levels, **self.noise, generator=self._generator())
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            video = self.network(reads, self.levels.expand(len(scene), -1, -1))
        errors = (video.float() - scene).square().mean((1, 2, 3))
        (errors + ERROR_FLOOR).log().mean().backward()
        self.optimizer.step(self.learning_rate)
        self.network.zero_grad(set_to_none=True)
        self.progress.step += 1
        # A short memory at first, or the average would keep the random start.
        decay = min(self.settings.average_decay, self.progress.step / (self.progress.step + 10))
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)
        return float(errors.detach().mean())

    def batch(self, step: int) -> Tensor:
        """Return the scenes (batch, T, crop, crop) in [0, 1] of a step: cut, turned, reversed."""
        rng = np.random.default_rng((self.settings.seed, step))
        side = self.settings.crop
        room = self.data.training.shape[-1] - side + 1
        scenes = np.empty((self.settings.batch, self.data.training.shape[1], side, side), np.uint8)
        for scene in scenes:
            window = self.data.training[rng.integers(len(self.data.training))]
            top, left = rng.integers(room, size=2)
            window = window[:, top : top + side, left : left + side]
            for axis in range(3):
                if rng.random() < 0.5:
                    window = np.flip(window, axis)
            scene[:] = window.transpose(0, 2, 1) if rng.random() < 0.5 else window
        return torch.from_numpy(scenes).float() / 255

    @property
    def spent(self) -> float:
        """The share of the budget that is spent, 0 to 1."""
        by_steps = self.progress.step / self.settings.steps if self.settings.steps else 0.0
        by_time = self.progress.minutes / self.settings.minutes if self.settings.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    @property
    def learning_rate(self) -> float:
        """Warm-up times half a cosine."""
        warm = min(1.0, (self.progress.step + 1) / self.settings.warm_up_steps)
        return self.settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * self.spent))

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.progress.step)

    # ------------------------------------------------------------ validation and files

    @torch.inference_mode()
    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation windows, with fixed noise."""
        network = self.averaged_network()
        generator = torch.Generator().manual_seed(0)
        psnr = []
        for window in self.data.validation:
            scene = torch.from_numpy(window)[None].float() / 255
            reads = clean_reads(scene, self.validation_levels)
            reads = add_noise(reads, self.validation_levels, **self.noise, generator=generator)
            error = (network(reads, self.validation_levels).clamp(0, 1) - scene).square().mean()
            psnr.append(-10 * math.log10(float(error)))
        return float(np.mean(psnr))

    def averaged_network(self) -> EdgeNetwork:
        """Return the network with averaged weights, for validation and export."""
        network = EdgeNetwork(self.settings.network)
        network.load_state_dict(self.average)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write everything that resuming needs, atomically."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        metadata = {
            "ratio_map": json.dumps(self.ratio_map.hash_hex),
            "settings": json.dumps(asdict(self.settings)),
            "progress": json.dumps(asdict(self.progress)),
            "data": json.dumps(self.data.recipe),
        }
        temporary = path.with_name(path.name + ".part")
        save_file(
            {name: value.contiguous() for name, value in tensors.items()}, temporary, metadata
        )
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same network and settings.

        Raises
        ------
        TrainError
            If the checkpoint is damaged, or was made with other settings or another map.
        """
        metadata, tensors = load_checkpoint(path)
        if metadata["settings"] != asdict(self.settings):
            raise TrainError(f"{path} was made with other settings: use another folder")
        if metadata["ratio_map"] != self.ratio_map.hash_hex:
            raise TrainError(f"{path} was made with another ratio map: use another folder")
        self.progress = Progress(**metadata["progress"])
        self.network.load_state_dict(below("network.", tensors))
        self.average = below("average.", tensors)
        self.optimizer.load_state(below("optimizer.", tensors))


def load_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint: settings, progress, data recipe and map hash; and all tensors by name.

    Raises
    ------
    TrainError
        If it is missing, truncated, or something else.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = {key: json.loads(text) for key, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainError(f"{path} is no checkpoint: {error}") from None
    missing = {"settings", "progress", "data", "ratio_map"} - metadata.keys()
    if missing:
        raise TrainError(f"{path} is no checkpoint of ours: it lacks {', '.join(sorted(missing))}")
    return metadata, tensors


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _levels(ratio_map: RatioMap, side: int) -> Tensor:
    return torch.from_numpy(ratio_map.tiled_to(side, side).levels.copy())[None]


def _append_log(path: Path, run: Run) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, LOG_FIELDS)
        if fresh:
            writer.writeheader()
        progress = run.progress
        writer.writerow(
            {
                "step": progress.step,
                "minutes": f"{progress.minutes:.2f}",
                "learning_rate": f"{run.learning_rate:.3g}",
                "train_psnr": f"{progress.train_psnr:.3f}",
                "validation_psnr": f"{progress.validation_psnr:.3f}",
            }
        )
