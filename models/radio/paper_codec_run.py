"""Training of the published compression, by the published schedule (CRL section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from focalloop.models.radio.paper_codec import PaperCodec
from focalloop.models.radio.published_run import PublishedRun, TorchOptimizers
from focalloop.models.radio.run import Sensing, squared_errors
from focalloop.models.training.run import RunSettings, decibels
from focalloop.models.training.training_data import TrainingData

BETAS = (1e-7, 5e-8, 2e-8, 1e-8)
"""What a bit of a 256x256 window costs in turn, in squared error, each for an equal part."""

_PIXELS = 256 * 256


class PaperCodecRun(PublishedRun[PaperCodec]):
    """Training of the transforms and entropy models of CRL Fig. 5.

    Parameters
    ----------
    sensing, data, settings, device : Sensing or TrainingData or RunSettings or str
        As in `RadioRun`.
    """

    def __init__(
        self, sensing: Sensing, data: TrainingData, settings: RunSettings, device: str = "cpu"
    ) -> None:
        torch.manual_seed(settings.seed)
        codec = PaperCodec(sensing.reads)
        super().__init__(codec, (), sensing, data, settings, device)
        adam = torch.optim.Adam(codec.parameters())
        self.learner.optimizer = TorchOptimizers({"all": (adam, 1.0)})
        self.validated: dict[str, float] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the network is, and what is frozen."""
        return {"radio": {"paper": "codec"}, **self.sensing.identity}

    @property
    def beta(self) -> float:
        """Cost of a bit at this step."""
        return BETAS[min(int(self.spent * len(BETAS)), len(BETAS) - 1)]

    def loss(
        self, scene: Tensor, cells: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the squared error of the video plus what its bits cost."""
        rebuilt, coded = self.learner.network(cells, generator)
        error = squared_errors(self.sensing.video(rebuilt), scene).mean()
        bits = coded.bits.mean() * (_PIXELS / scene[0, 0].numel())
        return error + self.beta * bits, float(error.detach())

    @torch.no_grad()
    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation windows.

        `log_entry` then has the mean bits of a 256x256 window too.
        """
        network = self.averaged()
        psnr, bits = [], []
        for scene, cells in self.validation_batches():
            rebuilt, coded = network(cells)
            error = (self.sensing.video(rebuilt).clamp(0, 1) - scene).square().mean()
            psnr.append(decibels(float(error)))
            bits.append(float(coded.bits) * _PIXELS / scene[0, 0].numel())
        self.validated = {"bits": float(np.mean(bits))}
        return float(np.mean(psnr))

    def log_entry(self) -> dict[str, Any]:
        """Return the latest validation."""
        return dict(self.validated)
