"""The controller's network, and its regression of every block's expected error.

The network gives ``log ê`` for each block and tile. The loss of its regression is the Gamma
deviance ``e/ê - 1 - log(e/ê)``, which is least where ``ê`` is the expected error E[e], whatever its
distribution; a squared error of logarithms would fit E[log e] and make light of rare large errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.adaptive.policy import policy_loss
from focalloop.models.adaptive.samples import Samples

ERROR_FLOOR = 1e-6
"""Least error that counts: 60 dB."""

AVERAGE_DECAY = 0.99
"""Per step, of the average of the weights that is kept."""

Learn = Literal["errors", "policy", "sampled-policy"]
"""The errors, or to compare a policy (`focalloop.models.adaptive.policy`)."""


@dataclass(frozen=True)
class FitSettings:
    """How the network learns.

    Attributes
    ----------
    steps, batch : int
        Steps of AdamW, and samples per step.
    learning_rate : float
        Highest; it rises over the first twentieth and falls to a fiftieth at the end.
    weight_decay : float
        Of AdamW, for all but the biases.
    width : int
        Channels of the hidden layers.
    learn : Learn
        What.
    members : int
        Networks, each with a seed of its own, whose outputs are averaged: that steadies what they
        say of scenes unlike those that they learned from.
    seed : int
        Of weights, batches and draws.
    """

    steps: int = 600
    batch: int = 32
    learning_rate: float = 8e-3
    weight_decay: float = 0.1
    width: int = 32
    learn: Learn = "errors"
    members: int = 3
    seed: int = 0


class ErrorNetwork(nn.Module):
    """`focalloop.host.adaptive.network` in PyTorch.

    Parameters
    ----------
    features, tiles : int
        Inputs and outputs per block.
    width : int
        Channels of the hidden layers.
    """

    def __init__(self, features: int, tiles: int, width: int) -> None:
        super().__init__()

        def near() -> nn.Conv2d:
            return nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")

        self.layers = nn.ModuleList(
            [nn.Conv2d(features, width, 1), near(), near(), nn.Conv2d(width, tiles, 1)]
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F, R, C) to the logarithm of errors (N, P, R, C)."""
        values = features
        for number, layer in enumerate(self.layers):
            values = layer(functional.relu(values) if number else values)
        return values


@dataclass(frozen=True, eq=False)
class Fit:
    """Networks that have learned.

    Attributes
    ----------
    members : tuple of ErrorNetwork
        Their outputs are averaged. The weights of each are the average of those along the way.
    deviance : float
        Mean Gamma deviance on the validation samples.
    spread : float
        Standard deviation of the logarithm of a validation window's error, under one tile
        everywhere, over its prediction.
    """

    members: tuple[ErrorNetwork, ...]
    deviance: float
    spread: float


def fit(
    training: Samples,
    validation: Samples,
    settings: FitSettings,
    progress: Callable[[int], None] = lambda steps: None,
) -> Fit:
    """Learn from samples; `progress` is called with the number of steps done, of all members."""
    members = []
    for number in range(settings.members):

        def stepped(done: int, before: int = number * settings.steps) -> None:
            progress(before + done)

        members.append(_member(training, settings, number, stepped))
    with torch.inference_mode():
        features = torch.tensor(validation.features)
        found = torch.stack([member(features) for member in members]).mean(dim=0)
    logs = _log(validation.error)
    whole = (logs.exp().sum(dim=(2, 3)) / found.exp().sum(dim=(2, 3))).log()
    return Fit(tuple(members), float(_deviance(logs - found).mean()), float(whole.std()))


def _member(
    samples: Samples, settings: FitSettings, number: int, progress: Callable[[int], None]
) -> ErrorNetwork:
    """Train one network."""
    seed = settings.seed + number
    generator = torch.Generator().manual_seed(seed)
    inputs, log_error = torch.tensor(samples.features), _log(samples.error)
    reads = torch.tensor(samples.reads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ErrorNetwork(inputs.shape[1], log_error.shape[1], settings.width)
    nn.init.constant_(network.layers[-1].bias, float(log_error.exp().mean().log()))  # type: ignore[arg-type]
    weights = [value for value in network.parameters() if value.ndim > 1]
    biases = [value for value in network.parameters() if value.ndim == 1]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))
    decay = torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_DECAY)  # type: ignore[no-untyped-call]
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=decay)
    for step in range(settings.steps):
        done = step / settings.steps
        rate = min(20 * (done + 1 / settings.steps), max(1 - done, 0.02))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        picked = torch.randint(len(log_error), (settings.batch,), generator=generator)
        turn = int(torch.randint(8, (), generator=generator))
        features, logs = (_turned(v[picked], turn) for v in (inputs, log_error))
        found = network(features)
        if settings.learn == "errors":
            loss = _deviance(logs - found).mean()
        else:
            drawing = generator if settings.learn == "sampled-policy" else None
            loss = policy_loss(found, logs.exp(), reads, drawing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        progress(step + 1)
    network.load_state_dict(average.module.state_dict())
    return network


def _log(error: NDArray[np.float32]) -> Tensor:
    return torch.tensor(error).clamp_min(ERROR_FLOOR).log()


def _deviance(log_ratio: Tensor) -> Tensor:
    """Gamma deviance (half of it, by the usual convention) from the logarithm of ``e/ê``."""
    return log_ratio.exp() - 1 - log_ratio


def _turned(values: Tensor, turn: int) -> Tensor:
    """Flip and transpose the blocks of a batch in one of 8 ways: nothing depends on it."""
    if turn & 1:
        values = values.flip(-1)
    if turn & 2:
        values = values.flip(-2)
    return values.mT if turn & 4 else values
