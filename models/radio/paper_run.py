"""Training of the published semantic communication, by the published schedule (CRL section 4).

First all reals are sent everywhere; then the allocation network samples, at a price that rises in
steps. Encoder and decoder learn from the video's squared error by Adam, the allocation network from
the reward of its own location by stochastic gradient descent, without a baseline.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focalloop.models.radio.paper import LOCATION, PaperSemCom, PaperSemComSettings
from focalloop.models.radio.policy import f_values, policy_loss, rewards, sampled
from focalloop.models.radio.published_run import (
    MOMENTUM,
    POLICY_RATE,
    PublishedRun,
    TorchOptimizers,
)
from focalloop.models.radio.run import Sensing, squared_errors
from focalloop.models.radio.semcom import over_the_air, sent_reals
from focalloop.models.training.run import RunSettings, decibels
from focalloop.models.training.training_data import TrainingData

SNR_DB = 10.0
ALL_REALS = 0.4
"""Share of the run in which all reals are sent everywhere."""
PRICES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
"""mu in turn, each for an equal part of what is left."""
BITS_PER_SYMBOL = 4 * 2 / 3
"""Of F: 16-QAM with a code of rate 2/3."""


class PaperSemComRun(PublishedRun[PaperSemCom]):
    """Training of SCE, RAN and SCD.

    Parameters
    ----------
    network : PaperSemComSettings
        Rate table.
    sensing, data, settings, device : Sensing or TrainingData or RunSettings or str
        As in `RadioRun`.
    """

    def __init__(
        self,
        network: PaperSemComSettings,
        sensing: Sensing,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(settings.seed)
        both = PaperSemCom(sensing.reads, network)
        super().__init__(both, (), sensing, data, settings, device)
        ends = [*both.encoder.parameters(), *both.decoder.parameters()]
        descent = torch.optim.SGD(both.allocation.parameters(), momentum=MOMENTUM)
        self.learner.optimizer = TorchOptimizers(
            {
                "ends": (torch.optim.Adam(ends), 1.0),
                "policy": (descent, POLICY_RATE / settings.learning_rate),
            }
        )
        self.network_settings = network
        self.rates = torch.tensor(network.rates, device=device)
        self.f = f_values(network.rates).to(device)
        self.validated: dict[str, float] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the network is, and what is frozen."""
        return {"radio": {"paper": asdict(self.network_settings)}, **self.sensing.identity}

    @property
    def mu(self) -> float | None:
        """Price of f at this step; None while all reals are sent."""
        if self.spent < ALL_REALS:
            return None
        part = int((self.spent - ALL_REALS) / (1 - ALL_REALS) * len(PRICES))
        return PRICES[min(part, len(PRICES) - 1)]

    def loss(
        self, scene: Tensor, cells: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the squared error of the video, plus the loss of the policy once it samples."""
        network = self.learner.network
        x = network.encoder(cells)
        logits = network.allocation(x.detach())
        rate_map = torch.full_like(logits[:, 0], len(self.rates) - 1, dtype=torch.int64)
        if self.mu is not None:
            rate_map = sampled(logits, generator)
        variance = torch.full((len(x), 1, 1, 1), 10 ** (-SNR_DB / 10)).to(cells)
        received, noise = over_the_air(x, sent_reals(rate_map, self.rates), variance, generator)
        video = self.sensing.video(network.decoder(received, noise, rate_map))
        errors = squared_errors(video, scene, LOCATION)
        loss = errors.mean()
        if self.mu is not None:
            reward = rewards("published", errors.detach(), self.f[rate_map], self.mu)
            loss = loss + policy_loss(logits, rate_map, reward)
        return loss, float(errors.detach().mean())

    @torch.no_grad()
    def validate(self) -> float:
        """Mean PSNR in dB of the averaged weights on the validation windows, all reals sent.

        `log_entry` then has PSNR and symbols of a 256x256 window of the most probable rates too.
        """
        network, generator = self.averaged(), torch.Generator().manual_seed(1)
        everywhere: list[float] = []
        allocated: list[float] = []
        symbols: list[float] = []
        for scene, cells in self.validation_batches():
            x = network.encoder(cells)
            probable = network.allocation(x).argmax(1)
            variance = torch.full((1, 1, 1, 1), 10 ** (-SNR_DB / 10)).to(cells)
            for found, rate_map in (
                (everywhere, torch.full_like(probable, len(self.rates) - 1)),
                (allocated, probable),
            ):
                sent = sent_reals(rate_map, self.rates)
                received, noise = over_the_air(x, sent, variance, generator)
                video = self.sensing.video(network.decoder(received, noise, rate_map))
                found.append(decibels(float((video.clamp(0, 1) - scene).square().mean())))
            reals = float(self.rates[probable].float().mean())
            symbols.append((256 / LOCATION) ** 2 * (reals / 2 + 2 / BITS_PER_SYMBOL))
        self.validated = {
            "all_psnr": float(np.mean(everywhere)),
            "allocated_psnr": float(np.mean(allocated)),
            "allocated_symbols": float(np.mean(symbols)),
        }
        return self.validated["all_psnr"]

    def log_entry(self) -> dict[str, Any]:
        """Return the latest validation."""
        return dict(self.validated)
