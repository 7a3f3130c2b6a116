"""The aperture network: reconstruction through any coded aperture, of any size, and without one.

A coded aperture says in which slots a measurement collected its light, for each pixel on its own,
so no filter over pixels can know it by heart as `focalloop.models.networks.edge` does. Here the
sensor itself is part of the network (deep unfolding, Gregor and LeCun 2010): each stage measures
the video so far again, through the aperture, and turns what is missing in the measurements into a
correction of the video.

A stage begins as a step of gradient descent towards the most probable video, if videos are still
pictures plus motion that is smooth in space and time: what is missing goes back into the open
slots, is smoothed there on two grids, and the last step goes on with half its length. All of these
numbers are learned from there. A small network on cells of 2x2 pixels, and of 4x4 for a wider view,
adds what is not linear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.networks.edge import ResidualBlock
from focalloop.models.networks.interpolation import (
    brightness_again,
    by_plane,
    by_span,
    consistent,
    exactly,
    interpolated,
)
from focalloop.models.networks.sensing import MAX_READS, brightness, divisors, spread

GRIDS = (2, 4)
"""Sides in pixels of the cells of both grids on which motion is smoothed."""
GAINS = (10.0, 20.0)
"""What a step multiplies the smoothed motion by, on each grid."""
MEMORY = 3.0
"""Slots over which motion is alike: its correlation falls to 1/e."""
MOMENTUM = 0.5
"""Share of the last correction that is made again."""
STILL_SHARE = 0.2
"""Share of what is missing that is added to all slots of a span alike."""


@dataclass(frozen=True)
class ApertureSettings:
    """Size of an `ApertureNetwork`.

    Attributes
    ----------
    slots : int
        Frames per window, T.
    width : int
        Channels on the cells of 2x2 pixels.
    context : int
        Channels on the cells of 4x4 pixels.
    stages : int
        Number of stages.
    aperture : bool
        Always true: the network has the aperture as its third input.
    profile : {'aperture'}
        Distinguishes these settings from those of another profile in a file.
    """

    slots: int = 16
    width: int = 48
    context: int = 64
    stages: int = 3
    aperture: bool = True
    profile: Literal["aperture"] = field(default="aperture", init=False)


class Motion(nn.Module):
    """Smooths what is missing in open slots, on a grid of cells and over time: (N, T, H, W)."""

    def __init__(self, slots: int, cell: int, gain: float) -> None:
        super().__init__()
        self.cell, self.gain = cell, gain
        self.filter = nn.Conv2d(slots, slots, 3, padding=1, bias=False)
        binomial = torch.tensor([0.25, 0.5, 0.25])
        near = binomial[:, None] * binomial
        with torch.no_grad():
            self.filter.weight.copy_(_motion_covariance(slots)[:, :, None, None] * near)

    def forward(self, here: Tensor) -> Tensor:
        """Filter; a partial last cell is completed by zeros."""
        height, width = here.shape[-2:]
        last = self.cell - 1
        cells = functional.avg_pool2d(functional.pad(here, (0, last, 0, last)), self.cell)
        smooth = functional.interpolate(
            self.filter(cells * self.gain),
            scale_factor=float(self.cell),
            mode="bilinear",
            align_corners=False,
        )
        video: Tensor = smooth[..., :height, :width]
        return video


def _motion_covariance(slots: int) -> Tensor:
    """Covariance (T, T) of a pixel's differences from its mean, of largest eigenvalue 1."""
    slot = torch.arange(float(slots))
    centre = torch.eye(slots) - 1 / slots
    alike = torch.exp(-(slot[:, None] - slot).abs() / MEMORY)
    covariance: Tensor = centre @ alike @ centre
    covariance /= torch.linalg.matrix_norm(covariance, 2)
    return covariance


