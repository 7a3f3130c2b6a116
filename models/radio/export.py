"""The bundle of a trained radio network, which the host loads: ``focalloop radio bundle``.

A radio bundle is a folder: the networks of both ends as ONNX, and ``radio.json``, with what they
were trained for and with, their scores, and the hash of every file (``docs/file-formats.md``). Its
reads are those of one bundle of sensing and reconstruction, which it names.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from focalloop.firmware_sim.files import folder_written_whole
from focalloop.models.errors import ExportError
from focalloop.models.export.bundle import LICENCE, data_summary
from focalloop.models.export.onnx_graph import OPSET, PARITY, exported, largest_difference
from focalloop.models.networks.sensing import MAX_READS
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import BLOCK
from focalloop.models.radio.reads import CellReads
from focalloop.models.radio.run import Sensing
from focalloop.models.radio.semcom import SemCom, channel_quality
from focalloop.models.radio.transforms import Linear

SCHEMA_VERSION = 1
MANIFEST = "radio.json"
ENCODER, DECODER = "semcom_encoder.onnx", "semcom_decoder.onnx"

End = tuple[nn.Module, list[dict[str, NDArray[Any]]], list[str], dict[str, Any]]
"""One graph: its module, example inputs, names of its outputs, and sizes that vary by input."""


class EncoderGraph(nn.Module):
    """Read-outs and SNR in; reals, predicted log errors and the emphasis of every rate out."""

    def __init__(self, network: SemCom, reads: CellReads) -> None:
        super().__init__()
        self.encoder, self.allocation, self.reads = network.encoder, network.allocation, reads
        self.decoder, self.rates = network.decoder, torch.arange(len(network.settings.rates))

    def forward(self, reads: Tensor, snr_db: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map reads (N, K, H, W) and SNRs (N,) to (N, C, h, w), (N, L, h, w) and (N, L, C)."""
        x = self.encoder(self.reads.gathered(reads), snr_db)
        # Of every window, so that graphs keep the weights themselves.
        emphasis = self.decoder.emphasis(self.rates.expand(len(reads), -1))
        return x, self.allocation(x, channel_quality(snr_db)), emphasis


class DecoderGraph(nn.Module):
    """Received reals, the variance of their noise and the rate map in, read-outs out."""

    def __init__(self, network: SemCom, reads: CellReads) -> None:
        super().__init__()
        self.decoder, self.reads = network.decoder, reads

    def forward(self, received: Tensor, noise: Tensor, rate_map: Tensor) -> Tensor:
        """Map (N, reals, h, w), the same, and (N, h, w) to reads (N, K, H, W)."""
        return self.reads.planes(self.decoder(received, noise, rate_map))


def semcom_graphs(network: SemCom, reads: CellReads) -> tuple[dict[str, bytes], float]:
    """Export both ends of a `SemCom` for any number of windows and locations.

    Parameters
    ----------
    network : SemCom
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
        If ONNX Runtime and PyTorch differ by more than `PARITY`.
    """
    pixels, places = varying_sizes()
    examples = [_example(network, reads, *size) for size in ((2, 3, 4), (1, 1, 1), (1, 5, 2))]
    transmitted = [{name: one[name] for name in ("reads", "snr_db")} for one in examples]
    received = [{name: one[name] for name in ("received", "noise", "rate_map")} for one in examples]
    ends: dict[str, End] = {
        ENCODER: (
            EncoderGraph(network, reads),
            transmitted,
            ["x", "log_error", "emphasis"],
            {"reads": pixels, "snr_db": {0: "batch"}},
        ),
        DECODER: (
            DecoderGraph(network, reads),
            received,
            ["reads"],
            {
                "received": places,
                "noise": places,
                "rate_map": {0: "batch", 1: "rows", 2: "columns"},
            },
        ),
    }
    return checked_graphs(network, ends)


def varying_sizes() -> tuple[dict[int, Any], dict[int, Any]]:
    """Return which axes vary of arrays (N, C, h, w) over pixels, and of those over locations."""
    rows, columns = torch.export.Dim("rows", max=512), torch.export.Dim("columns", max=512)
    return (
        {0: "batch", 2: BLOCK * rows, 3: BLOCK * columns},
        {0: "batch", 2: "rows", 3: "columns"},
    )


def checked_graphs(network: nn.Module, ends: Mapping[str, End]) -> tuple[dict[str, bytes], float]:
    """Export the ends of a network, whose linear transforms are frozen before.

    Returns
    -------
    tuple
        Graphs by file name, and the largest difference between PyTorch and ONNX Runtime.

    Raises
    ------
    ExportError
        If ONNX Runtime and PyTorch differ by more than `PARITY`, relative to values above 1.
    """
    for module in network.modules():
        if isinstance(module, Linear):
            module.freeze()
    graphs, differences = {}, []
    for name, (module, inputs, outputs, sizes) in ends.items():
        graphs[name] = exported(module, inputs[0], outputs, sizes)
        differences.append(largest_difference(module, graphs[name], inputs))
    if not max(differences) <= PARITY:
        raise ExportError(
            f"ONNX Runtime and PyTorch differ by {max(differences):.2g}, more than {PARITY:g}"
        )
    return graphs, max(differences)


