"""The paper's ratio generator: a network that holds the policy of every pixel (CRL section III).

It takes no input. A small matrix, a parameter like the rest, runs through a few convolutions and
one transposed convolution to the logits of the levels of each pixel; their softmax is the policy P.

The same weights are at work in every cell of `CELL` x `CELL` pixels, so as long as the matrix is
constant, as it is at first, the policy repeats *exactly* with that period, but for `MARGIN` pixels
from the border, which see the zeros beyond it. Only what the matrix learns can tell one cell from
another; in the authors' published code it receives no gradient, and their maps are tiles of 4x4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 4
"""Pixels on a side for each entry of the matrix (the published code's; the text has 8)."""

RESIDUAL_BLOCKS = 3

MARGIN = CELL * (1 + 2 * RESIDUAL_BLOCKS)
"""Pixels from the border that its zeros reach: a cell for each 3x3 convolution."""


class RatioGenerator(nn.Module):
    """Logits of the levels of every pixel of one array.

    Parameters
    ----------
    height, width : int
        Of the array, pixels.
    levels : int, optional
        How many levels a pixel chooses from.
    features : int, optional
        Channels inside.
    """

    def __init__(self, height: int, width: int, levels: int = 5, features: int = 32) -> None:
        super().__init__()
        self.shape = (height, width)
        self.matrix = nn.Parameter(torch.ones(1, 1, -(-height // CELL), -(-width // CELL)))
        self.embedding = nn.Conv2d(1, features, 3, padding=1)
        self.blocks = nn.Sequential(*(_ResidualBlock(features) for _ in range(RESIDUAL_BLOCKS)))
        self.expand = nn.ConvTranspose2d(features, levels, CELL, stride=CELL)

    def forward(self) -> Tensor:
        """Return the logits (levels, height, width); a softmax over the first axis gives P."""
        height, width = self.shape
        logits: Tensor = self.expand(self.blocks(self.embedding(self.matrix)))
        return logits[0, :, :height, :width]


class _ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))``, 3x3."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (1, features, h, w) to the same shape."""
        change: Tensor = self.second(functional.relu(self.first(x)))
        return x + change