class Stage(nn.Module):
    """From what a video misses to a correction of it."""

    def __init__(self, settings: ApertureSettings) -> None:
        super().__init__()
        slots, width, context = settings.slots, settings.width, settings.context
        levels = len(divisors(slots, MAX_READS))
        # Short spans say themselves what moved: the smoothing would tell it again and again.
        self.share = nn.Parameter(torch.tensor([1.0, 0.1, 0.06, 0.05]))
        self.still = nn.Parameter(torch.tensor(STILL_SHARE))
        self.momentum = nn.Parameter(torch.tensor(MOMENTUM))
        self.motion = nn.ModuleList(
            Motion(slots, cell, gain) for cell, gain in zip(GRIDS, GAINS, strict=True)
        )
        self.squeeze = nn.Conv2d(4 * slots + levels, width, 2, stride=2)
        self.first = ResidualBlock(width)
        self.down = nn.Conv2d(width, context, 2, stride=2)
        self.around = ResidualBlock(context)
        self.up = nn.ConvTranspose2d(context, width, 2, stride=2)
        self.second = ResidualBlock(width)
        self.head = nn.Conv2d(width, 4 * slots, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, video: Tensor, missing: Tensor, opened: Tensor, masks: Tensor, last: Tensor
    ) -> Tensor:
        """Return the correction (N, T, H, W).

        Parameters
        ----------
        video, last : Tensor, shape (N, T, H, W)
            The video, and the last correction.
        missing : Tensor, shape (N, C, H, W)
            The brightness that it misses in each span.
        opened : Tensor, shape (N, T, H, W)
            1 where a pixel is open.
        masks : Tensor, shape (N, levels, H, W)
            For each level from 1 up, 1 where a pixel has it.
        """
        slots = video.shape[1]
        with exactly(video.device.type):
            everywhere = spread(missing, slots)
            here = spread(missing * by_plane(self.share), slots) * opened
            step = self.still * everywhere + self.momentum * last
            for motion in self.motion:
                step = step + motion(here)
        inputs = torch.cat([video, everywhere, here, opened, masks], dim=1)
        return step + self.learned(inputs).to(step.dtype)

    def learned(self, inputs: Tensor) -> Tensor:
        """Compute what is not linear from features (N, C, H, W)."""
        height, width = inputs.shape[-2:]
        # Zeros complete a partial last cell; of a whole one, the stride skips them.
        cells = self.first(self.squeeze(functional.pad(inputs, (0, 1, 0, 1))))
        around = self.around(self.down(functional.pad(cells, (0, 1, 0, 1))))
        wide = self.up(functional.relu(around))[..., : cells.shape[-2], : cells.shape[-1]]
        cells = self.second(cells + wide)
        return functional.pixel_shuffle(self.head(cells), 2)[..., :height, :width]


class ApertureNetwork(nn.Module):
    """Reads, levels and aperture in, video out, any height and width.

    This module is the deployed graph, which includes initial reconstruction and padding.
    """

    outer = ("filter", "squeeze", "head")
    """Layers at both ends of the network, which the optimiser treats separately."""

    def __init__(self, settings: ApertureSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ApertureSettings()
        self.stages = nn.ModuleList(Stage(self.settings) for _ in range(self.settings.stages))
        # How far the video is moved towards the reads of each level at the end: those of short
        # spans are noisy.
        self.trust = nn.Parameter(torch.tensor([0.9, 0.8, 0.5, 0.2]))

    def forward(self, reads: Tensor, levels: Tensor, aperture: Tensor) -> Tensor:
        """Reconstruct windows; as `focalloop.models.networks.edge.EdgeNetwork.forward`.

        `aperture` (N, T, H, W) is 1 where a pixel is open: everywhere without a coded aperture.
        """
        slots = self.settings.slots
        with exactly(reads.device.type):
            planes = brightness(reads, levels, slots, aperture)
            taken = [levels == level for level in divisors(slots, MAX_READS)]
            opened = aperture.to(reads.dtype)
            # A pixel that never opens is like one that is not measured.
            masks = torch.stack(taken, dim=1).to(reads.dtype) * opened.amax(1, keepdim=True)
            known = _without_shut_spans(planes, masks, opened)
            video = spread(interpolated(known, masks, slots), slots)
        last = torch.zeros_like(video)
        for stage in self.stages:
            with exactly(reads.device.type):
                again = brightness_again(video, masks.shape[1], opened)
                missing = planes - again * by_span(masks)
            last = stage(video, missing, opened, masks, last)
            video = video + last
        with exactly(reads.device.type):
            return consistent(video, planes, masks, opened, self.trust)


def _without_shut_spans(planes: Tensor, masks: Tensor, opened: Tensor) -> Tensor:
    """Give spans without an open slot, which read nothing, the mean of their pixel's others."""
    slots = opened.shape[1]
    taken = by_span(masks)
    spans = spread(torch.eye(planes.shape[1]).to(planes)[:, :, None, None], slots)
    count = functional.conv2d(opened, spans) * taken
    mean = (planes * count).sum(1, keepdim=True) / count.sum(1, keepdim=True).clamp_min(1)
    return torch.where(count > 0, planes, mean * taken)
