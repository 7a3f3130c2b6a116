"""The edge network: reconstruction in real time on two CPU cores.

It starts from a video that needs no training (`focalloop.models.networks.interpolation`) and is
complete for every ratio map, and learns a correction to it. Each 4x4 cell of pixels becomes one
position. The details and the reads enter sorted by level, so that a filter knows how long each
pixel of its cell was exposed, and a gain that depends on the cell's levels alone lets one network
serve many ratio maps. The rest is plain 3x3 convolutions with ReLU, which processors run fastest;
a coarser grid of 2x2 cells adds a wider view. At the end the video is moved towards the
measurements again, by a learned share for each level. A network that is told the noise adjusts
these shares and the gain to it; one with memory (`focalloop.models.networks.memory`) is given the
frame that was rebuilt last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.noise import PRESETS
from focalloop.models.networks.interpolation import (
    brightness_again,
    by_plane,
    by_span,
    details_again,
    exactly,
    interpolated,
)
from focalloop.models.networks.memory import Memory, Recalled
from focalloop.models.networks.sensing import MAX_READS, brightness, divisors, spread

CELL = 4
"""Height and width in pixels of one position of the network."""

_LAST_CELL = (0, CELL - 1, 0, CELL - 1)
"""Padding that completes a partial last cell; of a whole one, the stride skips the padding."""

USUAL_NOISE = (PRESETS["paper"].s_ss, PRESETS["paper"].s_r)
"""Shot and read noise s_ss and s_r of CRL section II, around which networks are told the noise."""

NOISE_SPAN = 5.0
"""Factor by which noise may differ from `USUAL_NOISE`, down and up; beyond, the limit is used."""

NOISE_RANGE = {
    name: [usual / NOISE_SPAN, usual * NOISE_SPAN]
    for name, usual in zip(("s_ss", "s_r"), USUAL_NOISE, strict=True)
}
"""The range that networks are told, as a bundle states it."""

_NOISE_FEATURES = 64

SHARES = ("octaves", "first_trust", "trust")
"""Parameters of `EdgeNetwork` that hold one value per level."""


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
    coarse : int
        Number of residual blocks on the coarser grid of 2x2 cells; older networks have none.
    aperture : bool
        Whether measurements are taken through a coded aperture; the network then has it as a third
        input.
    noise : bool
        Whether the network is told the noise of the reads; this is then another input.
    memory : bool
        Whether it is given the last frame of the window before; this is then another input.
    profile : {'edge'}
        Distinguishes these settings from those of another profile in a file.
    """

    slots: int = 16
    width: int = 96
    context: int = 64
    blocks: int = 2
    coarse: int = 0
    aperture: bool = False
    noise: bool = False
    memory: bool = False
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


AnyLayer = TypeVar("AnyLayer", bound=nn.Module)


def _zeroed(layer: AnyLayer) -> AnyLayer:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class _Told(NamedTuple):
    """What depends on the noise: constants, or a row for each window.

    Attributes
    ----------
    context, cells : Tensor or None
        Added to the context, and to the features of the cells; None for nothing.
    octaves, first_trust, trust : Tensor, shape (levels,) or (N, levels)
        As in `EdgeNetwork`.
    """

    context: Tensor | None
    cells: Tensor | None
    octaves: Tensor
    first_trust: Tensor
    trust: Tensor


