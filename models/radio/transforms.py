"""The learned transforms between cells and latents that the radio networks share.

Each is a linear transform, at first the Karhunen-Loeve transform of whole blocks, plus a branch of
convolutions whose last layer is zero at first. Latents have about unit variance in every channel;
what is transmitted scales them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.networks.interpolation import exactly
from focalloop.models.radio.klt import BlockTransform

OUTER = ("linear", "stem", "head")
"""Layers at either end of a transform, which the optimiser treats separately."""

_CHANGE_RATE = 0.1
"""Learning rate of the linear transform relative to that of other weights."""
_CONTRAST = 4.0
"""Scales cells less their mean to about unit variance."""
_MAX_CHANGE = 4.0
"""Limit of what the branch of an `Analysis` adds, in standard deviations of the latent."""
_EMBEDDING = 32
"""Features of the condition."""


@dataclass(frozen=True)
class TransformSettings:
    """Size of an `Analysis` or a `Synthesis`.

    Attributes
    ----------
    channels : int
        Channels of the latent, C.
    widths, blocks : tuple of int
        Channels and residual blocks of the branch at a quarter, an eighth and a sixteenth of the
        array's height and width.
    """

    channels: int = 192
    widths: tuple[int, int, int] = (64, 128, 192)
    blocks: tuple[int, int, int] = (1, 2, 3)


class ConditionedBlock(nn.Module):
    """``x + conv(relu(g * conv(relu(x)) + b))``: g and b follow from the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = zeroed(nn.Conv2d(width, width, 3, padding=1))
        self.scales = zeroed(nn.Linear(_EMBEDDING, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (N, width, h, w) to the same shape."""
        gain, offset = self.scales(condition)[..., None, None].chunk(2, dim=1)
        inner = self.first(functional.relu(x)) * (1 + gain) + offset
        change: Tensor = self.second(functional.relu(inner))
        return x + change


class Blocks(nn.ModuleList):
    """Blocks in turn, all under the same condition."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__(ConditionedBlock(width) for _ in range(count))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (N, width, h, w) to the same shape."""
        for block in self:
            x = block(x, condition)
        return x


class Linear(nn.Module):
    """The fixed transform of blocks, with a change that is learned slowly.

    Parameters
    ----------
    rows : Tensor of float32, shape (K, C, n, n)
        Row of each coefficient.
    """

    rows: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows.clone())
        self.change: nn.Parameter | None = nn.Parameter(torch.zeros_like(rows))

    def weight(self) -> Tensor:
        """Return the rows as they are now."""
        if self.change is None:
            return self.rows
        size = self.rows.flatten(1).norm(dim=1)[:, None, None, None]
        rows: Tensor = self.rows + _CHANGE_RATE * size * self.change
        return rows

    def freeze(self) -> None:
        """Make the rows what they are now, and learn no more."""
        self.rows = self.weight().detach()
        self.change = None


class Analysis(nn.Module):
    """Cells to latent.

    Parameters
    ----------
    transform : BlockTransform
        What it begins as; at least as many coefficients as the latent has channels.
    settings : TransformSettings
        Size.
    conditions : int
        Numbers that describe how to transform each window, such as the quality of its channel.
    """

    mean: Tensor

    def __init__(
        self, transform: BlockTransform, settings: TransformSettings, conditions: int
    ) -> None:
        super().__init__()
        kept = transform.first(settings.channels)
        self.register_buffer("mean", kept.mean[:, None, None].clone())
        self.linear = Linear(kept.analysis / kept.variance.sqrt()[:, None, None, None])
        coarse, middle, fine = reversed(settings.widths)
        self.embedding = nn.Linear(conditions, _EMBEDDING)
        self.stem = nn.Conv2d(len(kept.mean), fine, 3, padding=1)
        self.fine = Blocks(fine, settings.blocks[0])
        self.to_middle = nn.Conv2d(fine, middle, 2, stride=2)
        self.middle = Blocks(middle, settings.blocks[1])
        self.to_coarse = nn.Conv2d(middle, coarse, 2, stride=2)
        self.coarse = Blocks(coarse, settings.blocks[2])
        self.head = zeroed(nn.Conv2d(coarse, settings.channels, 1))

    def forward(self, cells: Tensor, condition: Tensor) -> Tensor:
        """Transform windows.

        Parameters
        ----------
        cells : Tensor of float32, shape (N, C, h, w)
            Reads as brightness; h and w are multiples of four.
        condition : Tensor of float32, shape (N, conditions)
            Each about 0 to 1.

        Returns
        -------
        Tensor of float32, shape (N, channels, h/4, w/4)
            Of about unit variance, channels by falling importance.
        """
        centred = cells - self.mean
        with exactly(cells.device.type):
            latent = functional.conv2d(
                centred, self.linear.weight(), stride=self.linear.rows.shape[-1]
            )
        embedded = functional.relu(self.embedding(condition))
        x = self.fine(self.stem(centred * _CONTRAST), embedded)
        x = self.middle(self.to_middle(functional.relu(x)), embedded)
        x = self.coarse(self.to_coarse(functional.relu(x)), embedded)
        change: Tensor = self.head(functional.relu(x))
        # Bounded, because all that a window sends shares one power.
        return latent + _MAX_CHANGE * torch.tanh(change.to(latent.dtype) / _MAX_CHANGE)


class Synthesis(nn.Module):
    """Latent to cells.

    Parameters
    ----------
    transform, settings, conditions : BlockTransform or TransformSettings or int
        As in `Analysis`.
    extra : int, optional
        Channels of maps beside the latent that the branch sees too.
    """

    mean: Tensor

    def __init__(
        self,
        transform: BlockTransform,
        settings: TransformSettings,
        conditions: int,
        extra: int = 0,
    ) -> None:
        super().__init__()
        kept = transform.first(settings.channels)
        self.register_buffer("mean", kept.mean[:, None, None].clone())
        self.linear = Linear(kept.synthesis * kept.variance.sqrt()[:, None, None, None])
        coarse, middle, fine = reversed(settings.widths)
        self.embedding = nn.Linear(conditions, _EMBEDDING)
        self.stem = nn.Conv2d(settings.channels + extra, coarse, 3, padding=1)
        self.coarse = Blocks(coarse, settings.blocks[2])
        self.to_middle = nn.ConvTranspose2d(coarse, middle, 2, stride=2)
        self.middle = Blocks(middle, settings.blocks[1])
        self.to_fine = nn.ConvTranspose2d(middle, fine, 2, stride=2)
        self.beside = nn.Conv2d(len(kept.mean), fine, 3, padding=1)
        self.fine = Blocks(fine, settings.blocks[0])
        self.head = zeroed(nn.Conv2d(fine, len(kept.mean), 3, padding=1))

    def forward(self, latent: Tensor, condition: Tensor, extra: Tensor | None = None) -> Tensor:
        """Transform windows back.

        Parameters
        ----------
        latent : Tensor of float32, shape (N, channels, h, w)
            As `Analysis` returns it, or what is left of it.
        condition : Tensor of float32, shape (N, conditions)
            Each about 0 to 1.
        extra : Tensor of float32, shape (N, extra, h, w), optional
            Maps of about unit variance.

        Returns
        -------
        Tensor of float32, shape (N, C, 4h, 4w)
            Reads as brightness.
        """
        with exactly(latent.device.type):
            weight = self.linear.weight()
            centred = functional.conv_transpose2d(latent, weight, stride=weight.shape[-1])
        embedded = functional.relu(self.embedding(condition))
        x = latent if extra is None else torch.cat([latent, extra], dim=1)
        x = self.coarse(self.stem(x), embedded)
        x = self.middle(self.to_middle(functional.relu(x)), embedded)
        x = self.to_fine(functional.relu(x)) + self.beside(centred * _CONTRAST)
        change: Tensor = self.head(functional.relu(self.fine(x, embedded)))
        return centred + self.mean + change.to(centred.dtype) / _CONTRAST


def zeroed(layer: nn.Module) -> nn.Module:
    """Set the parameters of a layer to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
