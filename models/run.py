"""What every training run shares: budget, schedule, checkpoints, log, and stopping safely.

Every random choice of step k follows from ``(seed, k)``, and the learning rate from how much of the
budget is spent, so a run that was interrupted and resumed takes the very steps it would have taken.
The budget is a number of steps, or minutes of training: then the schedule ends on time however busy
the machine is.
"""

from __future__ import annotations

import csv
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from firmware_sim.noise import preset
from models.learner import Learner, NotFiniteError
from models.networks import NetworkSettings, default_settings, mismatch, settings_from
from models.training_data import TrainError, TrainingData

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.csv"


@dataclass(frozen=True)
class RunSettings:
    """What decides the outcome of a run, besides the data and the maps.

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
    start
        Name or hash of the weights that the run starts from; empty for random ones.
    network
        Profile and size of the network.
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
    start: str = ""
    network: NetworkSettings = field(default_factory=default_settings)


@dataclass
class Progress:
    """Where a run stands: steps taken, minutes spent training, and the last PSNRs in dB."""

    step: int = 0
    minutes: float = 0.0
    train_psnr: float = math.nan
    validation_psnr: float = math.nan


class Run(ABC):
    """One training run: what it learns with, and how far it has come.

    Parameters
    ----------
    data
        Windows.
    settings
        What decides the outcome.
    device
        ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, data: TrainingData, settings: RunSettings, device: str = "cpu") -> None:
        if settings.minutes is None and settings.steps is None:
            raise TrainError("a run needs a budget: give it minutes or steps")
        if settings.crop > data.side:
            raise TrainError(f"crops of {settings.crop} pixels do not fit windows of {data.side}")
        if settings.network.slots != data.slots:
            raise TrainError(
                f"the data has windows of {data.slots} frames, the network {settings.network.slots}"
            )
        self.data = data
        self.settings = settings
        self.progress = Progress()
        torch.manual_seed(settings.seed)
        self.learner = Learner(
            settings.network,
            preset(settings.noise),
            average_decay=settings.average_decay,
            bfloat16=settings.bfloat16,
            device=device,
        )

    # ------------------------------------------------------------ what the kinds of run differ in

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be continued, besides the settings."""

    @abstractmethod
    def step(self) -> float:
        """Take the next step; return the mean squared error of its batch."""

    @abstractmethod
    def validate(self) -> float:
        """Return the mean PSNR of the averaged weights on the validation windows, dB."""

    def prepare(self, folder: Path) -> None:  # noqa: B027  (nothing to prepare is fine)
        """Write what the run's folder holds from the start."""

    def log_entry(self) -> dict[str, Any]:
        """Return what a line of the log says beyond the progress."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return everything that learns, as named tensors."""
        return self.learner.state()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self.learner.load_state(tensors)

    # ------------------------------------------------------------ the loop

    def train(
        self,
        folder: Path,
        *,
        report_minutes: float = 5.0,
        on_step: Callable[[Self], None] | None = None,
    ) -> None:
        """Train until the budget is spent, with a checkpoint and a log line now and then.

        Parameters
        ----------
        folder
            Gets `CHECKPOINT` (replaced atomically) and `LOG`.
        report_minutes
            Time between validations and checkpoints.
        on_step
            Called after every step.

        Raises
        ------
        TrainError
            If a loss is not finite. The last checkpoint stays as it is.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.prepare(folder)
        started, spent_before = time.monotonic(), self.progress.minutes
        reported = spent_before
        smooth = self.progress.train_psnr
        while self.spent < 1.0:
            try:
                psnr = -10 * math.log10(self.step())
            except NotFiniteError:
                raise self._diverged(folder / CHECKPOINT) from None
            self.progress.step += 1
            smooth = psnr if math.isnan(smooth) else 0.98 * smooth + 0.02 * psnr
            self.progress.minutes = spent_before + (time.monotonic() - started) / 60
            self.progress.train_psnr = smooth
            if on_step:
                on_step(self)
            if self.progress.minutes - reported >= report_minutes or self.spent >= 1.0:
                self.progress.validation_psnr = self.validate()
                self.save(folder / CHECKPOINT)
                _append_log(folder / LOG, asdict(self.progress) | self.log_entry())
                reported = self.progress.minutes

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

    def random(self) -> tuple[np.random.Generator, torch.Generator]:
        """Return the step's generators: of crops and maps, and of noise."""
        key = (self.settings.seed, self.progress.step)
        noise = torch.Generator().manual_seed(key[0] * 1_000_003 + key[1])
        return np.random.default_rng(key), noise

    # ------------------------------------------------------------ files

    def save(self, path: Path) -> None:
        """Write everything that resuming needs, atomically."""
        metadata = {
            "identity": json.dumps(self.identity),
            "settings": json.dumps(asdict(self.settings)),
            "progress": json.dumps(asdict(self.progress)),
            "data": json.dumps(self.data.recipe),
        }
        tensors = {name: value.cpu().contiguous() for name, value in self.state().items()}
        temporary = path.with_name(path.name + ".part")
        save_file(tensors, temporary, metadata)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same settings and maps.

        Raises
        ------
        TrainError
            If the checkpoint is damaged, or was made with other settings or another map.
        """
        metadata, tensors = load_checkpoint(path)
        network = settings_from(metadata["settings"]["network"])
        if wrong := mismatch(network, self.settings.network):
            raise TrainError(f"{path} {wrong}: use another folder")
        if metadata["settings"] != asdict(self.settings):
            ours = asdict(self.settings)
            theirs = metadata["settings"]
            other = sorted(key for key in ours if theirs.get(key) != ours[key])
            raise TrainError(
                f"{path} was made with other settings ({', '.join(other)}): use another folder"
            )
        if metadata["identity"] != self.identity:
            raise TrainError(f"{path} was made with another ratio map: use another folder")
        self.progress = Progress(**metadata["progress"])
        self.load_state(tensors)

    def _diverged(self, checkpoint: Path) -> TrainError:
        kept = "no checkpoint was written yet"
        if checkpoint.exists():
            step = load_checkpoint(checkpoint)[0]["progress"]["step"]
            kept = f"{checkpoint} still holds step {step}"
        return TrainError(
            f"the loss is not a finite number at step {self.progress.step}: stopped; {kept}. "
            f"Try a smaller learning rate than {self.settings.learning_rate:g}"
        )


def load_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint: settings, progress, data recipe and identity; and all tensors by name.

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
    missing = {"settings", "progress", "data", "identity"} - metadata.keys()
    if missing:
        raise TrainError(f"{path} is no checkpoint of ours: it lacks {', '.join(sorted(missing))}")
    # Older files lack the name of the profile, which is then filled in.
    network = metadata["settings"]["network"]
    metadata["settings"]["network"] = asdict(settings_from(network))
    return metadata, tensors


def _append_log(path: Path, entry: dict[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, entry.keys())
        if fresh:
            writer.writeheader()
        writer.writerow(
            {
                key: f"{value:.4f}" if isinstance(value, float) else value
                for key, value in entry.items()
            }
        )
