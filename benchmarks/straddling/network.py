"""The edge network for one tile of levels and phases, with or without memory.

The first video is the linear estimate of `benchmarks.straddling.linear_gaussian`, which knows where
every span begins and ends; the body is that of `EdgeNetwork`, and begins with its weights:

    s = G y,   r = f(s, y),   out = s + r - b G A r.

A measures the correction r again, in the slots of the window, and the learned number b says how far
the video is moved back towards the reads. A cell of the network is one tile, so that it knows level
and phase of every pixel by its place in the cell. With memory, f also sees the frame that was
rebuilt last, m in every slot, and by how far it misses the reads, y - A m, as if nothing had moved.
A gate g mixes it in, which closes at first where much is missed:

    out = s + g (held - s) + r - b G A r,   held = m + G (y - A m).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.straddling.linear_gaussian import MEAN, SLOTS, estimated, frames, window_reads
from benchmarks.straddling.tile_search import PERIOD, PhasedTile
from focalloop.models.networks.edge import CELL, EdgeNetwork, ResidualBlock
from focalloop.models.networks.interpolation import span_means
from focalloop.models.networks.sensing import MAX_READS, divisors

FIRST_GATE = (1.0, -10.0)
"""The gate begins as the sigmoid of a + b e, with the mean e of the evidence around a cell."""

EVIDENCE_GAIN = 8.0
"""Scale of what the last frame misses the reads by, so that small differences count."""

assert PERIOD == CELL, "a cell of the network is one tile"


class TileNetwork(nn.Module):
    """Reads under one tile in, video out; height and width are multiples of `CELL`.

    Parameters
    ----------
    tile : PhasedTile
        What is read.
    start : EdgeNetwork
        Weights to begin with.
    memory : bool, optional
        Whether it is given the frame that was rebuilt last.

    Raises
    ------
    ValueError
        If a tile with phases is to have memory: what the frame misses is known within a window.
    """

    outer = ("squeeze", "head", "gate")
    """First and last layers, which the optimiser treats separately."""

    linear: Tensor
    measured: Tensor
    channels: Tensor
    gains: Tensor

    def __init__(self, tile: PhasedTile, start: EdgeNetwork, *, memory: bool = False) -> None:
        super().__init__()
        if memory and tile.phases.any():
            raise ValueError("a network with memory needs a tile without phases")
        self.memory = memory
        self._know(tile)
        reads, width = len(self.channels), start.settings.width
        inputs = SLOTS * CELL**2 + reads + memory * (CELL**2 + 2 * reads)
        self.squeeze = nn.Conv2d(inputs, width, 1)
        self.down, self.up, self.coarse = start.down, start.up, start.coarse
        self.blocks, self.head = start.blocks, start.head
        if not len(self.coarse):
            self.coarse = nn.Sequential(ResidualBlock(width))
        self.share = nn.Parameter(torch.tensor(0.5))
        with torch.no_grad():
            self.squeeze.weight.zero_()
            weight, bias = _squeeze_of(start, tile)
            self.squeeze.weight[:, : SLOTS * CELL**2, 0, 0] = weight
            assert self.squeeze.bias is not None
            self.squeeze.bias.copy_(bias)
        if memory:
            self.gate = nn.Conv2d(width, SLOTS * CELL**2, 1)
            nn.init.zeros_(self.gate.weight)
            assert self.gate.bias is not None
            nn.init.constant_(self.gate.bias, FIRST_GATE[0])
            self.closing = nn.Parameter(torch.tensor(FIRST_GATE[1]))

    def _know(self, tile: PhasedTile) -> None:
        """Keep what follows from the tile alone."""
        around = window_reads(tile.levels, tile.phases, reach=CELL, late=tile.late)
        matrix = estimated(around, frames(CELL, CELL)).matrix
        own = window_reads(tile.levels, tile.phases, reach=0, late=tile.late)
        place = {one: read for read, one in enumerate(zip(own.y, own.x, own.end, strict=True))}
        kernel = np.zeros((len(matrix), len(own), 3, 3), np.float32)
        for column, (y, x, end) in enumerate(zip(around.y, around.x, around.end, strict=True)):
            read = place[y % CELL, x % CELL, end]
            kernel[:, read, 1 + y // CELL, 1 + x // CELL] = matrix[:, column]
        slot = np.arange(SLOTS)
        inside = (slot >= own.begin[:, None]) & (slot < own.end[:, None])
        measured = np.zeros((len(own), SLOTS, CELL, CELL), np.float32)
        measured[np.arange(len(own)), :, own.y, own.x] = inside / own.length[:, None]
        level, phase = tile.levels[own.y, own.x], tile.phases[own.y, own.x]
        order = (own.end - np.where(phase, phase, own.length)) // (SLOTS // level)
        self.register_buffer("linear", torch.from_numpy(kernel), persistent=False)
        self.register_buffer(
            "measured",
            torch.from_numpy(measured.reshape(len(own), -1, 1, 1)),
            persistent=False,
        )
        channels = order * CELL**2 + own.y * CELL + own.x
        self.register_buffer("channels", torch.from_numpy(channels), persistent=False)
        gains = (SLOTS / own.length).astype(np.float32)[:, None, None]
        self.register_buffer("gains", torch.from_numpy(gains), persistent=False)

    def forward(self, reads: Tensor, last: Tensor | None = None) -> Tensor:
        """Reconstruct one window.

        Parameters
        ----------
        reads : Tensor of float32, shape (N, K + 1, H, W)
            As `focalloop.models.networks.straddling.straddling_reads` gives them, with noise.
        last : Tensor or None, shape (N, H, W), optional
            The frame that was rebuilt last, for a network with memory; None for none.

        Returns
        -------
        Tensor of float32, shape (N, T, H, W)
            The video.
        """
        light = functional.pixel_unshuffle(reads, CELL)[:, self.channels] * self.gains - MEAN
        first = self._estimate(light)
        inputs = [first + MEAN, light]
        if self.memory:
            held, missed = first, torch.zeros_like(light)
            if last is not None:
                frame = functional.pixel_unshuffle(last[:, None], CELL) - MEAN
                held = frame.repeat(1, SLOTS, 1, 1)
                missed = light - self._measure(held)
            evidence = EVIDENCE_GAIN * missed
            inputs += [held[:, : CELL**2] - first[:, : CELL**2], evidence, evidence.abs()]
            held = held + self._estimate(missed)
        cells = self.squeeze(torch.cat(inputs, 1))
        around = self.up(
            functional.relu(self.coarse(self.down(functional.pad(cells, (0, 1, 0, 1)))))
        )
        cells = self.blocks(cells + around[..., : cells.shape[-2], : cells.shape[-1]])
        residual = self.head(cells).float()
        video = first + residual - self.share * self._estimate(self._measure(residual))
        if self.memory:
            around = functional.avg_pool2d(
                evidence.abs().mean(1, keepdim=True), 3, 1, 1, count_include_pad=False
            )
            gate = (self.gate(cells).float() + self.closing * around).sigmoid()
            video = video + gate * (held - first)
        return functional.pixel_shuffle(video + MEAN, CELL)

    def _estimate(self, light: Tensor) -> Tensor:
        """Estimate the frames of the cells from their reads and those of the cells around."""
        with torch.autocast(light.device.type, enabled=False):
            return functional.conv2d(
                functional.pad(light.float(), (1, 1, 1, 1), "replicate"), self.linear
            )

    def _measure(self, cells: Tensor) -> Tensor:
        """Measure frames again, in the slots of the window."""
        with torch.autocast(cells.device.type, enabled=False):
            return functional.conv2d(cells.float(), self.measured)


def _squeeze_of(start: EdgeNetwork, tile: PhasedTile) -> tuple[Tensor, Tensor]:
    """Return weights (width, T CELL^2) and bias of the first layer, for the frames of a video.

    The edge network sees details and reads of one map. Both are linear in the frames, if reads are
    taken from them again in the spans without phases, and what depends on the levels is constant.
    """
    settings = start.settings
    means = span_means(SLOTS, len(divisors(SLOTS, MAX_READS)))
    details = means.clone()
    levels = divisors(SLOTS, MAX_READS)
    for coarse, fine in pairwise(levels):
        part = slice(fine - 1, 2 * fine - 1)
        details[part] -= means[coarse - 1 : 2 * coarse - 1].repeat_interleave(fine // coarse, dim=0)
    masks = torch.stack([torch.from_numpy(tile.levels == level) for level in levels]).float()
    count = len(means)
    weight = start.squeeze.weight
    of_details = torch.einsum("ocyx,ct->otyx", weight[:, :count], details)
    by_span = masks.repeat_interleave(torch.tensor(levels), dim=0)
    of_reads = torch.einsum("ocyx,ct,cyx->otyx", weight[:, count : 2 * count], means, by_span)
    context = start.context(masks[None])
    gain = 1 + start.gain(functional.relu(context))[0]
    assert start.squeeze.bias is not None
    bias = start.squeeze.bias + (weight[:, 2 * count :] * masks).sum((1, 2, 3))
    assert settings.slots == SLOTS
    return ((of_details + of_reads).flatten(1) * gain[:, :, 0]), bias * gain[:, 0, 0]
