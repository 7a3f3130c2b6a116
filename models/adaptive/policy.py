"""What a policy loses: to compare with the regression of errors.

A policy takes tile p in block k with the probability

    pi[p, k] ~ exp(-(ê[p, k] / s + mu c[p]) / TEMPERATURE),

where ê is what the network gives, s the mean error under the best tile everywhere, c[p] the reads
per pixel, and the price mu meets a mean of one read. Its reward is ``-log(sum of e) - mu c``. The
gradient is taken of its expectation over all tiles, or as the published policy gradient is, from
grids that are drawn, each with the mean of the others as its baseline.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

TEMPERATURE = 0.3
"""In units of the mean error under the best tile everywhere."""

DRAWS = 4
"""Grids that are drawn for each sample and step."""

MAX_LOG_VALUE = log(1e4)
"""Logarithm of the most that ``ê / s / TEMPERATURE`` counts: no tile so far behind is ever taken,
and a policy that drives it further and further overflows."""

_BISECTIONS = 25
_MAX_PRICE = 100.0


def policy_loss(
    log_predicted: Tensor, error: Tensor, reads: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Return what a policy loses, less a constant.

    Parameters
    ----------
    log_predicted, error : Tensor of float32, shape (N, P, R, C)
        Of each block under each tile: the logarithm of what the policy is made of, and what came.
    reads : Tensor of float32, shape (P,)
        Reads per pixel of each tile.
    generator : torch.Generator or None
        Draws the grids; with None all tiles count with their probabilities.
    """
    scale = error.mean(dim=(2, 3)).amin(dim=1)[:, None, None, None]
    costs = reads[None, :, None, None]
    value = -(log_predicted - (scale * TEMPERATURE).log()).clamp_max(MAX_LOG_VALUE).exp()
    price = _price(value.detach(), costs)
    log_policy = torch.log_softmax(value - price * costs, dim=1)
    policy = log_policy.exp()
    whole = (policy * error).sum(dim=1).mean(dim=(1, 2)).detach()[:, None, None, None]
    losses = (error + TEMPERATURE * price * costs * scale) / whole
    if generator is None:
        return (policy * losses).sum(dim=1).mean()
    by_block = policy.detach().movedim(1, -1)
    drawn = torch.multinomial(by_block.flatten(0, -2), DRAWS, True, generator=generator)
    grids = drawn.reshape(*by_block.shape[:-1], DRAWS).movedim(-1, 1)
    lost = losses.gather(1, grids)
    baseline = (lost.sum(dim=1, keepdim=True) - lost) / (DRAWS - 1)
    return ((lost - baseline) * log_policy.gather(1, grids)).mean()


def _price(value: Tensor, costs: Tensor) -> Tensor:
    """Bisect the price per read at which a policy expects one read per pixel."""
    low = torch.full_like(value[:, :1, :1, :1], -_MAX_PRICE)
    high = -low
    for _ in range(_BISECTIONS):
        price = (low + high) / 2
        policy = torch.softmax(value - price * costs, dim=1)
        dear = (policy * costs).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True) > 1
        low, high = torch.where(dear, price, low), torch.where(dear, high, price)
    return high
