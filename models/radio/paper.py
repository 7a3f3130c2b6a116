"""The published semantic communication (CRL section 4, Fig. 6): SCE, RAN and SCD at their sizes.

They are made of the spectral-wise attention blocks of `focalloop.models.networks.paper`, beginning
with six channels at full resolution: ``6 * 2^3 = 48`` at an eighth. What CRL leaves open is settled
as in the reconstruction network: a head is as wide as the first layer, and upsampling is by
transposed 2x2 convolutions. One more block works at the width of the latent.

Both ends have the interface of `focalloop.models.radio.semcom`: cells in, cells out. Inside, reads
are H x W x 8, zero where a pixel has fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from focalloop.models.networks.paper import AttentionBlock, reflected
from focalloop.models.networks.sensing import MAX_READS
from focalloop.models.radio.reads import CellReads

WIDTH = 6
"""Channels at full resolution, and of a head of attention."""

LOCATION = 8
"""Side of a location of `PaperSemCom`, pixels."""

RATES = (12, 24, 36, 48)
"""Reals that a location sends for f = 1 to 4."""

LOW_COST_RATES = (6, 12, 18, 24)
"""The same at the low-cost setting."""


class PaperEncoder(nn.Module):
    """Embedding, (block, strided convolution) pairs that double the channels, and mapping.

    Parameters
    ----------
    halvings : int
        Pairs that halve height and width: 3 for SCE, 5 for g_a.
    pairs : int
        Pairs of a block and a 3x3 convolution after them.
    outputs : int
        Channels of the latent.
    """

    def __init__(self, halvings: int, pairs: int, outputs: int) -> None:
        super().__init__()
        widths = [WIDTH << k for k in range(halvings + 1)]
        self.embedding = conv3x3(MAX_READS, WIDTH)
        self.downs = nn.Sequential(*(m for w in widths[:-1] for m in down(w, 2 * w)))
        self.pairs = nn.Sequential(*(m for _ in range(pairs) for m in flat(widths[-1])))
        self.block = AttentionBlock(widths[-1], WIDTH)
        self.mapping = conv3x3(widths[-1], outputs)

    def forward(self, reads: Tensor) -> Tensor:
        """Map (N, 8, H, W), multiples of ``2^halvings``, to (N, outputs, h, w)."""
        x = self.pairs(self.downs(self.embedding(reads)))
        latent: Tensor = self.mapping(self.block(x))
        return latent


class PaperDecoder(nn.Module):
    """The mirror image of a `PaperEncoder`.

    Parameters
    ----------
    halvings, pairs : int
        Those of the encoder.
    inputs : int
        Channels of the latent, and of what is concatenated to it.
    """

    def __init__(self, halvings: int, pairs: int, inputs: int) -> None:
        super().__init__()
        widths = [WIDTH << k for k in range(halvings + 1)]
        self.embedding = conv3x3(inputs, widths[-1])
        self.block = AttentionBlock(widths[-1], WIDTH)
        self.pairs = nn.Sequential(*(m for _ in range(pairs) for m in flat(widths[-1])[::-1]))
        self.ups = nn.Sequential(*(m for w in widths[-2::-1] for m in up(2 * w, w)))
        self.mapping = conv3x3(WIDTH, MAX_READS)

    def forward(self, latent: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, 8, H, W)."""
        x = self.pairs(self.block(self.embedding(latent)))
        reads: Tensor = self.mapping(self.ups(x))
        return reads


class PaperAllocation(nn.Module):
    """RAN: the logits of f at every location, from X.

    Parameters
    ----------
    rates : tuple of int
        Reals that a location sends at each rate.
    """

    def __init__(self, rates: tuple[int, ...]) -> None:
        super().__init__()
        width = rates[-1]
        self.pairs = nn.Sequential(*flat(width), *flat(width))
        self.mapping = conv3x3(width, len(rates))

    def forward(self, x: Tensor, _: Tensor | None = None) -> Tensor:
        """Map (N, reals, h, w) to logits (N, rates, h, w); the channel is always the same."""
        logits: Tensor = self.mapping(self.pairs(x))
        return logits.float()


