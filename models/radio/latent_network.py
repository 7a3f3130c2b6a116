"""What the codec knows of its latents: gains, side information, and a Gaussian for each value.

This is the PyTorch side of `focalloop.firmware_sim.radio.latents`, which has the same networks in
integers and states in what order latents are coded. Training takes the rate of the integers that
are really coded; where a gradient must pass the rounding, that of uniform noise in its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.radio.entropy import (
    ESCAPE_BITS,
    PRECISION,
    REACH,
    REACH_BEYOND,
    SCALES,
    scale_of,
)
from focalloop.firmware_sim.radio.latents import DEAD_ZONE, MAX_DEAD_ZONE

EVERYWHERE = 2
"""Parity of a step that codes its channels at all places."""

STEPS = (
    (0, 4, 0),
    (0, 4, 1),
    (4, 16, 0),
    (4, 16, 1),
    (16, 48, EVERYWHERE),
    (48, 96, EVERYWHERE),
    (96, 192, EVERYWHERE),
)
"""Steps of 192 channels: few and by halves first, as these are the largest and most alike."""

_MIXTURE = 3
"""Logistic distributions that make up the distribution of a channel of Z."""
_KNOTS = 7
"""Points between which gains and biases are linear in the quality."""
_MIN_SCALE, _MAX_SCALE = scale_of(0), scale_of(SCALES - 1)


@dataclass(frozen=True)
class LatentSettings:
    """Size of a `LatentNetwork`.

    Attributes
    ----------
    side : int
        Channels of Z.
    features : int
        Channels of what follows from Z, at each position of Y.
    width : int
        Channels inside the networks.
    steps : tuple of tuple of int
        In what order Y is coded: first channel, channel after the last, and parity of each step.
    fine_unit, coarse_unit : float
        At first, what one unit of the quantiser is at the highest and the lowest quality, in units
        of the transform's coefficients.
    """

    side: int = 32
    features: int = 64
    width: int = 96
    steps: tuple[tuple[int, int, int], ...] = STEPS
    fine_unit: float = 0.08
    coarse_unit: float = 0.6


class QualityBias(nn.Module):
    """Numbers that depend on the quality, linear between knots."""

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.knots = nn.Parameter(first.clone())

    def forward(self, quality: Tensor) -> Tensor:
        """Map qualities in [0, 1], shape (N,), to (N, channels)."""
        last = len(self.knots) - 1
        hats = 1 - (quality[:, None] * last - torch.arange(last + 1).to(quality)).abs()
        found: Tensor = functional.relu(hats) @ self.knots
        return found


class Predictor(nn.Module):
    """Convolution 3x3 with a bias that depends on the quality, then 1x1 convolutions."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1, bias=False)
        # Not zero, where a ReLU would let nothing learn as long as all of Z rounds to zero.
        self.bias = QualityBias(0.1 * torch.randn(widths[0]).expand(_KNOTS, -1))
        self.inner = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in pairwise(widths[:-1]))
        self.head = nn.Conv2d(widths[-2], widths[-1], 1)

    def forward(self, values: Tensor, quality: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to the outputs."""
        x: Tensor = self.stem(values) + self.bias(quality)[..., None, None]
        for layer in (*self.inner, self.head):
            x = layer(functional.relu(x))
        return x


class SideDistribution(nn.Module):
    """The factorised entropy model: a mixture of logistic distributions for each channel of Z."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        spread = torch.linspace(-1, 1, _MIXTURE).repeat(channels, 1)
        self.means = nn.Parameter(spread)
        self.log_scales = nn.Parameter(torch.zeros(channels, _MIXTURE))
        self.logits = nn.Parameter(torch.zeros(channels, _MIXTURE))

    def bits(self, side: Tensor) -> Tensor:
        """Return the bits of each value of Z, shape (N, channels, h, w)."""
        mean, scale, share = (
            p[:, None, None, :] for p in (self.means, self.log_scales.exp(), self.logits.softmax(1))
        )
        offset = (side[..., None] - mean).abs()
        # Both tails are far from 1 on this side of the mean, where their difference is exact.
        upper, lower = ((0.5 - offset) / scale).sigmoid(), ((-0.5 - offset) / scale).sigmoid()
        likelihood = (share * (upper - lower)).sum(-1)
        return -(likelihood + 2.0**-PRECISION).log2()


@dataclass(frozen=True, eq=False)
class CodedLatents:
    """Latents as the receiver has them.

    Attributes
    ----------
    latent : Tensor of float32, shape (N, C, h, w)
        Y, of about unit variance.
    bits_by_place : Tensor of float32, shape (N, h, w)
        What Y and Z take; a value of Z is shared by the places that it is for.
    """

    latent: Tensor
    bits_by_place: Tensor

    @property
    def bits(self) -> Tensor:
        """Bits of each window, shape (N,)."""
        return self.bits_by_place.sum((1, 2))


class LatentNetwork(nn.Module):
    """Gains, h_a and h_s of CRL Fig. 5, and the predictors of each step.

    Parameters
    ----------
    deviations : Tensor of float32, shape (C,)
        Standard deviation of each coefficient of the transform that the codec begins with; the
        latent is the coefficients divided by them.
    settings : LatentSettings
        Size.
    """

    def __init__(self, deviations: Tensor, settings: LatentSettings) -> None:
        super().__init__()
        self.settings, self.steps = settings, settings.steps
        channels, width, side = len(deviations), settings.width, settings.side
        coarse, fine = math.log2(settings.coarse_unit), math.log2(settings.fine_unit)
        units = torch.linspace(coarse, fine, _KNOTS)
        # Equal units for all coefficients minimise the error at a given rate.
        self.octaves = QualityBias(deviations.log2() - units[:, None])
        self.shrink = nn.Conv2d(2 * channels, width, 1)
        self.around = nn.Conv2d(width, width, 3, padding=1)
        self.down = nn.Conv2d(width, side, 2, stride=2)
        self.distribution = SideDistribution(side)
        self.hyper = Predictor(side, (width, 4 * settings.features))
        self.predictors = nn.ModuleList(
            Predictor(settings.features + last, (width, width, 2 * (last - first)))
            for first, last, _ in self.steps
        )
        for _, predictor in self.by_step():  # at first, Gaussians of the transform's deviations
            for parameter in predictor.head.parameters():
                nn.init.zeros_(parameter)

    def units(self, latent: Tensor, quality: Tensor) -> Tensor:
        """Scale Y to units of the quantiser."""
        gain: Tensor = self.octaves(quality).exp2()
        return latent * gain[..., None, None]

    def side(self, units: Tensor) -> Tensor:
        """Compute Z, shape (N, side, ceil(h/2), ceil(w/2)), from Y in units: h_a."""
        signed = units.asinh()
        x = functional.relu(self.shrink(torch.cat([signed, signed.abs()], dim=1)))
        x = functional.relu(self.around(x))
        # Zeros below and to the right complete a partial last pair; of a whole one, the stride
        # skips them.
        side: Tensor = self.down(functional.pad(x, (0, 1, 0, 1)))
        return side

    def forward(
        self, latent: Tensor, quality: Tensor, generator: torch.Generator | None = None
    ) -> CodedLatents:
        """Quantise latents, and count their bits.

        Parameters
        ----------
        latent : Tensor of float32, shape (N, C, h, w)
            Y, of about unit variance.
        quality : Tensor of float32, shape (N,)
            0 to 1.
        generator : Generator or None, optional
            Of the noise that stands for rounding in gradients; without it, there are none.
        """
        octaves = self.octaves(quality)[..., None, None]
        gain = octaves.exp2()
        units = latent * gain
        side = self.side(units)
        side_hat = _passing(side.round(), side)
        bits = _shared(self._side_bits(side, side_hat, generator), *units.shape[-2:])
        features = self.features(side_hat, quality, latent)
        known = torch.zeros_like(units)
        places = checkerboard(latent)
        for (first, last, parity), predictor in self.by_step():
            inputs = torch.cat([features, known[:, :last] / gain[:, :last]], dim=1)
            mean, wider = predictor(inputs, quality).chunk(2, dim=1)
            mean = mean * gain[:, first:last]
            scale = (octaves[:, first:last] + wider).exp2().clamp(_MIN_SCALE, _MAX_SCALE)
            residual = units[:, first:last] - mean
            symbols = quantised(residual, scale)
            each = table_bits(symbols.detach(), scale)
            if generator is not None:
                noisy = residual + _noise(residual, generator)
                noisy_bits = gaussian_bits(noisy, scale.detach())
                each = each + noisy_bits - noisy_bits.detach()
            received = mean + symbols
            if parity != EVERYWHERE:
                here = places == parity
                each, received = each * here, received * here
            known = functional.pad(received, (0, 0, 0, 0, first, known.shape[1] - last)) + known
            bits = bits + each.sum(1)
        return CodedLatents(known / gain, bits)

    def features(self, side_hat: Tensor, quality: Tensor, latent: Tensor) -> Tensor:
        """Compute what Z says of each position of Y, shape (N, features, h, w): h_s."""
        spread = functional.pixel_shuffle(self.hyper(side_hat, quality), 2)
        return functional.relu(spread[..., : latent.shape[-2], : latent.shape[-1]])

    def by_step(self) -> Iterator[tuple[tuple[int, int, int], Predictor]]:
        """Yield every step and what predicts it."""
        for step, predictor in zip(self.steps, self.predictors, strict=True):
            yield step, cast(Predictor, predictor)

    def _side_bits(
        self, side: Tensor, side_hat: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        bits = self.distribution.bits(side_hat.detach())
        if generator is not None:
            noisy = self.distribution.bits(side + _noise(side, generator))
            bits = bits + noisy - noisy.detach()
        return bits.sum(1)


def checkerboard(latent: Tensor) -> Tensor:
    """Return row plus column modulo 2 of each position, shape (h, w)."""
    rows, columns = (torch.arange(size, device=latent.device) for size in latent.shape[-2:])
    return (rows[:, None] + columns) % 2


def _shared(bits: Tensor, height: int, width: int) -> Tensor:
    """Share the bits of each 2x2 places, (N, ceil(h/2), ceil(w/2)), among those there are."""
    places = functional.pad(torch.ones(1, height, width), (0, width % 2, 0, height % 2))
    each = bits / (4 * functional.avg_pool2d(places, 2)).to(bits)
    return each.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :height, :width]


def gaussian_bits(values: Tensor, scale: Tensor) -> Tensor:
    """Return the bits of values under zero-mean Gaussians that are rounded to integers."""
    return -_log_probability(values, scale) / math.log(2)


def table_bits(values: Tensor, scale: Tensor) -> Tensor:
    """Return the bits of integers under tables of Gaussians: at most 24, and more of escapes."""
    least = torch.tensor(-PRECISION * math.log(2))
    bits = -torch.logaddexp(_log_probability(values, scale), least) / math.log(2)
    return bits + ESCAPE_BITS * (values.abs() > REACH * scale + REACH_BEYOND)


def _log_probability(values: Tensor, scale: Tensor) -> Tensor:
    size = values.abs()
    upper = torch.special.log_ndtr((0.5 - size) / scale)
    lower = torch.special.log_ndtr((-0.5 - size) / scale)
    found: Tensor = upper + torch.log1p(-(lower - upper).exp())
    return found


def quantised(residual: Tensor, scale: Tensor) -> Tensor:
    """Round with a dead zone; gradients pass as if nothing was rounded."""
    with torch.no_grad():
        zero, one = (table_bits(torch.full_like(scale, k), scale) for k in (0.0, 1.0))
        zone = (DEAD_ZONE * (one - zero)).clamp(0, MAX_DEAD_ZONE)
        rounded = residual.sign() * (residual.abs() + 0.5 - zone).floor().clamp_min(0)
    return _passing(rounded, residual)


def _passing(rounded: Tensor, value: Tensor) -> Tensor:
    """Return `rounded`, with the gradient of `value`."""
    return value + (rounded - value).detach()


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator).to(like) - 0.5
