"""Reconstruction networks: from a window's reads to its T frames.

`EdgeNetwork` is made for two CPU cores in real time. Every 4x4 cell of pixels becomes one position,
so that a filter belongs to one phase of a 4x4-periodic ratio map and knows how
long each pixel of its cell was exposed. Plain 3x3 convolutions with ReLU, which processors run
fastest, do the rest: some on the cells, and most on 2x2 cells, where they are a quarter of the work
and see motion across many pixels. What they find is added to the initial reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.sensing import initial_reconstruction

CELL = 4
"""Pixels on a side of one position of the network; the period of the tiles it is made for."""

COARSE_CELL = 2 * CELL
"""Pixels on a side of one position of the coarse part; inputs are padded to a multiple of it."""


@dataclass(frozen=True)
class EdgeSettings:
    """Size of an `EdgeNetwork`.

    Attributes
    ----------
    slots
        Frames a window, T.
    squeeze
        Channels a cell's pixels are first reduced to.
    width
        Channels of the residual blocks.
    entry_blocks, coarse_blocks, exit_blocks
        Residual blocks before, on, and after the coarse grid.
    """

    slots: int = 16
    squeeze: int = 64
    width: int = 96
    entry_blocks: int = 1
    coarse_blocks: int = 4
    exit_blocks: int = 2


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))``, the second convolution starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = _zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, h, w) to the same shape."""
        change: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        return x + change


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _blocks(count: int, width: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


class EdgeNetwork(nn.Module):
    """The real-time profile: reads and levels in, video out, any height and width.

    The graph that is deployed is this module: initial reconstruction and padding are inside it.
    """

    def __init__(self, settings: EdgeSettings | None = None) -> None:
        super().__init__()
        settings = settings or EdgeSettings()
        self.slots = settings.slots
        width = settings.width
        self.squeeze = nn.Conv2d(settings.slots, settings.squeeze, CELL, stride=CELL)
        self.stem = nn.Conv2d(settings.squeeze, width, 3, padding=1)
        self.entry = _blocks(settings.entry_blocks, width)
        self.down = nn.Conv2d(width, width, 2, stride=2)
        self.coarse = _blocks(settings.coarse_blocks, width)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.exit = _blocks(settings.exit_blocks, width)
        self.head = _zeroed(nn.Conv2d(width, settings.slots * CELL**2, 1))

    def forward(self, reads: Tensor, levels: Tensor) -> Tensor:
        """Reconstruct windows.

        Parameters
        ----------
        reads
            (N, K, H, W) signal e in units of full scale; plane k holds each pixel's k-th
            measurement, zero where it takes fewer.
        levels
            (N, H, W) uint8, measurements a window of each pixel.

        Returns
        -------
        Tensor
            (N, T, H, W) float32; 1.0 is white, nothing is clipped.
        """
        first = filled(initial_reconstruction(reads, levels, self.slots), levels)
        height, width = first.shape[-2:]
        padded = functional.pad(
            first, (0, -width % COARSE_CELL, 0, -height % COARSE_CELL), mode="replicate"
        )
        cells = self.entry(self.stem(self.squeeze(padded)))
        cells = self.exit(cells + self.up(self.coarse(self.down(cells))))
        residual = functional.pixel_shuffle(self.head(cells), CELL)
        # The sum is in float32 even where training computes convolutions in bfloat16.
        return first + residual[..., :height, :width].to(first.dtype)


def filled(video: Tensor, levels: Tensor) -> Tensor:
    """Give pixels of level 0 the mean of their measured neighbours (3x3), slot by slot.

    Parameters
    ----------
    video
        (N, T, H, W) initial reconstruction, zero at level 0.
    levels
        (N, H, W).
    """
    measured = (levels > 0).unsqueeze(1).to(video.dtype)
    nearby = functional.avg_pool2d(video, 3, stride=1, padding=1)
    share = functional.avg_pool2d(measured, 3, stride=1, padding=1)
    return torch.where(measured > 0, video, nearby / share.clamp_min(1 / 9))
