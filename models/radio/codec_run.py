"""Training of `CodecNetwork`: the video's error plus the bits, at a quality drawn per window."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focalloop.models.radio.codec import CodecNetwork, CodecSettings
from focalloop.models.radio.klt import BlockTransform
from focalloop.models.radio.run import RadioRun, Sensing, squared_errors
from focalloop.models.radio.transforms import OUTER
from focalloop.models.training.run import RunSettings, decibels
from focalloop.models.training.training_data import TrainingData

VALIDATION_QUALITIES = (0.25, 0.5, 0.75)
"""Qualities at which a run is validated."""
VALIDATION_WINDOWS = 12
"""Windows of each validation."""


class CodecRun(RadioRun[CodecNetwork]):
    """Training of transforms and entropy models together.

    Parameters
    ----------
    transform : BlockTransform
        What the network begins as.
    network : CodecSettings
        Its size and rates.
    sensing, data, settings, device : Sensing or TrainingData or RunSettings or str
        As in `RadioRun`.
    """

    def __init__(
        self,
        transform: BlockTransform,
        network: CodecSettings,
        sensing: Sensing,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(settings.seed)
        codec = CodecNetwork(transform, network)
        super().__init__(codec, OUTER, sensing, data, settings, device)
        self.network_settings = network
        self.validated: dict[str, float] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the network is, and what is frozen."""
        return {"radio": {"codec": asdict(self.network_settings)}, **self.sensing.identity}

    def loss(
        self, scene: Tensor, cells: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the logarithm of error plus priced bits, whose scale differs between windows.

        For each window and quality the optimum is that of the sum itself (CRL section IV-A).
        """
        network, count = self.learner.network, len(cells)
        # One from each of `count` equal parts of the range.
        quality = torch.from_numpy((np.arange(count) + rng.random(count)) / count).to(cells)
        rebuilt, coded = network(cells, quality, generator)
        errors = squared_errors(self.sensing.video(rebuilt), scene).mean((1, 2))
        bits_per_pixel = coded.bits / scene[0, 0].numel()
        cost = errors + network.price(quality) * bits_per_pixel
        return cost.log().mean(), float(errors.detach().mean())

    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation windows, over all qualities.

        `log_entry` then has PSNR and bits per pixel at each of `VALIDATION_QUALITIES`.
        """
        network = self.averaged()
        found: dict[str, list[float]] = {}
        for scene, cells in self.validation_batches(VALIDATION_WINDOWS):
            for quality in VALIDATION_QUALITIES:
                with torch.no_grad():
                    rebuilt, coded = network(cells, torch.full((1,), quality, device=cells.device))
                    error = (self.sensing.video(rebuilt).clamp(0, 1) - scene).square().mean()
                name = f"quality_{quality:g}"
                found.setdefault(f"{name}_psnr", []).append(decibels(float(error)))
                bits = float(coded.bits) / scene[0, 0].numel()
                found.setdefault(f"{name}_bits_per_pixel", []).append(bits)
        self.validated = {name: float(np.mean(values)) for name, values in found.items()}
        return float(np.mean([self.validated[f"quality_{q:g}_psnr"] for q in VALIDATION_QUALITIES]))

    def averaged(self) -> CodecNetwork:
        """Return a copy of the network with averaged weights, for validation and export."""
        network = copy.deepcopy(self.learner.network)
        network.load_state_dict(self.learner.average)
        return network.eval().requires_grad_(False)

    def log_entry(self) -> dict[str, Any]:
        """Return the latest validation."""
        return dict(self.validated)
