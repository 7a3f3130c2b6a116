"""Eight-bit arithmetic of single layers; that of whole networks is tested with the bundles."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from focalloop.models.export.int8 import in_int8, loaded


def sum_of(weights: np.ndarray, bias: np.ndarray | None) -> bytes:
    """Return a graph of ``x + convolution(relu(x))``, with filters of one pixel."""
    constants = {"blocks.weight": weights} | ({} if bias is None else {"bias": bias})
    sizes = [1, len(weights), "h", "w"]
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["lit"]),
            helper.make_node("Conv", ["lit", *constants], ["change"], name="layer"),
            helper.make_node("Add", ["x", "change"], ["y"]),
        ],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


@pytest.mark.parametrize("biased", [True, False])
def test_a_faint_channel_keeps_its_precision_beside_a_strong_one(biased: bool) -> None:
    rng = np.random.default_rng(0)
    strengths = np.array([100, 1, 0.01, 0], np.float32)
    weights = (strengths[:, None] * rng.uniform(-1, 1, (4, 4))).astype(np.float32)
    bias = strengths * np.array([0.5, -2, 0.3, 0], np.float32)
    windows = [{"x": rng.uniform(-1, 1, (1, 4, 9, 7)).astype(np.float32)} for _ in range(8)]
    graph = sum_of(weights[:, :, None, None], bias if biased else None)
    narrow = in_int8(graph, windows)
    assert narrow.count(b"QuantizeLinear") > graph.count(b"QuantizeLinear")
    fresh = rng.uniform(-1, 1, (1, 4, 9, 7)).astype(np.float32)
    (exact,), (rounded,) = (loaded(g).run(None, {"x": fresh}) for g in (graph, narrow))
    error = np.abs(rounded - exact).max((0, 2, 3))
    reach = np.abs(exact - fresh).max((0, 2, 3))
    assert (error[:3] < 0.03 * reach[:3]).all()
    assert error[3] == 0


def test_a_graph_without_such_layers_stays_as_it_is() -> None:
    graph = sum_of(np.ones((1, 1, 1, 1), np.float32), None)
    assert in_int8(graph, [], layers=("other.",)) is graph
