"""What every training run shares: budget, schedule, checkpoints, log, and stopping safely.

Every random choice of step k follows from ``(seed, k)``, and the learning rate from how much of the
budget is spent, so a run that is interrupted and resumed takes the same steps as an uninterrupted
one. The budget is a number of steps, or minutes of training; with minutes, the schedule ends on
time however busy the machine is. Several processes can share the work
(`focalloop.models.training.distributed`); the batch of each step is then split among them.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from focalloop.firmware_sim.noise import PRESETS, NoiseProfile
from focalloop.models.errors import TrainError
from focalloop.models.networks.profiles import NetworkSettings, default_settings, has_memory
from focalloop.models.training import distributed
from focalloop.models.training.checkpoint import (
    CHECKPOINT,
    load_checkpoint,
    refuse_another_run,
    save_checkpoint,
)
from focalloop.models.training.learner import Learner, NotFiniteError
from focalloop.models.training.run_log import RunLog
from focalloop.models.training.training_data import TrainingData

LOG = "log.csv"
PLOT = "log.png"

IN_A_ROW = 3
"""Windows that a network with memory is trained on in a row."""

MIN_ERROR = 1e-10
"""Lower limit of a mean squared error before it is converted to decibels: 100 dB."""


@dataclass(frozen=True)
class RunSettings:
    """What determines the outcome of a run, besides the data and the maps.

    Attributes
    ----------
    minutes, steps : float or None or int or None
        The budget, of which at least one is given: whichever is reached first ends the run.
    batch, crop : int
        Windows per step of all processes together, and the side in pixels of the square cut from
        each.
    learning_rate : float
        Highest learning rate of the convolutions: it rises over `warm_up_steps`.
    schedule : {"cosine", "flat"}
        What follows: the rate falls along half a cosine over the budget, or stays.
    average_decay : float
        Decay per step of the exponential moving average of the weights, which is what is validated
        and exported.
    noise : NoiseProfile
        Noise of the reads to train under, those of a sensor whose pattern is corrected included.
    seed : int
        Seed of every random choice.
    bfloat16 : bool
        Compute convolutions in bfloat16 where the device supports it, which is about twice as fast.
    start : str
        Name or hash of the weights that the run starts from; empty for random ones.
    rounded : bool
        Whether to round as an 8-bit bundle does.
    network : NetworkSettings
        Profile and size of the network.
    """

    minutes: float | None = None
    steps: int | None = None
    batch: int = 16
    crop: int = 96
    learning_rate: float = 4e-3
    warm_up_steps: int = 200
    schedule: Literal["cosine", "flat"] = "cosine"
    average_decay: float = 0.998
    noise: NoiseProfile = PRESETS["paper"]
    seed: int = 0
    bfloat16: bool = True
    start: str = ""
    rounded: bool = False
    network: NetworkSettings = field(default_factory=default_settings)


@dataclass
class Progress:
    """How far a run has come: steps, minutes of training, and the latest PSNRs in dB."""

    step: int = 0
    minutes: float = 0.0
    train_psnr: float = math.nan
    validation_psnr: float = math.nan


class TrainingLoop(ABC):
    """Data, settings, steps and progress of one training run, whatever network it trains.

    Parameters
    ----------
    data : TrainingData
        Windows.
    settings : RunSettings
        What determines the outcome.
    device : str, optional
        ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    command : str
        The command line that started the run, if any; checkpoints record it.
    stop_wanted : bool
        Set it, for example in a signal handler, to end training after the current step.
    """

    def __init__(self, data: TrainingData, settings: RunSettings, device: str = "cpu") -> None:
        if settings.minutes is None and settings.steps is None:
            raise TrainError("a run needs a budget: give minutes or steps")
        if settings.crop > data.side:
            raise TrainError(
                f"crops of {settings.crop} pixels do not fit windows of {data.side}: "
                "ask for smaller crops, or make larger windows"
            )
        if settings.batch % distributed.count():
            raise TrainError(
                f"a batch of {settings.batch} cannot be split among {distributed.count()} processes"
            )
        slots = settings.network.slots
        if has_memory(settings.network):
            if data.slots < IN_A_ROW * slots or data.slots % slots:
                raise TrainError(
                    f"a network with memory learns from {IN_A_ROW} windows of {slots} frames in a "
                    f"row, and the data has {data.slots}: make some with `focalloop data build "
                    f"--frames {IN_A_ROW * slots} --slow`"
                )
        elif data.slots != slots:
            raise TrainError(f"the data has windows of {data.slots} frames, the network {slots}")
        self.data = data
        self.device = device
        self.settings = settings
        self.progress = Progress()
        self.stop_wanted = False
        self.command = ""
        torch.manual_seed(settings.seed)

    # ------------------------------------------------------------ what each kind of run defines

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued, besides settings and data."""

    @abstractmethod
    def step(self) -> float:
        """Take the next step; return the mean squared error of its batch."""

    @abstractmethod
    def validate(self) -> float:
        """Return the mean PSNR of the averaged weights on the validation windows, dB."""

    def prepare(self, folder: Path) -> None:  # noqa: B027  (nothing to prepare is fine)
        """Write what the folder of the run holds from the start."""

    def log_entry(self) -> dict[str, Any]:
        """Return the columns of the log beyond the progress."""
        return {}

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Return everything that has been learned, as named tensors."""

    @abstractmethod
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""

    # ------------------------------------------------------------ the loop

    def train(
        self,
        folder: Path,
        *,
        report_minutes: float = 5.0,
        on_step: Callable[[Self], None] | None = None,
        on_report: Callable[[Self], None] | None = None,
    ) -> None:
        """Train until the budget is spent, with regular checkpoints and rows of the log.

        A run in the folder is continued if it is this one. Once `stop_wanted` is set, training ends
        after the step, with a checkpoint.

        Parameters
        ----------
        folder : Path
            Receives `CHECKPOINT`, `LOG` and `PLOT`, each always whole.
        report_minutes : float, optional
            Time between validations with a checkpoint, minutes.
        on_step, on_report : callable or None, optional
            Called in the first process after every step, and after every checkpoint.

        Raises
        ------
        TrainError
            If the folder holds another run, which is not changed; or if a loss or a weight is not
            finite, in which case the last checkpoint stays.
        """
        first, log = distributed.rank() == 0, RunLog(folder / LOG)
        fresh = not (folder / CHECKPOINT).exists()
        if not fresh:
            self.resume(folder / CHECKPOINT)
        distributed.wait()  # all have looked before the first one writes
        if first:
            make_folder(folder)
            self.prepare(folder)
            if fresh:
                self.save(folder / CHECKPOINT)
            log.drop_after(self.progress.step)
        started, spent_before = time.monotonic(), self.progress.minutes
        reported = spent_before
        while self.spent < 1.0 and not self.stop_wanted:
            try:
                psnr = decibels(self.step())
            except NotFiniteError:
                raise self._diverged(folder / CHECKPOINT) from None
            progress = self.progress
            progress.step += 1
            smooth = progress.train_psnr
            progress.train_psnr = psnr if math.isnan(smooth) else 0.98 * smooth + 0.02 * psnr
            minutes = spent_before + (time.monotonic() - started) / 60
            progress.minutes, stop = distributed.from_first(minutes, self.stop_wanted)
            self.stop_wanted = bool(stop)
            if on_step and first:
                on_step(self)
            due = progress.minutes - reported >= report_minutes
            if due or self.spent >= 1.0 or self.stop_wanted:
                reported = progress.minutes
                self._report(folder, log)
                if on_report and first:
                    on_report(self)

    def _report(self, folder: Path, log: RunLog) -> None:
        """Validate, and write the checkpoint, the log and its plot."""
        from focalloop.models.training.run_plot import draw

        if not all(value.isfinite().all() for value in self.state().values()):
            raise self._diverged(folder / CHECKPOINT)
        if distributed.rank() > 0:
            return
        self.progress.validation_psnr = self.validate()
        self.save(folder / CHECKPOINT)
        log.append(asdict(self.progress) | self.log_entry())
        draw(log.rows(), folder / PLOT)

    @property
    def spent(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        by_steps = self.progress.step / self.settings.steps if self.settings.steps else 0.0
        by_time = self.progress.minutes / self.settings.minutes if self.settings.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    @property
    def learning_rate(self) -> float:
        """Learning rate of the current step: warm-up times what the schedule leaves."""
        rate = self.settings.learning_rate
        rate *= min(1.0, (self.progress.step + 1) / self.settings.warm_up_steps)
        if self.settings.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * self.spent))
        return rate

    @property
    def share(self) -> int:
        """Windows of each step that this process takes."""
        return self.settings.batch // distributed.count()

    def random(self) -> tuple[np.random.Generator, torch.Generator]:
        """Return the generators of this step and process: for crops and maps, and for noise."""
        seed, step, rank = self.settings.seed, self.progress.step, distributed.rank()
        noise = torch.Generator().manual_seed(seed * 1_000_003 + step + (rank << 40))
        return np.random.default_rng((seed, step, rank)), noise

    # ------------------------------------------------------------ files

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        save_checkpoint(path, self.metadata(), self.state())

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same settings, maps and data.

        Raises
        ------
        TrainError
            If the checkpoint is damaged, or of another run.
        """
        metadata, tensors = load_checkpoint(path)
        refuse_another_run(path, metadata, self.metadata())
        self.progress = Progress(**metadata["progress"])
        self.load_state(tensors)

    def metadata(self) -> dict[str, Any]:
        """Return what a checkpoint says about the run, besides what has been learned."""
        return {
            "identity": self.identity,
            "settings": asdict(self.settings),
            "progress": asdict(self.progress),
            "data": self.data.recipe,
            "command": self.command,
        }

    def _diverged(self, checkpoint: Path) -> TrainError:
        kept = "no checkpoint was written yet"
        if checkpoint.exists():
            step = load_checkpoint(checkpoint)[0]["progress"]["step"]
            kept = f"{checkpoint} still holds step {step}"
        return TrainError(
            f"the loss or a weight is not finite at step {self.progress.step}: stopped; "
            f"{kept}. Try a smaller learning rate than {self.settings.learning_rate:g}"
        )


class Run(TrainingLoop):
    """Training of a reconstruction network; parameters as in `TrainingLoop`."""

    def __init__(self, data: TrainingData, settings: RunSettings, device: str = "cpu") -> None:
        super().__init__(data, settings, device)
        self.learner = Learner(
            settings.network,
            settings.noise,
            average_decay=settings.average_decay,
            bfloat16=settings.bfloat16,
            device=device,
            rounded=settings.rounded,
        )

    def state(self) -> dict[str, Tensor]:
        """Return everything that has been learned, as named tensors."""
        return self.learner.state()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self.learner.load_state(tensors)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they are missing.

    Raises
    ------
    TrainError
        If that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"the folder {folder} cannot be created: {error.strerror}") from None


def decibels(error: float) -> float:
    """Return the PSNR of a mean squared error, peak 1.0; NaN stays NaN."""
    return -10 * math.log10(error if math.isnan(error) else max(error, MIN_ERROR))