def export_semcom(
    network: SemCom,
    sensing: Sensing,
    metadata: Mapping[str, Any],
    bundle: Path,
    method: str = "semcom",
    scores: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Write both ends of a trained `SemCom` as a radio bundle, replacing an older one.

    Parameters
    ----------
    network : SemCom
        With averaged weights; it is of no use afterwards.
    sensing : Sensing
        What it was trained for.
    metadata : mapping of str to any
        Of its checkpoint (`TrainingLoop.metadata`).
    bundle : Path
        Folder to write; its name becomes that of the bundle.
    method : str, optional
        Method of ``focalloop radio send`` that the networks are for.
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
    link = metadata["identity"]["radio"]["link"]
    described = {
        "kind": "jscc" if link["loss"] == "reads" else "semcom",
        "method": method,
        "rates": list(network.settings.rates),
        "rate": link["rate"],
        "snr_db": list(link["snr_db"]),
    }
    graphs, difference = semcom_graphs(network, sensing.reads)
    return write_radio_bundle(
        bundle, graphs, sensing.bundle, metadata, described, difference, scores
    )


def write_radio_bundle(
    bundle: Path,
    graphs: Mapping[str, bytes],
    sensing: FrozenBundle,
    metadata: Mapping[str, Any],
    described: Mapping[str, Any],
    difference: float,
    scores: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Write the folder of a radio bundle, whole or not at all.

    Parameters
    ----------
    bundle : Path
        Folder to write.
    graphs : mapping of str to bytes
        Files of the bundle by name.
    sensing : FrozenBundle
        Sensor and reconstruction that they were trained for.
    metadata : mapping of str to any
        Of the checkpoint that they come from.
    described : mapping of str to any
        What the kind of network adds to the manifest, ``kind`` and ``method`` among it.
    difference : float
        Largest difference between PyTorch and ONNX Runtime.
    scores : sequence of dict, optional
        Scores, each with the command that printed it.

    Raises
    ------
    ExportError
        If `bundle` exists and is no radio bundle.
    WriteError
        If it cannot be written.
    """
    refuse_anything_but_a_radio_bundle(bundle)
    progress = metadata["progress"].items()
    manifest = {
        "schema": SCHEMA_VERSION,
        "name": bundle.name,
        **described,
        "location": BLOCK,
        "sensing": {
            "bundle": sensing.name,
            "map": sensing.ratio_map.hash_hex,
            "tile": sensing.ratio_map.tile.tolist(),
            "reconstruction_sha256": sensing.network_sha256,
        },
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in graphs.items()},
        "export": {"opset": OPSET, "largest_difference": difference},
        "training": {
            "recipe": metadata["command"],
            "settings": metadata["settings"],
            "radio": metadata["identity"]["radio"],
            "result": {key: None if math.isnan(value) else value for key, value in progress},
            "data_settings": metadata["data"]["settings"],
        },
        "data": data_summary(metadata["data"]["sources"]),
        "licence": LICENCE,
        "scores": list(scores),
    }
    write_files(bundle, graphs, manifest)
    return manifest


def write_files(bundle: Path, graphs: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write graphs and manifest as a folder, whole or not at all, replacing an older one."""
    with folder_written_whole(bundle, replace=True) as folder:
        for name, content in graphs.items():
            (folder / name).write_bytes(content)
        text = json.dumps(manifest, indent=2) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")


def score_entry(arguments: str, document: object) -> dict[str, Any]:
    """Return the entry of the manifest for what ``focalloop radio send`` printed.

    Parameters
    ----------
    arguments : str
        What followed ``focalloop radio send``, the clips first.
    document : object
        The JSON that it printed.

    Raises
    ------
    ExportError
        If it is not of that command.
    """
    keys = ("method", "channel", "snr", "psnr", "ssim", "symbols")
    if not arguments or not isinstance(document, dict) or not document.keys() >= set(keys):
        raise ExportError(
            f"the scores of {arguments!r} are not what `focalloop radio send --json` prints"
        )
    command = f"focalloop radio send {arguments} --json"
    found = {key: document[key] for key in keys}
    return {"set": Path(arguments.split()[0]).name, "command": command, **found}


def refuse_anything_but_a_radio_bundle(path: Path) -> None:
    """Refuse to replace a file, or a folder that is not a radio bundle."""
    if path.exists() and not (path / MANIFEST).is_file():
        raise ExportError(f"{path} exists and is not a radio bundle: give another name")


def _example(
    network: SemCom, reads: CellReads, count: int, rows: int, columns: int
) -> dict[str, NDArray[Any]]:
    """Draw inputs of both ends by name."""
    rng = np.random.default_rng(0)
    rates = network.settings.rates
    shape = (count, rates[-1], rows, columns)
    planes = (count, MAX_READS, rows * BLOCK, columns * BLOCK)
    levels = np.tile(reads.levels[0].numpy(), (planes[2] // reads.side, planes[3] // reads.side))
    taken = np.arange(MAX_READS)[:, None, None] < levels
    return {
        "reads": (rng.random(planes, np.float32) * taken / np.maximum(levels, 1)).astype(
            np.float32
        ),
        "snr_db": rng.uniform(-5, 25, count).astype(np.float32),
        "received": rng.standard_normal(shape, np.float32),
        "noise": rng.uniform(0, 1, shape).astype(np.float32),
        "rate_map": rng.integers(0, len(rates), (count, rows, columns)).astype(np.uint8),
    }
