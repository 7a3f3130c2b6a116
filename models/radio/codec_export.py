"""A trained codec as a radio bundle: two graphs, and the entropy model in integers."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focalloop.firmware_sim.radio.entropy import PRECISION, SymbolTable
from focalloop.firmware_sim.radio.integer_network import (
    FRACTION,
    OUTPUT_FRACTION,
    IntegerNetwork,
    Layer,
)
from focalloop.firmware_sim.radio.latents import LatentModel, Step
from focalloop.models.networks.sensing import MAX_READS
from focalloop.models.radio.codec import QUALITIES, CodecNetwork
from focalloop.models.radio.export import (
    End,
    checked_graphs,
    refuse_anything_but_a_radio_bundle,
    varying_sizes,
    write_radio_bundle,
)
from focalloop.models.radio.klt import BLOCK
from focalloop.models.radio.latent_network import LatentNetwork, Predictor, SideDistribution
from focalloop.models.radio.reads import CellReads
from focalloop.models.radio.run import Sensing

ENCODER, DECODER, LATENTS = "codec_encoder.onnx", "codec_decoder.onnx", "codec_latents.npz"

_MAX_SCALE = 24
"""Most binary digits after the point of a weight."""
_TAIL = 1e-6
"""Probability that the tables of Z leave to escapes, on either side."""


class EncoderGraph(nn.Module):
    """Read-outs and quality in, Y and Z out."""

    def __init__(self, network: CodecNetwork, reads: CellReads) -> None:
        super().__init__()
        self.analysis, self.latents, self.reads = network.analysis, network.latents, reads

    def forward(self, reads: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Map reads (N, K, H, W) and qualities (N,) to Y and Z."""
        latent = self.analysis(self.reads.gathered(reads), quality[:, None])
        return latent, self.latents.side(self.latents.units(latent, quality))


class DecoderGraph(nn.Module):
    """Y as it was received and the quality in, read-outs out."""

    def __init__(self, network: CodecNetwork, reads: CellReads) -> None:
        super().__init__()
        self.synthesis, self.reads = network.synthesis, reads

    def forward(self, latent: Tensor, quality: Tensor) -> Tensor:
        """Map Y (N, C, h, w) and qualities (N,) to reads (N, K, H, W)."""
        return self.reads.planes(self.synthesis(latent, quality[:, None]))


def codec_graphs(network: CodecNetwork, reads: CellReads) -> tuple[dict[str, bytes], float]:
    """Export the transforms for any number of windows and locations.

    Parameters
    ----------
    network : CodecNetwork
        What to export; its large weights are rounded to float16.
    reads : CellReads
        The tile that its cells are of.

    Returns
    -------
    tuple
        Graphs by file name, and the largest difference between PyTorch and ONNX Runtime.

    Raises
    ------
    ExportError
        If ONNX Runtime and PyTorch differ by more than `PARITY`, relative to values above 1.
    """
    pixels, places = varying_sizes()
    examples = [_example(network, reads, *size) for size in ((2, 3, 4), (1, 1, 1), (1, 5, 2))]
    sent = [{name: one[name] for name in ("reads", "quality")} for one in examples]
    received = [{name: one[name] for name in ("latent", "quality")} for one in examples]
    windows = {0: "batch"}
    sizes: dict[str, Any] = {"reads": pixels, "quality": windows}
    ends: dict[str, End] = {
        ENCODER: (EncoderGraph(network, reads), sent, ["latent", "side"], sizes),
    }
    sizes = {"latent": places, "quality": windows}
    ends[DECODER] = (DecoderGraph(network, reads), received, ["reads"], sizes)
    return checked_graphs(network, ends)


@torch.no_grad()
def integer_latents(network: LatentNetwork) -> LatentModel:
    """Return the entropy model of a network in integers.

    Weights and activations are rounded so finely that the coded bits stay what training counts.
    """
    quality = torch.arange(QUALITIES, dtype=torch.float32) / (QUALITIES - 1)
    octaves = network.octaves(quality).double().numpy()
    steps = tuple(
        Step(first, last, parity, _integer_network(predictor, quality))
        for (first, last, parity), predictor in network.by_step()
    )
    return LatentModel(
        _side_tables(network.distribution),
        _integer_network(network.hyper, quality),
        steps,
        np.maximum(np.rint(np.ldexp(np.exp2(octaves), FRACTION)), 1).astype(np.int64),
        np.rint(np.ldexp(octaves, OUTPUT_FRACTION)).astype(np.int64),
    )


