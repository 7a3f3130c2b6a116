"""A network as an ONNX graph for any batch, height and width, checked against PyTorch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from focalloop.models.errors import ExportError
from focalloop.models.networks.edge import SHARES, USUAL_NOISE, EdgeNetwork
from focalloop.models.networks.memory import NOTHING
from focalloop.models.networks.profiles import Network, has_memory, is_told
from focalloop.models.networks.sensing import MAX_READS, divisors

OPSET = 20
"""The first with a GELU operator, which ONNX Runtime computes in one pass."""

PARITY = 1e-4
"""Largest difference allowed between PyTorch and ONNX Runtime, where 1.0 is white."""

PARITY_SIZES = ((1, 64, 64), (2, 43, 54), (1, 8, 8), (3, 65, 47), (1, 5, 3), (1, 1, 1))
"""Batch, height and width at which parity is checked: odd, small, and several at once."""

HALF_FROM_ELEMENTS = 1024
"""Weights of at least this many elements are stored as float16."""


def to_onnx(network: Network) -> tuple[bytes, float]:
    """Export `network` with any batch, height and width, its large weights rounded to float16.

    `network` itself is rounded for the comparison. ONNX Runtime widens the weights once, when it
    loads the graph, and computes in float32.

    Returns
    -------
    tuple
        The graph, and the largest difference between PyTorch and ONNX Runtime on it.

    Raises
    ------
    ExportError
        If ONNX Runtime and PyTorch differ by more than `PARITY`.
    """
    inputs = _some_inputs(network, 2, 43, 54)
    batch, height, width = "batch", "height", "width"
    sizes = {
        name: {0: batch}
        | ({} if name == "noise" else {value.ndim - 2: height, value.ndim - 1: width})
        for name, value in inputs.items()
    }
    graph = _with_shares(network, exported(network, inputs, ["video"], sizes))
    difference = parity(network, graph)
    if not difference <= PARITY:
        raise ExportError(
            f"ONNX Runtime and PyTorch differ by {difference:.2g}, more than {PARITY:g}"
        )
    return graph, difference


def _with_shares(network: Network, graph: bytes) -> bytes:
    """Keep the shares of an edge network as metadata: the graph holds only products of them."""
    if not isinstance(network, EdgeNetwork):
        return graph
    model = onnx.load_from_string(graph)
    shares = {name: json.dumps(getattr(network, name).tolist()) for name in SHARES}
    helper.set_model_props(model, shares)
    kept: bytes = model.SerializeToString()
    return kept


def exported(
    module: nn.Module,
    inputs: Mapping[str, NDArray[np.generic]],
    outputs: Sequence[str],
    sizes: Mapping[str, Mapping[int, Any]],
) -> bytes:
    """Export any module as a graph, its large weights rounded to float16, in both.

    Parameters
    ----------
    module : nn.Module
        What to export; it is put into evaluation mode.
    inputs : mapping of str to ndarray
        An example of every input, at least two windows of it, by the name of ``forward``.
    outputs : sequence of str
        Names of the outputs.
    sizes : mapping of str to mapping
        Axes of each input that may have any length, with their names or dimensions.

    Raises
    ------
    ExportError
        If PyTorch exports nothing.
    """
    module = module.eval().requires_grad_(False)
    for weight in (*module.parameters(), *module.buffers()):
        if weight.is_floating_point() and weight.numel() >= HALF_FROM_ELEMENTS:
            weight.copy_(weight.half().float())
    with warnings.catch_warnings():  # of the exporter, about its internals
        warnings.simplefilter("ignore")
        for exporter in ("torch.onnx", "onnxscript"):
            logging.getLogger(exporter).setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            kwargs={name: torch.from_numpy(value) for name, value in inputs.items()},
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes={name: dict(sizes[name]) for name in inputs},
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
    store_weights_as_half(model)
    onnx.checker.check_model(model)
    graph: bytes = model.SerializeToString()
    return graph


def parity(network: Network, graph: bytes) -> float:
    """Return the largest difference between PyTorch and ONNX Runtime over `PARITY_SIZES`."""
    examples = [_some_inputs(network, *size) for size in PARITY_SIZES]
    return largest_difference(network, graph, examples)


def largest_difference(
    module: nn.Module, graph: bytes, examples: Sequence[Mapping[str, NDArray[np.generic]]]
) -> float:
    """Return the largest difference between a module and its graph, over inputs by name."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    differences = []
    for inputs in examples:
        with torch.inference_mode():
            wanted = module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for found, expected in zip(session.run(None, dict(inputs)), wanted, strict=True):
            differences.append(np.abs(found - expected.numpy()).max())
    return float(np.max(differences))  # unlike max(), it keeps a NaN


def _some_inputs(
    network: Network, batch: int, height: int, width: int
) -> dict[str, NDArray[np.generic]]:
    """Draw inputs by name: every level occurs, and apertures have shut spans."""
    rng = np.random.default_rng(0)
    slots = network.settings.slots
    levels = rng.choice([0, *divisors(slots, MAX_READS)], (batch, height, width)).astype(np.uint8)
    reads = (
        rng.random((batch, MAX_READS, height, width), np.float32) / np.maximum(levels, 1)[:, None]
    )
    reads *= np.arange(MAX_READS)[:, None, None] < levels[:, None]
    inputs: dict[str, NDArray[np.generic]] = {"reads": reads, "levels": levels}
    if network.settings.aperture:
        shape = (batch, slots, height, width)
        inputs["aperture"] = rng.integers(0, 2, shape, np.uint8)
    if is_told(network.settings):
        factors = rng.uniform(0.1, 10, (batch, 2))
        inputs["noise"] = (np.array(USUAL_NOISE) * factors).astype(np.float32)
    if has_memory(network.settings):
        last = rng.random((batch, height, width), np.float32)
        inputs["last"] = np.where(last < 0.1, np.float32(NOTHING), last)
    return inputs


def store_weights_as_half(model: onnx.ModelProto) -> None:
    """Replace large float32 initialisers, which are rounded already, by float16 and a cast."""
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
