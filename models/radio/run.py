"""Training runs of the networks at both ends of a radio link: frozen sensing, frozen video.

A batch of scenes is measured under the tile of a bundle, whatever is trained turns the reads into
received reads, and the folded reconstruction turns those into the video whose error is the loss.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.noise import PRESETS, NoiseProfile
from focalloop.models.errors import TrainError
from focalloop.models.radio.folded import FoldedReconstruction, FrozenBundle
from focalloop.models.radio.klt import BLOCK
from focalloop.models.radio.reads import CellReads
from focalloop.models.training.learner import ERROR_FLOOR, AnyNetwork, WeightLearner
from focalloop.models.training.run import RunSettings, TrainingLoop
from focalloop.models.training.training_data import TrainingData

VALIDATION_WINDOWS = 32
"""Windows of each validation, evenly spread over those that the data have."""


class Sensing:
    """The frozen sensor and reconstruction of a bundle.

    Parameters
    ----------
    bundle : FrozenBundle
        Map and network.
    noise : NoiseProfile, optional
        Shot and read noise of the reads.
    device : str, optional
        ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    reads : CellReads
        Scenes to noisy cells.
    video : callable
        Cells to video: a `FoldedReconstruction`.
    """

    def __init__(
        self,
        bundle: FrozenBundle,
        noise: NoiseProfile = PRESETS["paper"],
        device: str = "cpu",
    ) -> None:
        self.bundle = bundle
        self.reads = CellReads(bundle.ratio_map.tile, noise).to(device)
        folded = FoldedReconstruction(bundle.network, self.reads).to(device)
        self.video: Callable[[Tensor], Tensor] = folded

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for a checkpoint to be continued."""
        bundle = self.bundle
        return {"map": bundle.ratio_map.hash_hex, "reconstruction": bundle.network_sha256}


class RadioRun(TrainingLoop, Generic[AnyNetwork]):
    """Training of one radio network.

    Parameters
    ----------
    network : nn.Module
        What learns.
    outer : collection of str
        Its first and last layers (`focalloop.models.training.optimizer.Muon`).
    sensing : Sensing
        What is frozen.
    data, settings, device : TrainingData or RunSettings or str
        As in `TrainingLoop`.

    Raises
    ------
    TrainError
        If crops do not consist of whole blocks.
    """

    def __init__(
        self,
        network: AnyNetwork,
        outer: Collection[str],
        sensing: Sensing,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
    ) -> None:
        if settings.crop % BLOCK:
            raise TrainError(
                f"crops of {settings.crop} pixels are no whole blocks: use a multiple of {BLOCK}"
            )
        settings = replace(settings, network=sensing.bundle.network.settings)
        super().__init__(data, settings, device)
        self.sensing = sensing
        self.learner = WeightLearner(
            network.to(device),
            outer,
            average_decay=settings.average_decay,
            bfloat16=settings.bfloat16,
            averages_gradients=True,
        )

    @abstractmethod
    def loss(
        self, scene: Tensor, cells: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the loss of a batch, and the mean squared error of its video.

        Parameters
        ----------
        scene : Tensor of float32, shape (N, T, H, W)
            What the sensor saw.
        cells : Tensor of float32, shape (N, C, h, w)
            Noisy reads of it.
        rng, generator : Generator
            Of this step and process.
        """

    def step(self) -> float:
        """Take one step on one batch; return its mean squared error."""
        rng, generator = self.random()
        scene = self.data.crops(rng, self.share, self.settings.crop).to(self.device)
        cells = self.sensing.reads.measure(scene, generator)
        with torch.autocast(self.learner.device.type, torch.bfloat16, self.learner.bfloat16):
            loss, error = self.loss(scene, cells, rng, generator)
        self.learner.update(loss, self.learning_rate)
        return error

    def validation_batches(
        self, count: int = VALIDATION_WINDOWS
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield scenes of the validation windows and their noisy cells, always the same."""
        return noisy_windows(self.data.validation, self.sensing, count)

    def averaged(self) -> AnyNetwork:
        """Return a copy of the network with averaged weights, for validation and export."""
        network = copy.deepcopy(self.learner.network)
        network.load_state_dict(self.learner.average)
        return network.eval().requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        """Return everything that has been learned, as named tensors."""
        return self.learner.state()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self.learner.load_state(tensors)


@torch.no_grad()
def noisy_windows(
    windows: NDArray[np.uint8], sensing: Sensing, count: int = VALIDATION_WINDOWS
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield scenes (1, T, H, W) of windows and their noisy cells, always the same.

    Parameters
    ----------
    windows : ndarray of uint8, shape (N, T, H, W)
        255 is white; what is not a whole block below and to the right is left out.
    sensing : Sensing
        What measures them.
    count : int, optional
        How many, evenly spread.
    """
    height, width = (side // BLOCK * BLOCK for side in windows.shape[-2:])
    generator = torch.Generator().manual_seed(0)
    for place in np.linspace(0, len(windows) - 1, min(count, len(windows))).round().astype(int):
        scene = torch.from_numpy(windows[place, :, :height, :width].copy())[None].float() / 255
        scene = scene.to(sensing.reads.gain.device)
        yield scene, sensing.reads.measure(scene, generator)


def squared_errors(video: Tensor, scene: Tensor, side: int = BLOCK) -> Tensor:
    """Return the mean squared error of every block (N, H/side, W/side) of a video."""
    errors = (video.float() - scene).square().mean(1)
    return torch.nn.functional.avg_pool2d(errors, side)


def log_error(errors: Tensor) -> Tensor:
    """Return the mean over windows of the logarithm of each window's error (N, h, w).

    The loss: a set is scored by its mean PSNR (`focalloop.models.training.learner.Learner.step`).
    """
    return (errors.mean((1, 2)) + ERROR_FLOOR).log().mean()
