"""Karhunen-Loeve transform of blocks of cells: where the radio networks begin.

The networks start as this linear transform and learn a correction to it, which after a few steps
is better than networks that started at random are after hundreds. Reads of short exposures are
many and noisy, so each is weighted by ``level ** -0.5`` before the transform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from focalloop.models.radio.reads import CellReads
from focalloop.models.training.training_data import TrainingData

BLOCK = 16
"""Side of a block, pixels: one *location* of what is sent."""

WINDOWS = 500
"""Windows whose covariance is taken."""


@dataclass(frozen=True, eq=False)
class BlockTransform:
    """The transform of blocks of n x n cells with C reads each.

    Attributes
    ----------
    mean : Tensor of float32, shape (C,)
        Mean of every read.
    analysis, synthesis : Tensor of float32, shape (K, C, n, n)
        One row for each coefficient, by falling variance: coefficients are the products of a block
        less its mean with `analysis`, and a block is its mean and the sum of `synthesis` weighted
        by them. With ``K = C n^2`` one inverts the other.
    variance : Tensor of float32, shape (K,)
        Of each coefficient over the training windows.
    """

    mean: Tensor
    analysis: Tensor
    synthesis: Tensor
    variance: Tensor

    @property
    def coefficients(self) -> int:
        """Number of coefficients, K."""
        return len(self.variance)

    def first(self, count: int) -> BlockTransform:
        """Keep the `count` coefficients of the largest variance."""
        kept = self.analysis[:count], self.synthesis[:count], self.variance[:count]
        return BlockTransform(self.mean, *kept)


def block_transform(
    data: TrainingData, reads: CellReads, *, block: int = BLOCK, windows: int = WINDOWS
) -> BlockTransform:
    """Compute the transform of noisy reads from random crops of the training windows.

    Parameters
    ----------
    data : TrainingData
        Windows to learn from.
    reads : CellReads
        The tile, and the noise.
    block : int, optional
        Side of a block, pixels; a multiple of the side of a cell.
    windows : int, optional
        Crops to take; the same seed always takes the same ones.
    """
    rng, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
    crop = data.side // block * block
    side = block // reads.side
    total = torch.zeros(reads.count * side**2, dtype=torch.float64)
    products = torch.zeros(len(total), len(total), dtype=torch.float64)
    weight = reads.gain.sqrt().reciprocal()
    count = 0
    for start in range(0, windows, 20):
        cells = reads.measure(data.crops(rng, min(20, windows - start), crop), noise) * weight
        blocks = cells.unfold(2, side, side).unfold(3, side, side)
        rows = blocks.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2).double()
        total += rows.sum(0)
        products += rows.T @ rows
        count += len(rows)
    # One mean for all positions of a cell in its block: where blocks begin is arbitrary.
    mean = (total / count).view(reads.count, side, side).mean((1, 2), keepdim=True)
    flat = mean.expand(-1, side, side).flatten()
    outer = torch.outer(flat, total)
    covariance = (products - outer - outer.T) / count + torch.outer(flat, flat)
    variance, vectors = torch.linalg.eigh(covariance)
    basis = vectors.T.flip(0).reshape(-1, reads.count, side, side)
    scale = weight.double()
    return BlockTransform(
        (mean / scale).flatten().float(),
        (basis * scale).float(),
        (basis / scale).float(),
        variance.flip(0).clamp_min(1e-9).float(),
    )
