"""A network as an ONNX graph for any batch, height and width, checked against PyTorch."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from focalloop.models.errors import ExportError
from focalloop.models.networks.profiles import Network
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
    network = network.eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.numel() >= HALF_FROM_ELEMENTS:
            parameter.copy_(parameter.half().float())
    inputs = _some_inputs(network, 2, 43, 54)
    batch, height, width = "batch", "height", "width"
    sizes = {
        name: {0: batch, value.ndim - 2: height, value.ndim - 1: width}
        for name, value in inputs.items()
    }
    with warnings.catch_warnings():  # of the exporter, about its internals
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            tuple(torch.from_numpy(value) for value in inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=["video"],
            dynamic_shapes=tuple(sizes.values()),
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
    if not difference <= PARITY:
        raise ExportError(
            f"ONNX Runtime and PyTorch differ by {difference:.2g}, more than {PARITY:g}"
        )
    return graph, difference


def parity(network: Network, graph: bytes) -> float:
    """Return the largest difference between PyTorch and ONNX Runtime over `PARITY_SIZES`."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    differences = []
    for size in PARITY_SIZES:
        inputs = _some_inputs(network, *size)
        (found,) = session.run(None, inputs)
        with torch.inference_mode():
            wanted = network(*(torch.from_numpy(value) for value in inputs.values())).numpy()
        differences.append(np.abs(found - wanted).max())
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
    return inputs


def _store_weights_as_half(model: onnx.ModelProto) -> None:
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
