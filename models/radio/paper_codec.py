"""The published task-aware compression (CRL section 4, Fig. 5), at the paper's sizes.

Blocks and what CRL leaves open are those of `focalloop.models.radio.paper`; five halvings lead to
``6 * 2^5 = 192`` channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from focalloop.models.networks.interpolation import exactly
from focalloop.models.networks.paper import reflected
from focalloop.models.radio.latent_network import SideDistribution, gaussian_bits
from focalloop.models.radio.paper import (
    PaperDecoder,
    PaperEncoder,
    conv3x3,
    cropped_cells,
    down,
    padded_reads,
    up,
)
from focalloop.models.radio.reads import CellReads

CHANNELS = 192
"""Channels of Y and Z."""

_MIN_SCALE = 0.11
"""Lower limit of the scale of Y, where an integer is certain to a hundred thousandth."""


@dataclass(frozen=True)
class PaperCoded:
    """What a `PaperCodec` sends.

    Attributes
    ----------
    latent : Tensor of float32, shape (N, 192, H/32, W/32)
        Y as the receiver has it: integers plus the predicted means.
    bits : Tensor of float32, shape (N,)
        What Y and Z take, by their entropy models.
    """

    latent: Tensor
    bits: Tensor


class PaperCodec(nn.Module):
    """The four transforms and two entropy models of CRL Fig. 5.

    h_a and h_s keep 192 channels: an embedding, two (block, strided convolution) pairs and a
    mapping to Z, and their mirror image to mean and scale of Y.

    Parameters
    ----------
    reads : CellReads
        The tile that cells are of.
    """

    def __init__(self, reads: CellReads) -> None:
        super().__init__()
        width = CHANNELS
        self.reads = reads
        self.g_a = PaperEncoder(5, 0, width)
        self.g_s = PaperDecoder(5, 0, width)
        self.h_a = nn.Sequential(
            conv3x3(width, width),
            *down(width, width),
            *down(width, width),
            conv3x3(width, width),
        )
        self.h_s = nn.Sequential(
            conv3x3(width, width),
            *up(width, width),
            *up(width, width),
            conv3x3(width, 2 * width),
        )
        self.distribution = SideDistribution(width)

    def forward(
        self, cells: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, PaperCoded]:
        """Code windows and decode them again.

        Parameters
        ----------
        cells : Tensor of float32, shape (N, C, h, w)
            Reads as brightness.
        generator : Generator or None, optional
            Of the uniform noise that stands for rounding in gradients, on the CPU; without it,
            bits have no gradient by what is rounded.

        Returns
        -------
        tuple
            Cells as the receiver has them, and what was sent.
        """
        height, width = (side * self.reads.side for side in cells.shape[-2:])
        y = self.g_a(padded_reads(self.reads, cells, 1 << 5)).float()
        with exactly(y.device.type):  # what is rounded has no digits to spare
            z = self.h_a(reflected(reflected(y, 2, 4), 3, 4))
            z_hat = z.round() if generator is None else _noisy(z, generator)
            found = self.h_s(z_hat)[..., : y.shape[2], : y.shape[3]]
            mean, log_scale = found.chunk(2, dim=1)
            residual = y - mean
            bits = self._bits(z_hat, residual, log_scale.exp().clamp_min(_MIN_SCALE), generator)
        latent = _rounded(residual) + mean
        rebuilt = cropped_cells(self.reads, self.g_s(latent), (height, width))
        return rebuilt, PaperCoded(latent, bits)

    def _bits(
        self, z_hat: Tensor, residual: Tensor, scale: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Bits of the integers; gradients are those under uniform noise."""
        y_hat = residual.round() if generator is None else _noisy(residual, generator)
        y_bits, z_bits = gaussian_bits(y_hat, scale), self.distribution.bits(z_hat)
        return y_bits.flatten(1).sum(1) + z_bits.flatten(1).sum(1)


def _rounded(values: Tensor) -> Tensor:
    """Round; gradients pass as if nothing was rounded."""
    return values + (values.round() - values).detach()


def _noisy(values: Tensor, generator: torch.Generator) -> Tensor:
    return values + torch.rand(values.shape, generator=generator).to(values) - 0.5
