"""A network that learns with the rounding of its 8-bit bundle."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from focalloop.models.export.int8 import in_int8, loaded
from focalloop.models.export.onnx_graph import exported
from focalloop.models.networks.edge import ResidualBlock
from focalloop.models.training.rounding import NAME, Rounding, parted

WIDTH = 8


class Trunk(nn.Module):
    """The layers of an edge network that become 8-bit, without what surrounds them."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(3, WIDTH, 2, stride=2)
        self.blocks = nn.Sequential(ResidualBlock(WIDTH), ResidualBlock(WIDTH))
        self.head = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        cells = self.squeeze(x)
        y: Tensor = self.head(self.blocks(cells * cells.sigmoid()))
        return y


def trunk() -> Trunk:
    """Return layers none of which begins at zero, with weights that float16 holds."""
    torch.manual_seed(0)
    network = Trunk()
    for name, weight in network.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(weight.data, std=weight[0].numel() ** -0.5)
        weight.data = weight.data.half().float()
    return network


def rounded_over(network: Trunk, x: Tensor) -> Trunk:
    """Round `network` over what `x` fills."""
    rounding = Rounding(network)
    network.add_module(NAME, rounding)
    with rounding.calibrating(), torch.inference_mode():
        network(x)
    return network


def test_the_forward_pass_is_that_of_the_8_bit_graph() -> None:
    # Twice as large as what calibrates: some values are out of range.
    seen, fresh = (k * torch.randn(2, 3, 26, 18, generator=torch.manual_seed(k)) for k in (1, 2))
    graph = exported(trunk(), {"x": seen.numpy()}, ["y"], {"x": {0: "n", 2: "h", 3: "w"}})
    network = rounded_over(trunk(), seen)
    weights, ranges = parted(network.state_dict())
    assert weights.keys() == trunk().state_dict().keys()
    narrow = in_int8(graph, [{"x": seen.numpy()}], ranges=ranges)
    (found,), (exact,) = (loaded(g).run(None, {"x": fresh.numpy()}) for g in (narrow, graph))
    with torch.inference_mode():
        expected = network(fresh).numpy()
    # A sum in another order seldom has another code, which is then seen around it.
    assert (np.abs(found - expected) < 1e-5).mean() > 0.5
    assert np.square(found - expected).mean() < 0.01 * np.square(found - exact).mean()


def test_gradients_pass_rounding_and_stop_out_of_range() -> None:
    network = rounded_over(trunk(), torch.randn(2, 3, 16, 16))
    x = torch.tensor([-100.0, 0.1, 100.0]).repeat(1, 3, 2, 1).requires_grad_()
    y = network.get_submodule(NAME).get_submodule("inputs.squeeze")(x)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0].round(decimals=5).tolist() == [[0, 1, 0], [0, 1, 0]]
    network(torch.randn(2, 3, 16, 16)).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name
