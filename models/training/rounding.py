"""Rounding in the loop: a network learns with the 8-bit arithmetic that its bundle will have.

In the forward pass, the convolutions that `focalloop.models.export.int8` computes in 8 bits take
inputs of 256 values and weights of 7 bits, and what they add to a sum is rounded channel by
channel. Gradients pass as if nothing was rounded, and stop where a value is out of range. The
ranges are what training crops fill when the run begins; the weights learn to live within them, and
the export takes them from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

LAYERS = ("squeeze.", "coarse.", "blocks.")
"""Prefixes of the weights of an edge network that become 8-bit."""

NAME = "rounding"
"""The submodule of a network that learns with rounding."""

_INPUTS, _OUTPUTS = f"{NAME}.inputs.", f"{NAME}.outputs."

MAX_CODE = 255
WEIGHT_STEPS = 64
"""Steps from zero to the largest weight of a channel: seven bits with the sign."""

RECTIFIED_SHARE = 0.7
"""Share of what crops fill that inputs behind a ReLU cover: the highest of them are rare, and finer
steps worth more. Sums need their whole range."""

MIN_STEP = 1e-6
"""Of what is zero on all crops."""


class Ranges(NamedTuple):
    """What the codes of one layer cover.

    Attributes
    ----------
    inputs : ndarray of float32, shape (2,)
        Lowest and highest input.
    outputs : ndarray of float32 or None, shape (2, channels)
        Lowest and highest output of each channel; None where a ReLU follows, whose result is
        rounded as the input of the next layer.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32] | None


def parted(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Ranges]]:
    """Part the weights of a network from the ranges of its `Rounding`, by layer, if it has one."""
    alone, ranges = dict(weights), {}
    for name in weights:
        if name.startswith(_INPUTS):
            inputs, outputs = alone.pop(name), alone.pop(name.replace(_INPUTS, _OUTPUTS), None)
            ranges[name.split(".")[2].replace("-", ".")] = Ranges(
                inputs[:, 0].numpy(), None if outputs is None else outputs.numpy()
            )
    return alone, ranges


class Rounding(nn.Module):
    """Rounds the convolutions of a network from now on.

    As the submodule `NAME` of the network, the ranges are stored along with the weights.

    Parameters
    ----------
    network : nn.Module
        An edge network, or another whose convolutions begin with `LAYERS`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.inputs, self.outputs = nn.ModuleDict(), nn.ModuleDict()
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d) and f"{name}.".startswith(LAYERS):
                key = name.replace(".", "-")  # names of submodules have no dots
                self.inputs[key] = _Steps(1)
                if not name.endswith(".first"):
                    self.outputs[key] = _Steps(layer.out_channels)
                setattr(layer, "forward", partial(self._convolved, layer, key))  # noqa: B010

    def _convolved(self, layer: nn.Conv2d, key: str, x: Tensor) -> Tensor:
        y = layer._conv_forward(self.inputs[key](x), _rounded_weights(layer.weight), layer.bias)
        rounded: Tensor = self.outputs[key](y) if key in self.outputs else y
        return rounded

    @contextmanager
    def calibrating(self) -> Iterator[None]:
        """Cover the values of the forward passes inside, in which nothing is rounded."""
        steps = [part for part in self.modules() if isinstance(part, _Steps)]
        for one in steps:
            one.calibrating = True
            one.covered.zero_()
        yield
        for one in steps:
            one.calibrating = False
        for key, behind_relu in self.inputs.items():
            if key != "squeeze":
                behind_relu.get_buffer("covered").mul_(RECTIFIED_SHARE)


class _Steps(nn.Module):
    """Rounds (N, C, H, W) to 256 values, of each channel or of all together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.calibrating = False
        self.covered = nn.Buffer(torch.zeros(2, channels))  # lowest and highest value

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.covered
        if self.calibrating:
            values = x.detach().float().transpose(0, 1).reshape(len(low), -1)
            torch.minimum(low, values.amin(1), out=low)
            torch.maximum(high, values.amax(1), out=high)
            return x
        step = ((high - low) / MAX_CODE).clamp(min=MIN_STEP)
        zero = (-low / step).round()
        return _rounded(x, step[:, None, None], zero[:, None, None])


def _rounded(x: Tensor, step: Tensor, zero: Tensor) -> Tensor:
    # In the type of x: the eight bits of bfloat16 hold every code.
    step, zero = step.to(x.dtype), zero.to(x.dtype)
    codes = functional.hardtanh(x / step + zero, 0, MAX_CODE)
    return (codes + (codes.round() - codes).detach() - zero) * step


def _rounded_weights(weights: Tensor) -> Tensor:
    with torch.no_grad():
        step = weights.abs().amax((1, 2, 3), keepdim=True).clamp(min=MIN_STEP) / WEIGHT_STEPS
        missing = (weights / step).round_().mul_(step).sub_(weights)
    return weights + missing
