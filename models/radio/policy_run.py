"""Training of rate allocation as a policy, for ends that stay as they are: a road to compare.

One policy serves all prices, at `SNR_DB`. Two maps are sampled for each window, and the reward of
each is compared with that of the other, for both kinds of reward alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.radio.klt import BlockTransform
from focalloop.models.radio.policy import Reward, f_values, policy_loss, rewards, sampled
from focalloop.models.radio.published_run import (
    MOMENTUM,
    PublishedRun,
    TorchOptimizers,
)
from focalloop.models.radio.rate_allocation import RateAllocation
from focalloop.models.radio.run import Sensing, squared_errors
from focalloop.models.radio.semcom import (
    SemCom,
    SemComSettings,
    channel_quality,
    over_the_air,
    sent_reals,
)
from focalloop.models.radio.semcom_run import VALIDATION_REALS, rebuilt
from focalloop.models.radio.transforms import zeroed
from focalloop.models.training.run import RunSettings, decibels
from focalloop.models.training.training_data import TrainingData

SNR_DB = 10.0

MIN_MU, MAX_MU = 0.02, 2.0
"""Range of the price of f."""
_EVEN = 0.1
"""Rewards are divided by this and the price, so that high prices do not outweigh the others."""

KNOTS = 5
"""Prices for which a policy has logits of its own."""

_PRICES = 41
"""Prices among which the one that meets a budget is sought."""


class RatePolicy(RateAllocation):
    """Logits of every rate, for a price: linear between those for `KNOTS` prices.

    It takes the place of the allocation network in a `SemCom`. All but its last layer is that of a
    network that predicts errors, and stays so. What that sees of a location is taken relative to
    the window, as both rewards compare its locations. At first all rates are as probable.

    Parameters
    ----------
    rates : sequence of int
        Coefficients that a location sends at each rate, ascending.
    """

    rates: Tensor

    def __init__(self, rates: Sequence[int]) -> None:
        super().__init__(rates)
        self.requires_grad_(False)
        self.register_buffer("rates", torch.tensor(rates), persistent=False)
        self.errors = nn.Conv2d(self.errors.in_channels, KNOTS * len(rates), 1)
        zeroed(self.errors)

    def forward(self, x: Tensor, place: Tensor) -> Tensor:
        """Map (N, C, h, w) and places of the price in its range, (N,), to (N, rates, h, w)."""
        quality = channel_quality(torch.full_like(place, SNR_DB))
        seen = self.features(x, quality).float()
        seen = seen - seen.mean((2, 3), keepdim=True)
        seen = seen / (seen.square().mean((1, 2, 3), keepdim=True) + 1e-12).sqrt()
        by_price = self.errors(seen).float().unflatten(1, (KNOTS, len(self.rates)))
        knots = torch.arange(KNOTS).to(place)
        hats = functional.relu(1 - (place[:, None] * (KNOTS - 1) - knots).abs())
        logits: Tensor = (hats[:, :, None, None, None] * by_price).sum(1)
        return logits


class PolicyRun(PublishedRun[SemCom]):
    """Training of a `RatePolicy` in the place of the allocation network.

    Parameters
    ----------
    reward : {'published', 'psnr'}
        What it is rewarded for.
    transform, network : BlockTransform or SemComSettings
        What the ends begin as, and their size.
    sensing, data, settings, device : Sensing or TrainingData or RunSettings or str
        As in `RadioRun`.
    """

    def __init__(
        self,
        reward: Reward,
        transform: BlockTransform,
        network: SemComSettings,
        sensing: Sensing,
        data: TrainingData,
        settings: RunSettings,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(settings.seed)
        ends = SemCom(transform, network).requires_grad_(False)
        ends.allocation = RatePolicy(network.rates)
        super().__init__(ends, (), sensing, data, settings, device)
        # Its steps vanish with the gradient; Adam's drive the softmax to where none leads back.
        descent = torch.optim.SGD(ends.allocation.errors.parameters(), momentum=MOMENTUM)
        self.learner.optimizer = TorchOptimizers({"policy": (descent, 1.0)})
        self.reward: Reward = reward
        self.network_settings = network
        self.rates = torch.tensor(network.rates, device=device)
        self.f = f_values(network.rates).to(device)
        self.validated: dict[str, float] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the network is, what it is rewarded for, and what is frozen."""
        radio = {"network": asdict(self.network_settings), "reward": self.reward}
        return {"radio": radio, **self.sensing.identity}

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Start from the weights of a `SemCom`, with every rate as probable as the others."""
        blank = {
            name: torch.zeros_like(value)
            for name, value in self.learner.network.state_dict().items()
            if name.startswith("allocation.errors.")
        }
        self.learner.start_from(weights | blank)

    def loss(
        self, scene: Tensor, cells: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        """Return the loss of the policy, and the mean squared error under sampled rates."""
        network, count = self.learner.network, len(cells)
        place = torch.from_numpy(rng.random(count)).to(cells)
        mu = mu_at(place)[:, None, None]
        snr_db = torch.full((count,), SNR_DB).to(cells)
        variance = (10 ** (-snr_db / 10))[:, None, None, None]
        with torch.no_grad():
            x = network.encoder(cells, snr_db)
        logits = network.allocation(x, place)
        chosen = [sampled(logits, generator) for _ in range(2)]
        errors = []
        for rate_map in chosen:
            with torch.no_grad():
                sent = sent_reals(rate_map, self.rates)
                given = network.emphasised(x, rate_map)
                received, noise = over_the_air(given, sent, variance, generator)
                video = self.sensing.video(network.decoder(received, noise, rate_map))
                errors.append(squared_errors(video, scene))
        mean = torch.stack(errors).mean((0, 2, 3))[:, None, None]
        one, other = (
            rewards(self.reward, error, self.f[rate_map], mu, mean)
            for error, rate_map in zip(errors, chosen, strict=True)
        )
        difference = (one - other) / (mu + _EVEN)
        loss = policy_loss(logits, chosen[0], difference) + policy_loss(
            logits, chosen[1], -difference
        )
        return loss, float(torch.stack(errors).mean())

    def validate(self) -> float:
        """Mean PSNR in dB as that of `SemComRun.validate`, of the most probable rates."""
        network, generator = self.averaged(), torch.Generator().manual_seed(1)
        policy = cast(RatePolicy, network.allocation)
        found: dict[str, list[float]] = {}
        for scene, cells in self.validation_batches():
            with torch.no_grad():
                x = network.encoder(cells, torch.full((1,), SNR_DB).to(cells))
            for reals in VALIDATION_REALS:
                rate_map = policy_rates(policy, x, reals * math.prod(x.shape[-2:]))
                video = self.sensing.video(rebuilt(network, x, rate_map, SNR_DB, generator))
                psnr = decibels(float((video.clamp(0, 1) - scene).square().mean()))
                found.setdefault(f"allocated_{reals}_psnr", []).append(psnr)
        self.validated = {name: float(np.mean(values)) for name, values in found.items()}
        return float(np.mean([*self.validated.values()]))

    def log_entry(self) -> dict[str, Any]:
        """Return the latest validation."""
        return dict(self.validated)


def mu_at(place: Tensor) -> Tensor:
    """Return the price at a place of its range, 0 to 1."""
    return MIN_MU * (MAX_MU / MIN_MU) ** place


@torch.no_grad()
def policy_rates(policy: RatePolicy, x: Tensor, reals: float) -> NDArray[np.int64]:
    """Return the most probable rates (h, w) at the least price that keeps within a budget.

    Parameters
    ----------
    policy : RatePolicy
        What chooses.
    x : Tensor of float32, shape (1, C, h, w)
        Reals of one window.
    reals : float
        Budget of the window; where the highest price exceeds it, that price is taken.
    """
    for place in torch.linspace(0, 1, _PRICES).to(x):
        chosen = policy(x, place[None])[0].argmax(0)
        if int(policy.rates[chosen].sum()) <= reals:
            break
    return np.asarray(chosen.cpu().numpy(), np.int64)
