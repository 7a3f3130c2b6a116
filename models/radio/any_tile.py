"""Reads of any tile in one shape, so that a link can be trained while its tile changes.

The link of a fixed tile has one channel for each read of a cell. Here each cell has the brightness
of its pixels in every eighth of the window, the finest that any level measures: its *spans*. Two
matrices, which follow from the tile, lead from reads to spans and back. The way there is the
initial video of `focalloop.models.networks.interpolation` for cells that are all alike: a span that
a pixel does not measure comes from its neighbours that do. The way back averages spans over each
exposure, and returns every read exactly. So a link that was trained for the reads of one tile
becomes one for spans (`lifted`) that does the same under that tile, and takes reads of others.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.noise import PRESETS, NoiseProfile
from focalloop.models.networks.interpolation import consistent, exactly, interpolated
from focalloop.models.networks.sensing import MAX_READS, brightness, divisors, spread
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.reads import CellReads
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.transforms import Linear

_AROUND = 5
"""Cells in a row of the array whose middle cell shows how reads spread."""

_REMEMBERED = 64
"""Tiles whose matrices a `JointSensing` keeps; a policy samples few tiles again and again."""

_LIFTED = {
    "analysis.mean": ("s", "pc,cij->pij"),
    "analysis.linear.rows": ("r", "cp,kcij->kpij"),
    "analysis.stem.weight": ("r", "cp,kcij->kpij"),
    "synthesis.mean": ("s", "pc,cij->pij"),
    "synthesis.linear.rows": ("s", "pc,kcij->kpij"),
    "synthesis.beside.weight": ("r", "cp,kcij->kpij"),
    "synthesis.head.weight": ("s", "pc,ckij->pkij"),
    "synthesis.head.bias": ("s", "pc,c->p"),
}
"""Layers next to the reads: whether they are combined with the matrix to reads or to spans, how."""


class SpanReads(CellReads):
    """Reads of arrays that a square tile covers, as spans; parameters as in `CellReads`.

    Attributes
    ----------
    side : int
        Height and width of a cell, pixels.
    count : int
        Spans of a cell, for every tile: ``8 * side^2``, in the order of ``pixel_unshuffle``.
    to_spans, to_reads : Tensor of float32, shape (count, reads) and (reads, count)
        The two matrices; ``to_reads @ to_spans`` is the identity.
    """

    to_spans: Tensor
    to_reads: Tensor

    def __init__(self, tile: NDArray[np.uint8], noise: NoiseProfile, slots: int = 16) -> None:
        super().__init__(tile, noise, slots)
        self.register_buffer("to_spans", self._spreading(), persistent=False)
        # What a read takes of each slot, added over the slots of a span.
        taken = self.exposure.view(self.count, MAX_READS, -1, self.side**2)
        self.register_buffer("to_reads", taken.sum(2).flatten(1), persistent=False)
        self.count = len(self.to_spans)

    def _spreading(self) -> Tensor:
        alike = torch.eye(self.count)[:, :, None, None].expand(-1, -1, _AROUND, _AROUND)
        levels = self.levels.repeat(self.count, _AROUND, _AROUND)
        planes = brightness(super().planes(alike), levels, self.slots)
        masks = torch.stack([levels == n for n in divisors(self.slots, MAX_READS)], dim=1).float()
        guess = spread(interpolated(planes, masks, self.slots), self.slots)
        video = consistent(guess, planes, masks)[:, :: self.slots // MAX_READS]
        middle = _AROUND // 2
        return functional.pixel_unshuffle(video, self.side)[..., middle, middle].T.contiguous()

    def measure(self, scene: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the noisy reads of `scene`, as spans; see `CellReads.measure`."""
        return _mapped(self.to_spans, super().measure(scene, generator))

    def gathered(self, reads: Tensor) -> Tensor:
        """Turn read-outs (N, K, H, W) in units of full scale into spans (N, count, h, w)."""
        return _mapped(self.to_spans, super().gathered(reads))

    def planes(self, cells: Tensor) -> Tensor:
        """Turn spans (N, count, h, w) into read-outs (N, K, H, W), zero where there is no read."""
        return super().planes(_mapped(self.to_reads, cells))


class JointSensing(Sensing):
    """A sensor whose tile can be changed, and a reconstruction that learns.

    Parameters
    ----------
    bundle : FrozenBundle
        The tile that it has at first, and the network.
    noise, device : str, optional
        As in `Sensing`.

    Attributes
    ----------
    network : EdgeNetwork
        The reconstruction; it is not folded, as that holds for one tile.
    """

    reads: SpanReads

    def __init__(
        self,
        bundle: FrozenBundle,
        noise: NoiseProfile = PRESETS["paper"],
        device: str = "cpu",
    ) -> None:
        self.bundle, self._noise, self._device = bundle, noise, device
        self.network: nn.Module = bundle.network.to(device).requires_grad_(True)
        self._known: dict[bytes, SpanReads] = {}
        self.take(bundle.ratio_map.tile)
        self.video = self._rebuilt

    def take(self, tile: NDArray[np.uint8]) -> None:
        """Sense under another tile from now on."""
        key = tile.tobytes()
        if key not in self._known:
            if len(self._known) == _REMEMBERED:
                self._known.clear()
            self._known[key] = SpanReads(tile, self._noise).to(self._device)
        self.reads = self._known[key]

    def _rebuilt(self, cells: Tensor) -> Tensor:
        levels = self.reads.levels.repeat(len(cells), *cells.shape[-2:])
        video: Tensor = self.network(self.reads.planes(cells), levels)
        return video


def _mapped(matrix: Tensor, cells: Tensor) -> Tensor:
    with exactly(cells.device.type):
        return functional.conv2d(cells.float(), matrix[:, :, None, None])


def lifted(link: nn.Module, reads: SpanReads) -> dict[str, Tensor]:
    """Turn the weights of a link for the reads of a tile into those of one for spans.

    Parameters
    ----------
    link : nn.Module
        A `SemCom` or a `CodecNetwork`; it learns no more.
    reads : SpanReads
        The tile.

    Returns
    -------
    dict of str to Tensor
        The weights by name. Only the layers next to the reads are others; under that tile they do
        the same.
    """
    for module in link.modules():
        if isinstance(module, Linear):
            module.freeze()
    matrices = {"r": reads.to_reads.cpu(), "s": reads.to_spans.cpu()}
    weights: dict[str, Tensor] = {}
    for name, value in link.state_dict().items():
        rule = next((rule for end, rule in _LIFTED.items() if name.endswith(end)), None)
        if rule is None:
            weights[name] = value
            continue
        which, equation = rule
        weights[name] = torch.einsum(equation, matrices[which], value)
        if name.endswith("linear.rows"):
            change = name.removesuffix("rows") + "change"
            weights[change] = torch.zeros_like(weights[name])
    return weights