@dataclass(frozen=True)
class PaperSemComSettings:
    """Size of a `PaperSemCom`.

    Attributes
    ----------
    rates : tuple of int
        Reals that a location sends at each rate: `RATES` or `LOW_COST_RATES`.
    """

    rates: tuple[int, ...] = RATES


class PaperSemCom(nn.Module):
    """SCE, RAN and SCD of CRL Fig. 6, with the interface of `focalloop.models.radio.semcom.SemCom`.

    Parameters
    ----------
    reads : CellReads
        The tile that cells are of.
    settings : PaperSemComSettings or None, optional
        Size.
    """

    def __init__(self, reads: CellReads, settings: PaperSemComSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or PaperSemComSettings()
        self.encoder = PaperSemanticEncoder(reads, self.settings.rates)
        self.decoder = PaperSemanticDecoder(reads, self.settings.rates)
        self.allocation = PaperAllocation(self.settings.rates)


class PaperSemanticEncoder(nn.Module):
    """SCE: cells to the reals X, which do not depend on the channel."""

    def __init__(self, reads: CellReads, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.reads = reads
        self.network = PaperEncoder(3, 2, rates[-1])

    def forward(self, cells: Tensor, _: Tensor | None = None) -> Tensor:
        """Map cells (N, C, h, w) to X (N, reals, H/8, W/8), rounded up by reflection."""
        x: Tensor = self.network(padded_reads(self.reads, cells, LOCATION))
        return x


class PaperSemanticDecoder(nn.Module):
    """SCD: received reals and F to cells."""

    table: Tensor

    def __init__(self, reads: CellReads, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.reads = reads
        self.register_buffer("table", torch.tensor(rates), persistent=False)
        self.network = PaperDecoder(3, 2, rates[-1] + 1)

    def forward(
        self, received: Tensor, _: Tensor, rate_map: Tensor, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Decode.

        Parameters
        ----------
        received : Tensor of float32, shape (N, reals, h, w)
            Zeros where nothing was sent.
        rate_map : Tensor of int, shape (N, h, w)
            F as an index, 0 to 3.
        size : tuple of int or None, optional
            Height and width in pixels, where these are no whole locations.

        Returns
        -------
        Tensor of float32, shape (N, C, H/side, W/side)
            Reads as brightness.
        """
        share = self.table[rate_map.long()][:, None] / self.table[-1]
        reads = self.network(torch.cat([received, share.to(received)], dim=1))
        return cropped_cells(self.reads, reads, size)


def padded_reads(reads: CellReads, cells: Tensor, multiple: int) -> Tensor:
    """Return cells as read-outs (N, 8, H, W), reflected to a multiple of `multiple` pixels."""
    planes = reads.planes(cells)
    return reflected(reflected(planes, 2, multiple), 3, multiple)


def cropped_cells(reads: CellReads, planes: Tensor, size: tuple[int, int] | None) -> Tensor:
    """Gather the cells of read-outs (N, 8, H, W), without what is beyond `size`."""
    if size is not None:
        planes = planes[..., : size[0], : size[1]]
    return reads.gathered(planes)


def down(entering: int, leaving: int) -> tuple[nn.Module, nn.Module]:
    """Return a block and a convolution that halves height and width."""
    halving = nn.Conv2d(entering, leaving, 4, stride=2, padding=1, bias=False)
    return AttentionBlock(entering, WIDTH), halving


def up(entering: int, leaving: int) -> tuple[nn.Module, nn.Module]:
    """Return the mirror image of `down`."""
    return nn.ConvTranspose2d(entering, leaving, 2, stride=2), AttentionBlock(leaving, WIDTH)


def flat(width: int) -> tuple[nn.Module, nn.Module]:
    """Return a block and a convolution that keeps height and width."""
    return AttentionBlock(width, WIDTH), conv3x3(width, width)


def conv3x3(entering: int, leaving: int) -> nn.Conv2d:
    """Return a 3x3 convolution without bias."""
    return nn.Conv2d(entering, leaving, 3, padding=1, bias=False)