def export_codec(
    network: CodecNetwork,
    sensing: Sensing,
    metadata: Mapping[str, Any],
    bundle: Path,
    scores: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Write a trained codec as a radio bundle, replacing an older one.

    Parameters
    ----------
    network : CodecNetwork
        With averaged weights; it is of no use afterwards.
    sensing : Sensing
        What it was trained for.
    metadata : mapping of str to any
        Of its checkpoint (`TrainingLoop.metadata`).
    bundle : Path
        Folder to write; its name becomes that of the bundle.
    scores : sequence of dict, optional
        Scores, each with the command that printed it.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError
        If ONNX Runtime and PyTorch disagree, or `bundle` exists and is no radio bundle.
    """
    refuse_anything_but_a_radio_bundle(bundle)
    network.requires_grad_(False)
    model = integer_latents(network.latents)
    graphs, difference = codec_graphs(network, sensing.reads)
    described = {
        "kind": "codec",
        "method": "compr-ldpc",
        "qualities": QUALITIES,
        "prices": [network.settings.dear, network.settings.cheap],
    }
    files = graphs | {LATENTS: archived(model)}
    return write_radio_bundle(
        bundle, files, sensing.bundle, metadata, described, difference, scores
    )


def archived(model: LatentModel) -> bytes:
    """Return the file of an entropy model: a NumPy archive of integers."""
    file = io.BytesIO()
    np.savez_compressed(file, **model.arrays())  # type: ignore[arg-type]
    return file.getvalue()


def _integer_network(predictor: Predictor, quality: Tensor) -> IntegerNetwork:
    first = _layer(predictor.stem.weight, predictor.bias(quality))
    others = [
        _layer(layer.weight, torch.zeros(1) if layer.bias is None else layer.bias[None])
        for layer in (*predictor.inner, predictor.head)
    ]
    return IntegerNetwork((first, *others))


def _layer(weight: Tensor, bias: Tensor) -> Layer:
    values, offsets = weight.double().numpy(), bias.double().numpy()
    largest = float(np.abs(values).max())
    scale = min(_MAX_SCALE, math.floor(math.log2(32767 / max(largest, 1e-9))))
    return Layer(
        np.rint(np.ldexp(values, scale)).astype(np.int16),
        np.rint(np.ldexp(offsets, scale + FRACTION)).astype(np.int64),
        scale,
    )


def _side_tables(distribution: SideDistribution) -> tuple[SymbolTable, ...]:
    means = distribution.means.double().numpy()
    scales = distribution.log_scales.double().exp().numpy()
    shares = distribution.logits.double().softmax(1).numpy()
    reach = scales * math.log(1 / _TAIL)
    tables = []
    for channel in range(len(means)):
        first = math.floor((means - reach)[channel].min())
        last = math.ceil((means + reach)[channel].max())
        edges = np.arange(first, last + 2)[:, None] - 0.5
        below = (shares[channel] * _sigmoid((edges - means[channel]) / scales[channel])).sum(1)
        cumulative = np.rint(np.ldexp(below, 2 * PRECISION)).astype(np.int64).tolist()
        tables.append(SymbolTable.from_cumulative(first, cumulative, 1 << (2 * PRECISION)))
    return tuple(tables)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 0.5 * (1 + np.tanh(values / 2))
    return found


def _example(
    network: CodecNetwork, reads: CellReads, count: int, rows: int, columns: int
) -> dict[str, NDArray[Any]]:
    """Draw inputs of both graphs by name."""
    rng = np.random.default_rng(0)
    planes = (count, MAX_READS, rows * BLOCK, columns * BLOCK)
    levels = np.tile(reads.levels[0].numpy(), (planes[2] // reads.side, planes[3] // reads.side))
    taken = np.arange(MAX_READS)[:, None, None] < levels
    drawn = rng.random(planes, np.float32) * taken / np.maximum(levels, 1)
    shape = (count, network.settings.transform.channels, rows, columns)
    return {
        "reads": drawn.astype(np.float32),
        "quality": rng.random(count, np.float32),
        "latent": rng.standard_normal(shape, np.float32),
    }
