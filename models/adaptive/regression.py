"""The controller's network, and its regression of every block's expected error.

The network gives ``log ê`` for each block and tile. Its loss is the Gamma deviance ``e/ê - 1 -
log(e/ê)``, which is least where ``ê`` is the expected error E[e], whatever its distribution; a
squared error of logarithms would fit E[log e] and make light of rare large errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.adaptive.samples import Samples

ERROR_FLOOR = 1e-6
"""Least error that counts: 60 dB."""

AVERAGE_DECAY = 0.99
"""Per step, of the average of the weights that is kept."""


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
    seed : int
        Of weights and batches.
    """

    steps: int = 1000
    batch: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.1
    width: int = 32
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
    """A network that has learned.

    Attributes
    ----------
    network : ErrorNetwork
        Its weights are the average of those along the way.
    deviance : float
        Mean Gamma deviance on the validation samples.
    spread : float
        Standard deviation of the logarithm of a validation window's error over its prediction.
    """

    network: ErrorNetwork
    deviance: float
    spread: float


def fit(
    training: Samples,
    validation: Samples,
    tiles: int,
    settings: FitSettings,
    progress: Callable[[int, float], None] = lambda step, deviance: None,
) -> Fit:
    """Regress the error of every block under each of `tiles` tiles.

    `progress` is called after each step with its number and the deviance of its batch.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    log_error = _log(training.error)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = ErrorNetwork(training.features.shape[1], tiles, settings.width)
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
        features, tile, logs = (
            _turned(values[picked], turn)
            for values in (training.features, training.tile, log_error)
        )
        deviance = _deviance(logs - _under(network(features), tile)).mean()
        optimizer.zero_grad()
        deviance.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        progress(step + 1, deviance.item())
    network.load_state_dict(average.module.state_dict())
    with torch.inference_mode():
        found = _under(network(validation.features), validation.tile)
    logs = _log(validation.error)
    whole = logs.exp().sum(dim=(1, 2)).log() - found.exp().sum(dim=(1, 2)).log()
    return Fit(network, float(_deviance(logs - found).mean()), float(whole.std()))


def _log(error: Tensor) -> Tensor:
    return error.clamp_min(ERROR_FLOOR).log()


def _under(log_errors: Tensor, tile: Tensor) -> Tensor:
    """Pick the prediction under each block's tile: (N, P, R, C) and (N, R, C) to (N, R, C)."""
    return log_errors.gather(1, tile[:, None])[:, 0]


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
