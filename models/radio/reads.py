"""Sensing under one tile in PyTorch, as the radio networks see it: reads gathered by cell.

A *cell* is one repetition of the tile. All the reads of a cell, in units of brightness, are the
channels of one position, so that every channel has one exposure, one place in the cell and one
noise level. Scenes become cells by one matrix, which is why training never touches the reads in
their planes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.errors import TrainError
from focalloop.models.networks.interpolation import exactly
from focalloop.models.networks.sensing import MAX_READS, clean_reads


class CellReads(nn.Module):
    """Reads of arrays that a square tile of levels covers.

    Parameters
    ----------
    tile : ndarray of uint8, shape (s, s)
        Measurements of each pixel per window.
    noise : NoiseProfile
        Shot and read noise of each measurement.
    slots : int, optional
        Frames per window, T.

    Attributes
    ----------
    side : int
        Height and width of a cell, pixels.
    count : int
        Reads of a cell, C; their order is that of the planes, and within one that of the pixels.

    Raises
    ------
    TrainError
        If the tile is not square, or measures nothing.
    """

    levels: Tensor
    gain: Tensor
    one_each: Tensor
    exposure: Tensor

    def __init__(self, tile: NDArray[np.uint8], noise: NoiseProfile, slots: int = 16) -> None:
        super().__init__()
        if tile.ndim != 2 or tile.shape[0] != tile.shape[1] or not tile.any():
            raise TrainError(
                f"a radio network needs a map with a square tile, not one of {tile.shape}"
            )
        self.side, self.slots = len(tile), slots
        self.s_ss, self.s_r = noise.s_ss, noise.s_r
        levels = torch.from_numpy(tile.astype(np.int64))
        order = torch.arange(MAX_READS)[:, None, None]
        taken = (order < levels).flatten().nonzero()[:, 0]
        self.count = len(taken)
        gain = levels.expand(MAX_READS, -1, -1).flatten()[taken].float()
        # Impulses, one for every slot and pixel of a cell, show what each read covers.
        impulses = torch.eye(slots * self.side**2).view(-1, slots, self.side, self.side)
        reads = clean_reads(impulses, levels[None])
        exposure = reads.flatten(1)[:, taken].T * gain[:, None]
        self.register_buffer("levels", levels[None], persistent=False)
        self.register_buffer("gain", gain[:, None, None], persistent=False)
        # One read each. Convolutions with them move reads exactly; ONNX Runtime takes longer to
        # permute axes.
        one_each = torch.eye(MAX_READS * self.side**2)[taken]
        one_each = one_each.view(-1, MAX_READS, self.side, self.side)
        self.register_buffer("one_each", one_each, persistent=False)
        self.register_buffer("exposure", exposure[:, :, None, None], persistent=False)

    def measure(self, scene: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the noisy reads of `scene`, as `add_noise(clean_reads(...))` in distribution.

        Parameters
        ----------
        scene : Tensor of float32, shape (N, T, H, W)
            Radiance in [0, 1]; H and W are multiples of `side`.
        generator : Generator or None, optional
            Of the noise, on the CPU; without it, reads are clean.

        Returns
        -------
        Tensor of float32, shape (N, C, H/side, W/side)
            Mean brightness over each read's exposure.
        """
        cells = functional.conv2d(functional.pixel_unshuffle(scene, self.side), self.exposure)
        if generator is None:
            return cells
        # A read e = brightness / level has the variance e * s_ss^2 + s_r^2 (CRL section II-A).
        variance = self.gain * (cells.clamp_min(0) * self.s_ss**2 + self.gain * self.s_r**2)
        return cells + variance.sqrt() * torch.randn(cells.shape, generator=generator).to(cells)

    def gathered(self, reads: Tensor) -> Tensor:
        """Gather read-outs (N, K, H, W) in units of full scale into cells (N, C, h, w)."""
        with exactly(reads.device.type):
            weight = self.one_each * self.gain[:, None]
            return functional.conv2d(reads.float(), weight, stride=self.side)

    def planes(self, cells: Tensor) -> Tensor:
        """Return cells (N, C, h, w) to read-outs (N, K, H, W), zero where a pixel has no read."""
        with exactly(cells.device.type):
            weight = self.one_each / self.gain[:, None]
            return functional.conv_transpose2d(cells.float(), weight, stride=self.side)
