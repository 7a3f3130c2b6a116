"""Rate allocation by policy gradient (CRL section 4), for either kind of network.

The allocation network gives a softmax ``P`` over the rates of every location. Rates are sampled,
sent and rebuilt, and choices that were rewarded become more likely: ``grad log P(f) * Q`` (CRL
Eq. 7). Where the reward Q of every rate is known, its expectation needs no samples: the sum of
``Q grad P(f)`` over all rates. What is sent is counted by f, which is 4 where a location sends all
of its reals. The reward is one of two:

``published``
    ``log(1/U) - mu f``: U is the squared error of the location. It pays as much for halving a small
    error as for halving a large one.
``psnr``
    ``-U / mean U - mu f``: a location's share of the error of its window, which is what PSNR adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Reward = Literal["published", "psnr"]

EXPLORATION = 0.4
"""Share of uniform choice among the sampled rates."""

MAX_F = 4.0
"""What f is where all reals are sent."""

ERROR_FLOOR = 1e-6
"""Added to squared errors before the logarithm."""


def sampled(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Sample rates (N, h, w) from ``0.6 P + 0.4 uniform``, for logits (N, rates, h, w)."""
    count, rates, height, width = logits.shape
    mixed = (1 - EXPLORATION) * logits.detach().softmax(1) + EXPLORATION / rates
    # Drawn on the CPU, so that a seed gives the same rates on every device.
    flat = mixed.permute(0, 2, 3, 1).reshape(-1, rates).cpu()
    chosen = torch.multinomial(flat, 1, generator=generator)
    return chosen.view(count, height, width).to(logits.device)


def f_values(rates: Sequence[int]) -> Tensor:
    """Return f of every rate, `MAX_F` for the last one."""
    return torch.tensor([MAX_F * rate / rates[-1] for rate in rates])


def rewards(
    kind: Reward, errors: Tensor, f: Tensor, mu: Tensor | float, mean: Tensor | float = 1.0
) -> Tensor:
    """Return the reward of every location.

    Parameters
    ----------
    kind : {'published', 'psnr'}
        Which one.
    errors : Tensor of float32, shape (..., h, w)
        Squared error of the video of each location, averaged over it.
    f : Tensor of float32, shape (..., h, w)
        What each has sent.
    mu : Tensor or float
        Price of f.
    mean : Tensor or float, optional
        Error of the window that shares are of. It is that of several samples: by the mean of one
        alone, a location with most of the error would have the same share whatever it sends.
    """
    if kind == "published":
        return -(errors + ERROR_FLOOR).log() - mu * f
    return -errors / mean - mu * f


def policy_loss(logits: Tensor, chosen: Tensor, advantage: Tensor) -> Tensor:
    """Return the loss whose gradient is the policy gradient.

    Parameters
    ----------
    logits : Tensor of float32, shape (N, rates, h, w)
        Of P.
    chosen : Tensor of int64, shape (N, h, w)
        Sampled rates.
    advantage : Tensor of float32, shape (N, h, w)
        Their reward, less a baseline where there is one.
    """
    found = -functional.nll_loss(logits.log_softmax(1), chosen, reduction="none")
    return -(found * advantage.detach()).mean()


def expected_loss(logits: Tensor, values: Tensor) -> Tensor:
    """Return the loss whose gradient is the policy gradient, expected over all rates.

    Parameters
    ----------
    logits : Tensor of float32, shape (N, rates, h, w)
        Of P.
    values : Tensor of float32, shape (N, rates, h, w)
        Reward of every rate.
    """
    return -(logits.softmax(1) * values.detach()).sum(1).mean()
