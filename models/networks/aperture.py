"""The aperture network: reconstruction through any coded aperture, of any size, and without one.

A coded aperture says in which slots a measurement collected its light, for each pixel on its own,
so no filter over pixels can know it by heart as `focalloop.models.networks.edge` does. Here the
sensor itself is part of the network (deep unfolding, Gregor and LeCun 2010). The video begins as
the edge network rebuilds it, to which a measurement is the mean brightness of its span. Each of
several stages measures the video so far again, through the aperture, and turns what is missing in
the measurements into a correction of the video.

A stage begins as a step of gradient descent towards the most probable video, if videos are still
pictures plus motion that is smooth in space and time: what is missing goes back into the open
slots, is smoothed there on two grids, and the last step goes on with half its length. All of these
numbers are learned from there. A small network on cells of 2x2 pixels, and of 4x4 for a wider view,
adds what is not linear, and hands its features on to the next stage.

Everything after the first video happens in *cells*: the four pixels of a cell are four groups of
channels, so that the sensor is a grouped convolution of 1x1 and no step rearranges pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings, ResidualBlock
from focalloop.models.networks.interpolation import by_plane, by_span, exactly, span_means
from focalloop.models.networks.sensing import MAX_READS, brightness, divisors, spread

CELL = 2
"""Height and width in pixels of a cell."""
PIXELS = CELL**2
GAINS = (10.0, 20.0)
"""What a step multiplies the smoothed motion by, on cells of 2x2 and on those of 4x4."""
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
    coarse : int
        Residual blocks of the edge network on its coarser grid.
    aperture : bool
        Always true: the network has the aperture as its third input.
    profile : {'aperture'}
        Distinguishes these settings from those of another profile in a file.
    """

    slots: int = 16
    width: int = 48
    context: int = 64
    stages: int = 3
    coarse: int = 1
    aperture: bool = True
    profile: Literal["aperture"] = field(default="aperture", init=False)

    @property
    def edge(self) -> EdgeSettings:
        """Size of the edge network that the video begins with."""
        return EdgeSettings(self.slots, coarse=self.coarse)


class Sensor:
    """The sensor and its reads, in cells.

    Parameters
    ----------
    planes : Tensor, shape (N, C, H, W)
        Reads as `focalloop.models.networks.sensing.brightness` sorts them.
    masks : Tensor, shape (N, levels, H, W)
        For each level from 1 up, 1 where a pixel has it.
    opened : Tensor, shape (N, T, H, W)
        1 where a pixel is open.
    """

    def __init__(self, planes: Tensor, masks: Tensor, opened: Tensor) -> None:
        slots, levels = opened.shape[1], masks.shape[1]
        means = span_means(slots, levels).to(planes)
        share = functional.conv2d(opened, means[:, :, None, None]).clamp_min(1 / slots)
        more = slots - len(means)  # groups of as many channels as there are slots are fastest
        self._means = functional.pad(means, (0, 0, 0, more))
        self._spans = (self._means > 0).to(planes.dtype).T
        self._planes = cells(functional.pad(planes, (0, 0, 0, 0, 0, more)))
        self._less = -cells(functional.pad(by_span(masks) / share, (0, 0, 0, 0, 0, more)))
        self.masks, self.opened = cells(masks), cells(opened)

    def missing(self, video: Tensor) -> Tensor:
        """Return the brightness that a video (N, 4 T, h, w) misses in each span: the same shape."""
        return self._planes + _in_each_pixel(video * self.opened, self._means) * self._less

    def spread(self, missing: Tensor, share: Tensor | None = None) -> Tensor:
        """Repeat what is missing, times a share for each level, over the slots of its span."""
        if share is not None:
            shares = by_plane(share)
            none = self._spans.shape[1] - shares.shape[1]
            missing = missing * functional.pad(shares, (0, 0, 0, 0, 0, none)).repeat(
                1, PIXELS, 1, 1
            )
        return _in_each_pixel(missing, self._spans)


