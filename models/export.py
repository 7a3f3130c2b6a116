"""From a training run to a bundle that the host loads: ``focalloop export``.

A bundle is a folder (``docs/file-formats.md``): the ratio map, the network as ONNX, and a manifest
with the hash of each, the recipe, the data with its licences, and scores with the command that gave
them. Nothing is written unless ONNX Runtime reproduces PyTorch on several sizes first.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from firmware_sim import ratio_map_files
from firmware_sim.errors import FocalloopError
from firmware_sim.noise import preset
from firmware_sim.ratio_map import RatioMap
from models.learner import below
from models.networks import Network, build_network, settings_from
from models.run import CHECKPOINT, load_checkpoint
from models.train import RATIO_MAP

OPSET = 18
SCHEMA_VERSION = 1
NETWORK = "reconstruct.onnx"
MANIFEST = "bundle.json"
LICENCE = "Apache-2.0"

PARITY = 1e-5
"""Largest difference allowed between PyTorch and ONNX Runtime, where 1.0 is white."""

PARITY_SIZES = ((1, 64, 64), (2, 43, 54), (1, 8, 8), (3, 65, 47), (1, 5, 3))
"""Batch, height and width that parity is checked at: odd, small and several at once."""

HALF_FROM_ELEMENTS = 1024
"""Weights of at least this many elements are stored as float16."""


class ExportError(FocalloopError):
    """A run that cannot become a bundle; the text says why."""


@dataclass(frozen=True)
class Score:
    """How well a bundle did.

    Attributes
    ----------
    set
        What was evaluated.
    command
        That gave the numbers.
    evaluation
        The JSON that ``focalloop evaluate --json`` printed.
    """

    set: str
    command: str
    evaluation: dict[str, Any]

    def entry(self) -> dict[str, Any]:
        """Return the manifest's entry, the means of the first result."""
        try:
            result = self.evaluation["results"][0]
            means = {key: result["mean"][key] for key in ("psnr", "ssim")}
            conditions = {key: result[key] for key in ("profile", "seed", "r_avg")}
        except (KeyError, IndexError, TypeError):
            raise ExportError(
                f"the scores of {self.set!r} are not what `focalloop evaluate --json` prints"
            ) from None
        return {"set": self.set, "command": self.command, **conditions, **means}


def export_run(run: Path, bundle: Path, scores: Sequence[Score] = ()) -> dict[str, Any]:
    """Write the averaged network of a training run as a bundle, replacing one that is there.

    Parameters
    ----------
    run
        Folder of ``focalloop train``.
    bundle
        Folder to write; its name becomes the bundle's.
    scores
        Evaluations of this very network, to be recorded.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError, TrainError, RatioMapError
        If a file of the run is missing or damaged, or ONNX Runtime and PyTorch disagree.
    """
    if not (run / CHECKPOINT).is_file():
        raise ExportError(f"{run} holds no {CHECKPOINT}: it is no folder of `focalloop train`")
    metadata, tensors = load_checkpoint(run / CHECKPOINT)
    ratio_map = RatioMap.load(run / RATIO_MAP)
    settings = metadata["settings"]
    network = build_network(settings_from(settings["network"]))
    network.load_state_dict(below("average.", tensors))
    graph = to_onnx(network)
    files = {RATIO_MAP: ratio_map_files.encode(ratio_map, ".npz"), NETWORK: graph}
    manifest = {
        "schema": SCHEMA_VERSION,
        "name": bundle.name,
        "slots": ratio_map.slots,
        "level_set": list(ratio_map.level_set),
        "ratio_map": RATIO_MAP,
        "network": NETWORK,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "noise_profile": preset(settings["noise"]).as_dict(),
        "training": {
            "recipe": "focalloop data build, focalloop train, focalloop export (docs/training.md)",
            "settings": settings,
            "result": metadata["progress"],
            "data_settings": metadata["data"]["settings"],
        },
        "data": data_summary(metadata["data"]["sources"]),
        "scores": [score.entry() for score in scores],
        "licence": LICENCE,
    }
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    _write_folder(bundle, files)
    return manifest


def to_onnx(network: Network) -> bytes:
    """Export `network` with any batch, height and width, its large weights rounded to float16.

    The rounded weights are what PyTorch is compared with; ONNX Runtime widens them once, when it
    loads the graph, and computes in float32.

    Raises
    ------
    ExportError
        If ONNX Runtime and PyTorch differ by more than `PARITY`.
    """
    network = network.eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.numel() >= HALF_FROM_ELEMENTS:
            parameter.copy_(parameter.half().float())
    example = (torch.rand(2, 8, 43, 54), torch.ones(2, 43, 54, dtype=torch.uint8))
    batch, height, width = "batch", "height", "width"
    with warnings.catch_warnings():  # the exporter's, about its own insides
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["reads", "levels"],
            output_names=["video"],
            dynamic_shapes=({0: batch, 2: height, 3: width}, {0: batch, 1: height, 2: width}),
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch exported nothing")
    model = program.model_proto
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.doc_string = ""
    for node in model.graph.node:  # stack traces of the exporting machine
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    _store_weights_as_half(model)
    onnx.checker.check_model(model)
    graph: bytes = model.SerializeToString()
    difference = parity(network, graph)
    if difference > PARITY:
        raise ExportError(
            f"ONNX Runtime and PyTorch differ by {difference:.2g}, more than {PARITY:g}"
        )
    return graph


def parity(network: Network, graph: bytes) -> float:
    """Return the largest difference between PyTorch and ONNX Runtime over `PARITY_SIZES`."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, height, width in PARITY_SIZES:
        levels = rng.choice([0, 1, 2, 4, 8], (batch, height, width)).astype(np.uint8)
        reads = rng.random((batch, 8, height, width), np.float32)
        reads *= np.arange(8)[:, None, None] < levels[:, None]
        (found,) = session.run(None, {"reads": reads, "levels": levels})
        with torch.inference_mode():
            wanted = network(torch.from_numpy(reads), torch.from_numpy(levels)).numpy()
        worst = max(worst, float(np.abs(found - wanted).max()))
    return worst


def data_summary(sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry a package (or file of one's own): name, licence, number of files."""
    counts = Counter((source["name"].split("/")[0], source["licence"]) for source in sources)
    return [
        {"name": name, "licence": licence, "files": count}
        for (name, licence), count in sorted(counts.items())
    ]


def _store_weights_as_half(model: onnx.ModelProto) -> None:
    """Replace large float32 initialisers, already rounded, by float16 ones and a cast."""
    casts = []
    for tensor in model.graph.initializer:
        values: NDArray[Any] = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < HALF_FROM_ELEMENTS:
            continue
        wide, half = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [wide], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder whole: under another name first, then in place of the old one."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in files.items():
        (partial / name).write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
