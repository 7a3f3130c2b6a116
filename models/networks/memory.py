"""What the last frame of the window before says of this one, for a network with memory.

Where nothing has moved since, the frame that was rebuilt last is a measurement of every slot. How
far it misses the reads tells where: a gate for each pixel mixes it in, and closes at first where
much is missed around it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from focalloop.models.networks.interpolation import by_plane, by_span

NOTHING = -1.0
"""Value of a pixel of which nothing is remembered."""

EVIDENCE_GAIN = 8.0
"""Scale of what the last frame misses the reads by, so that small differences count."""

FIRST_GATE = (-1.0, -10.0)
"""The gate begins as the sigmoid of a + b e, with the mean evidence e around a cell."""


FEW_READS = 0.01
"""Reads per pixel around a cell, below which there is little evidence."""


class Recalled(NamedTuple):
    """The last frame, compared with the reads.

    Attributes
    ----------
    frame, known : Tensor, shape (N, 1, H, W)
        The frame, and 1 where it is known.
    missed : Tensor, shape (N, C, H, W)
        What it misses in each read, times `EVIDENCE_GAIN`, in signal units.
    around : Tensor, shape (N, 1, h, w)
        The mean size of that over a cell and those around it.
    """

    frame: Tensor
    known: Tensor
    missed: Tensor
    around: Tensor


class Memory(nn.Module):
    """The layers of an `EdgeNetwork` that see the last frame; they begin without a say.

    Parameters
    ----------
    levels : int
        Number of levels from 1 up.
    width : int
        Channels of the cells.
    cell : int
        Height and width in pixels of a cell.
    """

    def __init__(self, levels: int, width: int, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.squeeze = nn.Conv2d(2**levels + 1, width, cell, stride=cell)
        self.gate = nn.Conv2d(width, cell**2, 1)
        self.closing = nn.Parameter(torch.tensor(FIRST_GATE[1]))
        # By how much less pixels of each level are moved towards their reads where the gate is
        # open: the last frame is less noisy than they are.
        self.calm = nn.Parameter(torch.zeros(levels))
        for parameter in (*self.squeeze.parameters(), self.gate.weight):
            nn.init.zeros_(parameter)
        assert self.gate.bias is not None
        nn.init.constant_(self.gate.bias, FIRST_GATE[0])

    def recall(self, last: Tensor, planes: Tensor, masks: Tensor) -> Recalled:
        """Compare the last frame (N, H, W) with what was measured."""
        frame = last.unsqueeze(1)
        known = (frame > NOTHING / 2).to(planes.dtype)
        taken = masks * known
        spans = 2.0 ** torch.arange(masks.shape[1], device=planes.device)
        # Planes are zero where nothing was taken.
        missed = (planes * known - by_span(taken * frame)) * (EVIDENCE_GAIN / by_plane(spans))
        reads = self._around(taken, spans)
        around = self._around(missed.abs(), torch.ones_like(planes[0, :, 0, 0])) / (
            reads + FEW_READS
        )
        return Recalled(frame, known, missed, around)

    def _around(self, x: Tensor, weights: Tensor) -> Tensor:
        """Sum the channels by their weights, and average that over each cell and its neighbours."""
        last = (0, self.cell - 1, 0, self.cell - 1)
        mean = (weights / self.cell**2).view(1, -1, 1, 1).expand(-1, -1, self.cell, self.cell)
        cells = functional.conv2d(functional.pad(x, last), mean, stride=self.cell)
        return functional.avg_pool2d(cells, 3, 1, 1)

    def features(self, recalled: Recalled, mean: Tensor) -> Tensor:
        """Return what is added to the features (N, width, h, w) of the cells.

        `mean` (N, 1, H, W) is the mean of the window by interpolation.
        """
        frame, known, missed, _ = recalled
        last = (0, self.cell - 1, 0, self.cell - 1)
        seen = torch.cat([(frame - mean) * known, known, missed], dim=1)
        features: Tensor = self.squeeze(functional.pad(seen, last))
        return features

    def open(self, cells: Tensor, recalled: Recalled) -> Tensor:
        """Return how far each pixel shows the last frame, (N, 1, H, W) from 0 to 1."""
        gate = (self.gate(cells) + self.closing * recalled.around).sigmoid()
        height, width = recalled.frame.shape[-2:]
        return functional.pixel_shuffle(gate, self.cell)[..., :height, :width] * recalled.known
