"""The edge profile: reconstruction in real time on two CPU cores.

It starts from a video that needs no training (`focalloop.models.networks.interpolation`) and is
complete for every ratio map, and learns a correction to it. Each 4x4 cell of pixels becomes one
position. The details and the reads enter sorted by level, so that a filter knows how long each
pixel of its cell was exposed, and a gain that depends on the cell's levels alone lets one network
serve many ratio maps. The rest is plain 3x3 convolutions with ReLU, which processors run fastest;
a coarser grid of 2x2 cells adds a wider view. At the end the video is moved towards the
measurements again, by a learned share for each level.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.networks.interpolation import by_plane, consistent, exactly, interpolated
from focalloop.models.networks.sensing import MAX_READS, brightness, divisors, spread

CELL = 4
"""Height and width in pixels of one position of the network."""

_LAST_CELL = (0, CELL - 1, 0, CELL - 1)
"""Padding that completes a partial last cell; of a whole one, the stride skips the padding."""


@dataclass(frozen=True)
class EdgeSettings:
    """Size of an `EdgeNetwork`.

    Attributes
    ----------
    slots : int
        Frames per window, T.
    width : int
        Channels of the residual blocks.
    context : int
        Channels that describe the levels of a cell.
    blocks : int
        Number of residual blocks on the cells.
    aperture : bool
        Whether measurements are taken through a coded aperture; the network then has it as a third
        input.
    profile : {'edge'}
        Distinguishes these settings from those of another profile in a file.
    """

    slots: int = 16
    width: int = 96
    context: int = 64
    blocks: int = 2
    aperture: bool = False
    profile: Literal["edge"] = field(default="edge", init=False)


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))``; the second convolution starts at zero."""

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


class EdgeNetwork(nn.Module):
    """Reads and levels in, video out, any height and width.

    This module is the deployed graph, which includes initial reconstruction and padding. From a
    coded aperture it computes only how long each measurement was open. The pattern inside a span is
    learned, so the aperture must repeat every `CELL` pixels.
    """

    outer = ("squeeze", "head")
    """First and last layer, which the optimiser treats separately."""

    def __init__(self, settings: EdgeSettings | None = None) -> None:
        super().__init__()
        settings = settings or EdgeSettings()
        self.settings = settings
        levels = divisors(settings.slots, MAX_READS)
        width = settings.width
        self.squeeze = nn.Conv2d(2 * sum(levels) + len(levels), width, CELL, stride=CELL)
        self.context = nn.Conv2d(len(levels), settings.context, CELL, stride=CELL)
        self.gain = _zeroed(nn.Conv2d(settings.context, width, 1))
        self.down = nn.Conv2d(width, width, 2, stride=2)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(settings.blocks)))
        self.head = _zeroed(nn.Conv2d(width, settings.slots * CELL**2, 1))
        # Reads of short spans are noisy. `octaves` is the share of each octave's details that is
        # kept at first; `first_trust` and `trust` are how far the video is moved towards the reads
        # of each level, at first and at the end.
        self.octaves = nn.Parameter(torch.tensor([1.0, 1.0, 0.8, 0.5]))
        self.first_trust = nn.Parameter(torch.tensor([0.95, 0.8, 0.5, 0.2]))
        self.trust = nn.Parameter(torch.tensor([0.9, 0.8, 0.5, 0.2]))

    def forward(self, reads: Tensor, levels: Tensor, aperture: Tensor | None = None) -> Tensor:
        """Reconstruct windows.

        Parameters
        ----------
        reads : Tensor of float32, shape (N, K, H, W)
            Signal e in units of full scale; plane k holds each pixel's k-th measurement, zero where
            the pixel takes fewer.
        levels : Tensor of uint8, shape (N, H, W)
            Measurements of each pixel per window.
        aperture : Tensor or None, shape (N, T, H, W), optional
            Coded aperture, 1 where a pixel is open, for a network made for one.

        Returns
        -------
        Tensor of float32, shape (N, T, H, W)
            The video; 1.0 is white, and values are not clipped.
        """
        slots = self.settings.slots
        planes = brightness(reads, levels, slots, aperture)
        taken = [levels == level for level in divisors(slots, MAX_READS)]
        return self.from_sorted(planes, torch.stack(taken, dim=1).to(reads.dtype), aperture)

    def from_sorted(self, planes: Tensor, masks: Tensor, aperture: Tensor | None = None) -> Tensor:
        """Reconstruct from reads that are sorted by level: the rest of `forward`.

        Gradients flow to both inputs, so that the choice of levels can be relaxed.

        Parameters
        ----------
        planes : Tensor of float32, shape (N, C, H, W)
            Reads as `brightness` sorts them.
        masks : Tensor of float32, shape (N, levels, H, W)
            For each level from 1 up, 1 where a pixel has it.
        aperture : Tensor or None, shape (N, T, H, W), optional
            As in `forward`.
        """
        first, cells = self.begun(planes, masks, aperture)
        around = self.up(functional.relu(self.down(functional.pad(cells, (0, 1, 0, 1)))))
        cells = self.blocks(cells + around[..., : cells.shape[-2], : cells.shape[-1]])
        height, width = masks.shape[-2:]
        residual = functional.pixel_shuffle(self.head(cells), CELL)[..., :height, :width]
        with exactly(planes.device.type):
            video = first + residual.to(first.dtype)
            return consistent(video, planes, masks, aperture, self.trust)

    def begun(
        self, planes: Tensor, masks: Tensor, aperture: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute what precedes the blocks, which is linear in `planes`; parameters as above.

        Returns
        -------
        tuple of Tensor
            The first video (N, T, H, W), and the features (N, width, h, w) of the cells.
        """
        with exactly(planes.device.type):
            details = interpolated(planes, masks, self.settings.slots)
            guess = spread(details * by_plane(self.octaves), self.settings.slots)
            first = consistent(guess, planes, masks, aperture, self.first_trust)
        # Zeros below and to the right: ONNX Runtime fuses this padding into the convolutions.
        context = functional.relu(self.context(functional.pad(masks, _LAST_CELL)))
        inputs = functional.pad(torch.cat([details, planes, masks], dim=1), _LAST_CELL)
        return first, self.squeeze(inputs) * (1 + self.gain(context))
