"""The rate allocation network (RAN): how wrong the video of a location will be at each rate.

CRL section 4 samples rates from a softmax and learns it by policy gradient. This one *regresses*
the action values themselves, the logarithm of the error at every rate; what follows from them, and
from the price of a symbol, is then chosen by `focalloop.firmware_sim.radio.rate_choice`, for any
budget and without training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focalloop.models.networks.edge import ResidualBlock

_ENERGY_FLOOR = 1e-4
_WIDTH = 64
_FIRST_GUESS = -6.0
"""Logarithm of the squared error that the network predicts at first: 26 dB."""


class RateAllocation(nn.Module):
    """Coefficients of a window in, predicted log errors out.

    Parameters
    ----------
    rates : sequence of int
        Coefficients that a location sends at each rate, ascending.
    """

    groups: Tensor

    def __init__(self, rates: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("groups", group_means(rates), persistent=False)
        self.squeeze = nn.Conv2d(rates[-1] + len(rates) + 1, _WIDTH, 1)
        self.around = nn.Sequential(ResidualBlock(_WIDTH), ResidualBlock(_WIDTH), nn.ReLU())
        self.errors = nn.Conv2d(_WIDTH, len(rates), 1)
        nn.init.zeros_(self.errors.weight)
        self.errors.bias = nn.Parameter(torch.full((len(rates),), _FIRST_GUESS))

    def forward(self, x: Tensor, snr: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        x : Tensor of float32, shape (N, C, h, w)
            Every coefficient that could be sent.
        snr : Tensor of float32, shape (N,)
            Quality of the channel, 0 to 1.

        Returns
        -------
        Tensor of float32, shape (N, rates, h, w)
            Natural logarithm of the mean squared error of each location's video.
        """
        found: Tensor = self.errors(self.features(x, snr))
        return found.float()

    def features(self, x: Tensor, snr: Tensor) -> Tensor:
        """Return what the errors are predicted from, (N, features, h, w)."""
        energy = torch.nn.functional.conv2d(x.square(), self.groups)
        quality = snr[:, None, None, None].expand(-1, -1, *x.shape[-2:])
        inputs = torch.cat([x, (energy + _ENERGY_FLOOR).log(), quality], dim=1)
        found: Tensor = self.around(self.squeeze(inputs))
        return found


def group_means(rates: Sequence[int]) -> Tensor:
    """Kernel (rates, C, 1, 1) that averages the channels that each rate adds to the one before."""
    kernel = torch.zeros(len(rates), rates[-1], 1, 1)
    for row, (start, stop) in enumerate(zip([0, *rates], rates, strict=False)):
        kernel[row, start:stop] = 1 / (stop - start)
    return kernel


def random_rate_maps(
    rng: np.random.Generator, count: int, height: int, width: int, rates: int
) -> NDArray[np.int64]:
    """Draw rate maps (count, height, width): half of them uniform, the others random.

    The random ones are independent from location to location, or smooth; each has a mean and a
    spread of its own.
    """
    maps = np.empty((count, height, width), np.int64)
    for one in maps:
        kind = rng.random()
        middle = rng.triangular(-0.5, 0.6 * rates, rates - 0.5)
        if kind < 0.5:
            one[:] = np.clip(round(middle), 0, rates - 1)
            continue
        field = rng.standard_normal((height, width))
        if kind < 0.8:  # neighbours share most of it
            coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1))
            field = 0.5 * field + np.kron(coarse, np.ones((2, 2)))[:height, :width]
        spread = rng.uniform(0.5, 2.5)
        one[:] = np.clip(np.round(middle + spread * field), 0, rates - 1)
    return maps
