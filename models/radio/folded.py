"""The frozen reconstruction of a shipped bundle, folded for its tile: fast enough to train through.

Under one tile, everything that `EdgeNetwork` computes before its residual blocks is linear in the
reads, and so is what follows them. Probed with impulses, it becomes one 3x3 convolution on cells
before the blocks and one 1x1 convolution behind them. Inside an array the result is that of the
shipped graph; at its borders, where the graph knows that nothing is measured outside, the folded
form repeats the border cells instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models import zoo
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import CELL, SHARES, EdgeNetwork, EdgeSettings
from focalloop.models.networks.profiles import settings_from
from focalloop.models.networks.sensing import MAX_READS, brightness, divisors
from focalloop.models.radio.reads import CellReads

DEFAULT_SENSING = "edge-learned-2.5of16"
"""Bundle whose sensing and reconstruction the radio networks are trained for."""


class FrozenBundle:
    """Map, reconstruction and hashes of a bundle, which training leaves as they are.

    Parameters
    ----------
    name : str or Path, optional
        A shipped bundle's name, or its folder.

    Attributes
    ----------
    name : str
        As the manifest says.
    network_sha256 : str
        Of the reconstruction, as the manifest says.
    ratio_map : RatioMap
        The map of the sensor.
    network : EdgeNetwork
        The reconstruction in PyTorch, with the weights of its ONNX graph.

    Raises
    ------
    TrainError
        If it is no bundle with a tile and an edge network in float32.
    """

    def __init__(self, name: str | Path = DEFAULT_SENSING) -> None:
        folder = zoo.FOLDER / str(name) if str(name) in zoo.BUNDLES else Path(name)
        try:
            manifest: dict[str, Any] = json.loads((folder / "bundle.json").read_text("utf-8"))
            self.name = str(manifest["name"])
            self.network_sha256 = str(manifest["sha256"][manifest["network"]])
            self.ratio_map = RatioMap.load(folder / manifest["ratio_map"])
            settings = _edge_settings(manifest)
            model = onnx.load(folder / manifest["network"])
            self.network = _network_of(model, settings)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainError(
                f"{name} is not a bundle that radio networks can be trained for ({error}): give "
                "one of an edge network with float32 weights and a map of its own"
            ) from None


class FoldedReconstruction(nn.Module):
    """Cells in, video out, as the network of a bundle computes it under the bundle's tile.

    Parameters
    ----------
    network : EdgeNetwork
        The reconstruction.
    reads : CellReads
        The tile; its cells are those of the network.
    """

    def __init__(self, network: EdgeNetwork, reads: CellReads) -> None:
        super().__init__()
        settings = network.settings
        if reads.side != CELL or settings.aperture:
            raise TrainError(f"only tiles of {CELL}x{CELL} pixels without an aperture fold")
        self.settings = settings
        width, count = settings.width, reads.count
        # One impulse in the middle cell per read, then nothing at all, for the constants.
        impulses = torch.zeros(count + 1, count, 5, 5)
        impulses[range(count), range(count), 2, 2] = 1
        network = network.double().requires_grad_(False)
        levels = reads.levels.repeat(count + 1, 5, 5)
        planes = brightness(reads.planes(impulses).double(), levels, settings.slots)
        wanted = divisors(settings.slots, MAX_READS)
        masks = torch.stack([levels == level for level in wanted], dim=1).double()
        details, features = network.begun(planes, masks)
        none = planes.new_zeros(len(planes), settings.slots, *masks.shape[2:])
        video = network.ended(details, none, planes, masks)
        response = torch.cat([functional.pixel_unshuffle(video, CELL), features], dim=1)
        constant = response[-1, :, 2, 2]
        # A convolution correlates: what reaches the cell at the right comes from its left.
        kernel = (response[:-1] - response[-1:])[..., 1:4, 1:4].flip(-1, -2).transpose(0, 1)
        self.first = nn.Conv2d(count, settings.slots * CELL**2 + width, 3)
        self.first.weight = nn.Parameter(kernel.float().contiguous())
        self.first.bias = nn.Parameter(constant.float())
        head = network.head
        assert head.bias is not None
        columns = torch.cat([head.weight[..., 0, 0].T, head.bias[None]])[..., None, None]
        residual = functional.pixel_shuffle(columns.expand(-1, -1, 5, 5), CELL)
        nothing = torch.zeros_like(planes[:1])
        again = network.ended(nothing, residual, nothing, masks[:1])
        columns = functional.pixel_unshuffle(again, CELL)[:, :, 2, 2].float()
        self.head = nn.Conv2d(width, settings.slots * CELL**2, 1)
        self.head.weight = nn.Parameter(columns[:-1].T[..., None, None].contiguous())
        self.head.bias = nn.Parameter(columns[-1].clone())
        self.down, self.coarse, self.up = network.down, network.coarse, network.up
        self.blocks = network.blocks
        network.float()
        self.requires_grad_(False)

    def forward(self, cells: Tensor) -> Tensor:
        """Reconstruct.

        Parameters
        ----------
        cells : Tensor of float32, shape (N, C, h, w)
            Reads as brightness, by cell.

        Returns
        -------
        Tensor of float32, shape (N, T, 4h, 4w)
            The video; 1.0 is white, and values are not clipped.
        """
        inputs = functional.pad(cells, (1, 1, 1, 1), mode="replicate")
        video, features = self.first(inputs).split(
            [self.head.out_channels, self.head.in_channels], dim=1
        )
        around = self.coarse(self.down(functional.pad(features, (0, 1, 0, 1))))
        around = self.up(functional.relu(around))
        features = self.blocks(features + around[..., : cells.shape[-2], : cells.shape[-1]])
        return functional.pixel_shuffle(video + self.head(features), CELL)


def _edge_settings(manifest: dict[str, Any]) -> EdgeSettings:
    settings = settings_from(manifest["training"]["settings"]["network"])
    if not isinstance(settings, EdgeSettings):
        raise ValueError(f"a network of the {settings.profile} profile")
    if settings.noise:
        raise ValueError("its network is told the noise")
    return settings


def _network_of(model: onnx.ModelProto, settings: EdgeSettings) -> EdgeNetwork:
    """Rebuild the network of an exported graph, whose initialisers keep the names of weights."""
    values = {
        tensor.name.removesuffix(".half"): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
    }
    network = EdgeNetwork(settings)
    weights = {name: values[name].float() for name in network.state_dict() if name not in SHARES}
    stated = {entry.key: entry.value for entry in model.metadata_props}
    # Older graphs state none, but hold one value per plane: 1 + 2 + 4 + 8 of them for four levels.
    first_of_level = torch.tensor(divisors(settings.slots, MAX_READS)) - 1
    by_plane = [value for name, value in values.items() if name.startswith("view_")]
    for place, name in enumerate(SHARES):
        weights[name] = (
            torch.tensor(json.loads(stated[name]))
            if name in stated
            else by_plane[place].flatten()[first_of_level].float()
        )
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)
