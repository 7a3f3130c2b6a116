"""Networks of the radio in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.graph import Graph
from focalloop.host.reconstruction.reconstruct import ReconstructError
from tests.support.tiny_bundle import tiny_network

INPUTS = {"reads": "tensor(float)", "levels": "tensor(uint8)"}


def feed(size=4):
    shape = (1, 8, size, size)
    return {"reads": np.full(shape, 0.5, np.float32), "levels": np.ones((1, 4, 4), np.uint8)}


def test_outputs_come_in_the_order_asked_for():
    (video,) = Graph(tiny_network(), "decoder", INPUTS, ("video",))(**feed())
    assert video.shape == (1, 16, 4, 4)
    assert (video == 8 * 0.5 + 1).all()


def test_another_graph_is_refused_with_what_it_takes():
    with pytest.raises(RadioError, match=r"decoder takes levels.*should take reads: tensor"):
        Graph(tiny_network(), "decoder", {"reads": "tensor(float)"}, ("video",))
    with pytest.raises(RadioError, match="give x, video"):
        Graph(tiny_network(), "decoder", INPUTS, ("x", "video"))
    with pytest.raises(ReconstructError, match="cannot be loaded"):
        Graph(b"no graph", "decoder", INPUTS, ("video",))


def test_outputs_of_other_shapes_are_an_error():
    graph = Graph(tiny_network(), "decoder", INPUTS, ("video",))
    (video,) = graph((1, 16, 4, 4), **feed())
    assert video.shape == (1, 16, 4, 4)
    with pytest.raises(RadioError, match=r"gives video of shape \(1, 16, 4, 4\), but its bundle"):
        graph((1, 16, 1, 1), **feed())


def test_wrong_shapes_and_damaged_weights_are_an_error():
    with pytest.raises(RadioError, match=r"does not take reads \(1, 8, 5, 5\)"):
        Graph(tiny_network(), "decoder", INPUTS, ("video",))(**feed(5))
    with pytest.raises(RadioError, match="not finite"):
        Graph(tiny_network(factor=np.inf), "decoder", INPUTS, ("video",))(**feed())