def _in_each_pixel(x: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the channels of each pixel of the cells (N, 4 C, h, w) by `matrix` (C, C)."""
    return functional.conv2d(x, matrix[:, :, None, None].repeat(PIXELS, 1, 1, 1), groups=PIXELS)


def cells(x: Tensor) -> Tensor:
    """Turn pixels (N, C, H, W) into cells (N, 4 C, h, w); zeros complete the last.

    A convolution, as ONNX Runtime is slow to transpose.
    """
    last = CELL - 1  # of a whole cell, the stride skips these zeros
    return functional.conv2d(functional.pad(x, (0, last, 0, last)), _places(x), stride=CELL)


def pixels(x: Tensor, height: int, width: int) -> Tensor:
    """Turn cells (N, 4 C, h, w) back into pixels (N, C, H, W)."""
    channels = x.shape[1] // PIXELS
    order = torch.arange(x.shape[1], device=x.device).view(PIXELS, channels).T.flatten()
    by_channel = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[order]
    whole = functional.pixel_shuffle(functional.conv2d(x, by_channel[:, :, None, None]), CELL)
    return whole[..., :height, :width]


def _places(x: Tensor) -> Tensor:
    """Kernel (4 C, C, 2, 2) that picks, one after the other, the pixels of a cell."""
    pixel = torch.eye(PIXELS).view(PIXELS, 1, 1, CELL, CELL)
    channels = torch.eye(x.shape[1])[:, :, None, None]
    return (pixel * channels).flatten(0, 1).to(x)


class Motion(nn.Module):
    """Smooths what is missing in open slots, on two grids and over time: (N, 4 T, h, w)."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        filters = [nn.Conv2d(slots, slots, 3, padding=1, bias=False) for _ in GAINS]
        binomial = torch.tensor([0.25, 0.5, 0.25])
        kernel = _motion_covariance(slots)[:, :, None, None] * binomial[:, None] * binomial
        with torch.no_grad():
            for smoothing in filters:
                smoothing.weight.copy_(kernel)
        self.filters = nn.ModuleList(filters)

    def forward(self, here: Tensor) -> Tensor:
        """Filter the means of cells, and of 2x2 cells, and interpolate between them."""
        _, channels, rows, columns = here.shape
        slots = channels // PIXELS
        every = torch.eye(slots, device=here.device).repeat(1, PIXELS)[:, :, None, None]
        near = functional.conv2d(here, every / PIXELS)
        far = functional.avg_pool2d(functional.pad(near, (0, 1, 0, 1)), 2)
        far = functional.interpolate(
            self.filters[1](far * GAINS[1]), scale_factor=2.0, mode="bilinear"
        )
        both = self.filters[0](near * GAINS[0]) + far[..., :rows, :columns]
        edges = functional.pad(both, (1, 1, 1, 1), mode="replicate")
        return functional.conv2d(edges, _interpolation(slots).to(edges))


def _interpolation(slots: int) -> Tensor:
    """Kernel (4 T, T, 3, 3) of the bilinear interpolation from means of cells to their pixels."""
    sides = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    pixel = torch.einsum("ik,jl->ijkl", sides, sides).flatten(0, 1)
    kernel = pixel[:, None, None] * torch.eye(slots)[:, :, None, None]
    return kernel.flatten(0, 1)


def _motion_covariance(slots: int) -> Tensor:
    """Covariance (T, T) of a pixel's differences from its mean, of largest eigenvalue 1."""
    slot = torch.arange(float(slots))
    centre = torch.eye(slots) - 1 / slots
    alike = torch.exp(-(slot[:, None] - slot).abs() / MEMORY)
    covariance: Tensor = centre @ alike @ centre
    covariance /= torch.linalg.matrix_norm(covariance, 2)
    return covariance


class Stage(nn.Module):
    """From what a video misses to a correction of it; all in cells."""

    def __init__(self, settings: ApertureSettings) -> None:
        super().__init__()
        slots, width, context = settings.slots, settings.width, settings.context
        levels = len(divisors(slots, MAX_READS))
        # Short spans say themselves what moved: the smoothing would tell it again and again.
        self.share = nn.Parameter(torch.tensor([1.0, 0.1, 0.06, 0.05]))
        self.still = nn.Parameter(torch.tensor(STILL_SHARE))
        self.momentum = nn.Parameter(torch.tensor(MOMENTUM))
        self.motion = Motion(slots)
        self.squeeze = nn.Conv2d(PIXELS * (4 * slots + levels), width, 1)
        self.first = ResidualBlock(width)
        self.down = nn.Conv2d(width, context, 2, stride=2)
        self.around = ResidualBlock(context)
        self.up = nn.ConvTranspose2d(context, width, 2, stride=2)
        self.second = ResidualBlock(width)
        self.head = nn.Conv2d(width, PIXELS * slots, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, video: Tensor, sensor: Sensor, last: Tensor, carried: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the correction (N, 4 T, h, w), and the features (N, width, h, w).

        Parameters
        ----------
        video, last : Tensor, shape (N, 4 T, h, w)
            The video, and the last correction.
        sensor : Sensor
            What was measured.
        carried : Tensor or None, shape (N, width, h, w)
            What the last stage hands on; None in the first.
        """
        with exactly(video.device.type):
            missing = sensor.missing(video)
            everywhere = sensor.spread(missing)
            here = sensor.spread(missing, self.share) * sensor.opened
            step = self.still * everywhere + self.momentum * last + self.motion(here)
        seen = torch.cat([video, everywhere, here, sensor.opened, sensor.masks], dim=1)
        squeezed = self.squeeze(seen)
        found = self._blocks(squeezed if carried is None else squeezed + carried)
        return step + self.head(found).to(step.dtype), found

    def _blocks(self, features: Tensor) -> Tensor:
        near = self.first(features)
        # Zeros complete a partial last 2x2 cells; of whole ones, the stride skips them.
        around = self.around(self.down(functional.pad(near, (0, 1, 0, 1))))
        wide = self.up(functional.relu(around))[..., : near.shape[-2], : near.shape[-1]]
        found: Tensor = self.second(near + wide)
        return found


class ApertureNetwork(nn.Module):
    """Reads, levels and aperture in, video out, any height and width.

    This module is the deployed graph, which includes initial reconstruction and padding.
    """

    outer = ("filters", *EdgeNetwork.outer)
    """Layers at both ends of the network, which the optimiser treats separately."""

    def __init__(self, settings: ApertureSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or ApertureSettings()
        self.edge = EdgeNetwork(self.settings.edge)
        self.stages = nn.ModuleList(Stage(self.settings) for _ in range(self.settings.stages))
        width = self.settings.width
        self.carries = nn.ModuleList(
            nn.Conv2d(width, width, 1, bias=False) for _ in self.stages[1:]
        )
        for carry in self.carries.parameters():
            nn.init.zeros_(carry)
        # How far the video is moved towards the reads of each level at the end: those of short
        # spans are noisy.
        self.trust = nn.Parameter(torch.tensor([0.9, 0.8, 0.5, 0.2]))

    def forward(self, reads: Tensor, levels: Tensor, aperture: Tensor) -> Tensor:
        """Reconstruct windows; as `focalloop.models.networks.edge.EdgeNetwork.forward`.

        `aperture` (N, T, H, W) is 1 where a pixel is open: everywhere without a coded aperture.
        """
        slots, (height, width) = self.settings.slots, reads.shape[-2:]
        with exactly(reads.device.type):
            planes = brightness(reads, levels, slots, aperture)
            taken = [levels == level for level in divisors(slots, MAX_READS)]
            opened = aperture.to(reads.dtype)
            # A pixel that never opens is like one that is not measured.
            masks = torch.stack(taken, dim=1).to(reads.dtype) * opened.amax(1, keepdim=True)
            known = _without_shut_spans(planes, masks, opened)
            sensor = Sensor(planes, masks, opened)
        begun = self.edge.from_sorted(known, masks)
        with exactly(reads.device.type):
            video = cells(begun)
        last, carried = torch.zeros_like(video), None
        for number, stage in enumerate(self.stages):
            last, features = stage(video, sensor, last, carried)
            if number < len(self.carries):
                carried = self.carries[number](features)
            video = video + last
        with exactly(reads.device.type):
            video = video + sensor.spread(sensor.missing(video), self.trust)
        return pixels(video, height, width)


def _without_shut_spans(planes: Tensor, masks: Tensor, opened: Tensor) -> Tensor:
    """Give spans without an open slot, which read nothing, the mean of their pixel's others."""
    slots = opened.shape[1]
    taken = by_span(masks)
    spans = spread(torch.eye(planes.shape[1]).to(planes)[:, :, None, None], slots)
    count = functional.conv2d(opened, spans) * taken
    mean = (planes * count).sum(1, keepdim=True) / count.sum(1, keepdim=True).clamp_min(1)
    return torch.where(count > 0, planes, mean * taken)