class ToldNoise(nn.Module):
    """Small network from the noise of the reads to what depends on it; it starts at zero.

    Parameters
    ----------
    sizes : sequence of int
        Sizes of its outputs.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.layers = nn.Sequential(
            nn.Linear(2, _NOISE_FEATURES),
            nn.ReLU(),
            _zeroed(nn.Linear(_NOISE_FEATURES, sum(sizes))),
        )

    def forward(self, noise: Tensor) -> tuple[Tensor, ...]:
        """Map s_ss and s_r (N, 2), in signal units, to one (N, size) for each output."""
        usual = torch.tensor(USUAL_NOISE, device=noise.device)
        limited = torch.maximum(torch.minimum(noise, usual * NOISE_SPAN), usual / NOISE_SPAN)
        # -1 to 1 over the range.
        position = (limited / usual).log10() / math.log10(NOISE_SPAN)
        with exactly(noise.device.type):
            values: Tensor = self.layers(position)
        return torch.split(values, self.sizes, dim=1)


class EdgeNetwork(nn.Module):
    """Reads and levels in, video out, any height and width.

    This module is the deployed graph, which includes initial reconstruction and padding. From a
    coded aperture it computes only how long each measurement was open. The pattern inside a span is
    learned, so the aperture must repeat every `CELL` pixels.
    """

    outer = ("squeeze", "head", "gate")
    """First and last layers, which the optimiser treats separately."""

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
        self.coarse = nn.Sequential(*(ResidualBlock(width) for _ in range(settings.coarse)))
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(settings.blocks)))
        self.head = _zeroed(nn.Conv2d(width, settings.slots * CELL**2, 1))
        # Reads of short spans are noisy. `octaves` is the share of each octave's details that is
        # kept at first; `first_trust` and `trust` are how far the video is moved towards the reads
        # of each level, at first and at the end.
        self.octaves = nn.Parameter(torch.tensor([1.0, 1.0, 0.8, 0.5]))
        self.first_trust = nn.Parameter(torch.tensor([0.95, 0.8, 0.5, 0.2]))
        self.trust = nn.Parameter(torch.tensor([0.9, 0.8, 0.5, 0.2]))
        if settings.noise:
            self.told = ToldNoise([settings.context, width, *[len(levels)] * 3])
        if settings.memory:
            self.memory = Memory(len(levels), width, CELL)

    def forward(
        self,
        reads: Tensor,
        levels: Tensor,
        aperture: Tensor | None = None,
        noise: Tensor | None = None,
        last: Tensor | None = None,
    ) -> Tensor:
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
        noise : Tensor or None, shape (N, 2), optional
            Shot and read noise s_ss and s_r of the reads, in signal units, for a network that is
            told it; values beyond `NOISE_SPAN` times the usual ones count as that.
        last : Tensor or None, shape (N, H, W), optional
            Last frame of the window before, for a network with memory; a pixel of which nothing is
            known is `focalloop.models.networks.memory.NOTHING`.

        Returns
        -------
        Tensor of float32, shape (N, T, H, W)
            The video; 1.0 is white, and values are not clipped.
        """
        slots = self.settings.slots
        planes = brightness(reads, levels, slots, aperture)
        taken = [levels == level for level in divisors(slots, MAX_READS)]
        masks = torch.stack(taken, dim=1).to(reads.dtype)
        return self.from_sorted(planes, masks, aperture, noise, last)

    def from_sorted(
        self,
        planes: Tensor,
        masks: Tensor,
        aperture: Tensor | None = None,
        noise: Tensor | None = None,
        last: Tensor | None = None,
    ) -> Tensor:
        """Reconstruct from reads that are sorted by level: the rest of `forward`.

        Gradients flow to both inputs, so that the choice of levels can be relaxed.

        Parameters
        ----------
        planes : Tensor of float32, shape (N, C, H, W)
            Reads as `brightness` sorts them.
        masks : Tensor of float32, shape (N, levels, H, W)
            For each level from 1 up, 1 where a pixel has it.
        aperture, noise, last : Tensor or None, optional
            As in `forward`.
        """
        told = self._told(noise)
        details, cells = self.begun(planes, masks, told)
        recalled = self._recall(last, planes, masks)
        if recalled is not None:
            cells = cells + self.memory.features(recalled, details[:, :1])
        around = self.up(
            functional.relu(self.coarse(self.down(functional.pad(cells, (0, 1, 0, 1)))))
        )
        if told.cells is not None:
            around = around + told.cells[..., None, None]
        cells = self.blocks(cells + around[..., : cells.shape[-2], : cells.shape[-1]])
        height, width = masks.shape[-2:]
        residual = functional.pixel_shuffle(self.head(cells), CELL)[..., :height, :width]
        held = None if recalled is None else (recalled.frame, self.memory.open(cells, recalled))
        return self.ended(details, residual, planes, masks, aperture, told, held)

    def begun(
        self, planes: Tensor, masks: Tensor, told: _Told | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute what precedes the blocks, which is linear in `planes`.

        Returns
        -------
        tuple of Tensor
            The details (N, C, H, W) of all octaves, interpolated, and the features (N, width, h, w)
            of the cells.
        """
        told = told or self._told(None)
        with exactly(planes.device.type):
            details = interpolated(planes, masks, self.settings.slots)
        # Zeros below and to the right: ONNX Runtime fuses this padding into the convolutions.
        context = self.context(functional.pad(masks, _LAST_CELL))
        if told.context is not None:
            context = context + told.context[..., None, None]
        inputs = functional.pad(torch.cat([details, planes, masks], dim=1), _LAST_CELL)
        return details, self.squeeze(inputs) * (1 + self.gain(functional.relu(context)))

    def ended(
        self,
        details: Tensor,
        residual: Tensor,
        planes: Tensor,
        masks: Tensor,
        aperture: Tensor | None = None,
        told: _Told | None = None,
        held: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Add the correction of the blocks to the first video, linearly in `planes` and both.

        The sum of the details is moved towards the measurements by `first_trust`, and after
        `residual` (N, T, H, W) is added, again by `trust`. Both are done at once, in the planes of
        the reads, which are cheaper than the frames. With `held`, the last frame and how far each
        pixel shows it (N, 1, H, W), that replaces the details.
        """
        told = told or self._told(None)
        slots, levels = self.settings.slots, masks.shape[1]
        with exactly(planes.device.type):
            residual = residual.to(planes.dtype)
            shown = details * by_plane(told.octaves)
            if held is not None:
                frame, share = (part.to(planes.dtype) for part in held)
                shown = shown * (1 - share)
                shown = torch.cat([shown[:, :1] + share * frame, shown[:, 1:]], dim=1)
            if aperture is None:
                again = details_again(shown, levels, slots)
            else:
                again = brightness_again(spread(shown, slots), levels, aperture)
            both = told.first_trust + told.trust - told.first_trust * told.trust
            again = again * by_plane(both)
            again = again + brightness_again(residual, levels, aperture) * by_plane(told.trust)
            missing = planes * by_plane(both) - again * by_span(masks)
            if held is not None:
                missing = missing * by_span(1 - share * self.memory.calm[:, None, None])
            return residual + spread(shown + missing, slots)

    def _recall(self, last: Tensor | None, planes: Tensor, masks: Tensor) -> Recalled | None:
        if not self.settings.memory:
            return None
        if last is None:
            raise ValueError("this network has memory: give the last frame, or NOTHING everywhere")
        with exactly(planes.device.type):
            return self.memory.recall(last.to(planes.dtype), planes, masks)

    def _told(self, noise: Tensor | None) -> _Told:
        if not self.settings.noise:
            return _Told(None, None, self.octaves, self.first_trust, self.trust)
        if noise is None:
            raise ValueError("this network is told the noise: give s_ss and s_r for each window")
        context, cells, *shares = self.told(noise)
        mine = (getattr(self, name) for name in SHARES)
        return _Told(context, cells, *(own + part for own, part in zip(mine, shares, strict=True)))

    @torch.no_grad()
    def for_noise(self, s_ss: float, s_r: float) -> EdgeNetwork:
        """Return the network for this noise alone, which is not told any: the same function."""
        alone = EdgeNetwork(replace(self.settings, noise=False))
        weights = {k: v for k, v in self.state_dict().items() if not k.startswith("told.")}
        alone.load_state_dict(weights)
        told = self._told(torch.tensor([[s_ss, s_r]], device=self.octaves.device))
        for layer, shift in ((alone.context, told.context), (alone.up, told.cells)):
            assert layer.bias is not None
            assert shift is not None
            layer.bias += shift[0]
        for name in SHARES:
            getattr(alone, name).copy_(getattr(told, name)[0])
        return alone
