"""The paper's ratio generator: a network that holds the policy of every pixel (CRL section III).

It takes no input. A small matrix, itself a parameter, passes through a few convolutions and one
transposed convolution to the logits of the levels of each pixel; their softmax is the policy P.

All cells of `CELL` x `CELL` pixels share the same weights. As long as the matrix is constant, as it
is initially, the policy repeats *exactly* with that period, except within `MARGIN` pixels of the
border, which see the zero padding. Only what the matrix learns can distinguish cells; in the
authors' published code it receives no gradient, and their maps are tiles of 4x4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 4
"""Height and width in pixels per entry of the matrix, as in the published code (the text has 8)."""

RESIDUAL_BLOCKS = 3

MARGIN = CELL * (1 + 2 * RESIDUAL_BLOCKS)
"""Pixels from the border that the zero padding reaches: one cell per 3x3 convolution."""


class RatioGenerator(nn.Module):
    """Logits of the levels of every pixel of one array.

    Parameters
    ----------
    height, width : int
        Array size, pixels.
    levels : int, optional
        Number of levels that a pixel chooses from.
    features : int, optional
        Channels of the hidden layers.
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
