"""Training of rate allocation as a policy, for ends that stay as they are: a road to compare.

One policy serves all prices, at `SNR_DB`. Two maps are sampled for each window, and the reward of
each is compared with that of the other, for both kinds of reward alike. Or the gradient is expected
over all rates: each window is sent at every rate in turn, the same for all of its locations, and
the reward of a location is then the value of that rate there.
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
from focalloop.models.radio.policy import (
    Reward,
    expected_loss,
    f_values,
    policy_loss,
    rewards,
    sampled,
)
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
    expected : bool, optional
        Weigh all rates by their probability, instead of sampling two.
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
        *,
        expected: bool = False,
    ) -> None:
        torch.manual_seed(settings.seed)
        ends = SemCom(transform, network).requires_grad_(False)
        ends.allocation = RatePolicy(network.rates)
        super().__init__(ends, (), sensing, data, settings, device)
        # Its steps vanish with the gradient; Adam's drive the softmax to where none leads back.
        descent = torch.optim.SGD(ends.allocation.errors.parameters(), momentum=MOMENTUM)
        self.learner.optimizer = TorchOptimizers({"policy": (descent, 1.0)})
        self.reward: Reward = reward
        self.expected = expected
        self.network_settings = network
        self.rates = torch.tensor(network.rates, device=device)
        self.f = f_values(network.rates).to(device)
        self.validated: dict[str, float] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What the network is, what it is rewarded for, and what is frozen."""
        radio: dict[str, Any] = {"network": asdict(self.network_settings), "reward": self.reward}
        if self.expected:  # so that older runs go on
            radio["gradient"] = "expected"
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
        """Return the loss of the policy, and the mean squared error that it leads to."""
        network, count = self.learner.network, len(cells)
        place = torch.from_numpy(rng.random(count)).to(cells)
        with torch.no_grad():
            x = network.encoder(cells, torch.full((count,), SNR_DB).to(cells))
        logits = network.allocation(x, place)
        mu = mu_at(place)[:, None, None, None]
        if self.expected:
            levels = torch.arange(len(self.rates), device=x.device)[:, None, None, None]
            maps = levels.expand(-1, count, *x.shape[-2:])
            shares = logits.detach().softmax(1)
        else:
            maps = torch.stack([sampled(logits, generator) for _ in range(2)])
            shares = torch.full_like(maps.transpose(0, 1), 1 / 2, dtype=torch.float32)
        errors = torch.stack([self._errors(x, scene, each, generator) for each in maps], dim=1)
        mean = (shares * errors).sum(1).mean((1, 2))
        f = self.f[maps.transpose(0, 1)]
        paid = rewards(self.reward, errors, f, mu, mean[:, None, None, None]) / (mu + _EVEN)
        if self.expected:
            # Twice, as two samples give: steps of either kind are then of the same size.
            return 2 * expected_loss(logits, paid), float(mean.mean())
        difference = paid[:, 0] - paid[:, 1]
        loss = policy_loss(logits, maps[0], difference) + policy_loss(logits, maps[1], -difference)
        return loss, float(mean.mean())

    @torch.no_grad()
    def _errors(
        self, x: Tensor, scene: Tensor, rate_map: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Send reals at the rates of maps (N, h, w); return the errors of their video."""
        network = self.learner.network
        variance = torch.full((len(x), 1, 1, 1), 10 ** (-SNR_DB / 10)).to(x)
        given, sent = network.emphasised(x, rate_map), sent_reals(rate_map, self.rates)
        received, noise = over_the_air(given, sent, variance, generator)
        video = self.sensing.video(network.decoder(received, noise, rate_map))
        return squared_errors(video, scene)

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
