"""The weights of a codec, read back from its radio bundle, so that training can start from it.

The graphs of both ends keep the names of weights. The networks of the entropy model are integers,
which are the weights in finer units than training needs. Of the distribution of Z a bundle has
tables alone: the mixture that gives them is fitted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.radio.entropy import SymbolTable
from focalloop.firmware_sim.radio.integer_network import FRACTION, IntegerNetwork
from focalloop.firmware_sim.radio.latents import LatentModel
from focalloop.models import zoo
from focalloop.models.errors import TrainError
from focalloop.models.radio.codec import CodecNetwork, CodecSettings, codec_settings_of
from focalloop.models.radio.codec_export import DECODER, ENCODER, LATENTS
from focalloop.models.radio.export import MANIFEST
from focalloop.models.radio.latent_network import Predictor, SideDistribution
from focalloop.models.radio.pipeline import blank_transform
from focalloop.models.training.checkpoint import CHECKPOINT, load_checkpoint
from focalloop.models.training.learner import below

_FITTING_STEPS = 200


def codec_starting_weights(name_or_path: str) -> tuple[CodecSettings, dict[str, Tensor]]:
    """Read the settings and the averaged weights of a codec.

    Parameters
    ----------
    name_or_path : str
        A shipped radio bundle by name, the folder of one, or the folder of a run.

    Raises
    ------
    TrainError
        If there is no codec.
    """
    shipped, folder = zoo.FOLDER / name_or_path, Path(name_or_path)
    try:
        if (folder / CHECKPOINT).is_file():
            metadata, tensors = load_checkpoint(folder / CHECKPOINT)
            stored = metadata["identity"]["radio"]["codec"]
            return codec_settings_of(stored), below("average.", tensors)
        return _of_bundle(shipped if (shipped / LATENTS).is_file() else folder)
    except TrainError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, FocalloopError) as error:
        raise TrainError(
            f"there are no weights of a codec in {name_or_path!r} ({error}): give the folder of a "
            "radio bundle of kind codec, or of a run of `radio train codec`"
        ) from None


def _of_bundle(folder: Path) -> tuple[CodecSettings, dict[str, Tensor]]:
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    settings = codec_settings_of(manifest["training"]["radio"]["codec"])
    found: dict[str, Tensor] = {}
    for name in (ENCODER, DECODER):
        for tensor in onnx.load(folder / name).graph.initializer:
            values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            found[tensor.name.removesuffix(".half")] = values.float()
    with np.load(folder / LATENTS) as archive:
        model = LatentModel.from_arrays(dict(archive))
    reads = len(found["analysis.mean"])
    network = CodecNetwork(blank_transform(reads), settings)
    _take_integers(network, model)
    weights = {
        # The graphs hold linear transforms as they had become, and nothing for their change.
        name: found[name].view_as(value) if name in found else value
        for name, value in network.state_dict().items()
    }
    return settings, weights


@torch.no_grad()
def _take_integers(network: CodecNetwork, model: LatentModel) -> None:
    latents = network.latents
    _take(latents.hyper, model.hyper)
    for (_, predictor), step in zip(latents.by_step(), model.steps, strict=True):
        _take(predictor, step.network)
    fit(latents.distribution, model.side_tables)


def _take(predictor: Predictor, integers: IntegerNetwork) -> None:
    first, *others = integers.layers
    predictor.stem.weight.copy_(_scaled(first.weights, first.scale))
    biases = _scaled(first.bias, first.scale + FRACTION)
    # One bias for each quality, linear between knots: the knots follow by least squares.
    last = len(predictor.bias.knots) - 1
    places = torch.linspace(0, last, len(biases), dtype=torch.float64)[:, None]
    hats = (1 - (places - torch.arange(last + 1)).abs()).clamp_min(0)
    predictor.bias.knots.copy_(torch.linalg.lstsq(hats, biases).solution)
    for layer, values in zip((*predictor.inner, predictor.head), others, strict=True):
        layer.weight.copy_(_scaled(values.weights, values.scale))
        if layer.bias is not None:
            layer.bias.copy_(_scaled(values.bias, values.scale + FRACTION)[0])


def _scaled(integers: NDArray[Any], digits: int) -> Tensor:
    return torch.from_numpy(np.ldexp(integers.astype(np.float64), -digits))


def fit(distribution: SideDistribution, tables: tuple[SymbolTable, ...]) -> None:
    """Fit the mixtures of a `SideDistribution` to tables, for the fewest bits.

    Parameters
    ----------
    distribution : SideDistribution
        Its parameters are replaced.
    tables : tuple of SymbolTable
        One for each channel.
    """
    size = max(len(table.counts) - 1 for table in tables)
    values, shares = torch.zeros(2, len(tables), size)
    for row, table in enumerate(tables):
        counts = torch.from_numpy(table.counts[:-1])
        values[row, : len(counts)] = torch.arange(len(counts)) + table.first
        shares[row, : len(counts)] = counts / counts.sum()
    mean = (values * shares).sum(1, keepdim=True)
    spread = ((values - mean).square() * shares).sum(1, keepdim=True).sqrt().clamp_min(0.1)
    distribution.means.copy_(mean + spread * torch.linspace(-1, 1, distribution.means.shape[1]))
    distribution.log_scales.copy_((0.5 * spread).log().expand_as(distribution.log_scales))
    distribution.logits.zero_()
    with torch.enable_grad():
        optimizer = torch.optim.LBFGS(
            distribution.parameters(), max_iter=_FITTING_STEPS, line_search_fn="strong_wolfe"
        )

        def bits() -> Tensor:
            optimizer.zero_grad()
            each = distribution.bits(values.T[:, :, None, None])[..., 0, 0].T
            total: Tensor = (each * shares).sum()
            torch.autograd.backward(total)
            return total

        optimizer.step(bits)  # type: ignore[no-untyped-call]
    distribution.zero_grad(set_to_none=True)
