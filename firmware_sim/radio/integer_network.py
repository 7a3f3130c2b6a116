"""Small convolutional networks in integers, whose results are the same on every machine.

Integers are held in float64, because matrix products are fast there. As long as no sum can reach
2^53 each product and each partial sum is exact, so neither the order of summation nor fused
multiplication changes the result. Each layer shows when it is made that none can. (ONNX Runtime's
8-bit products are no substitute: on processors without VNNI they saturate.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.radio.errors import RadioError

FRACTION = 8
"""Binary digits after the point in what goes into a layer."""

LARGEST = (1 << 15) - 1
"""Limit of what goes into a layer, either way: 128.0 with `FRACTION` digits."""

OUTPUT_FRACTION = 16
"""Binary digits after the point in what a network returns."""

LARGEST_OUTPUT = (1 << 22) - 1
"""Limit of what a network returns, either way: 64.0 with `OUTPUT_FRACTION` digits."""

MAX_LAYERS = 8

_EXACT = 1 << 53
"""Integers below this are exact in float64."""

_ONE_THREAD = 1 << 18
"""Multiplications of a matrix product that OpenBLAS does on the calling thread, its own limit.

Its threads wait for each other by spinning: where the cores are busy, that takes ten times as long
as these products, which are small, and each layer has to wait for the one before.
"""

_MIN_PIECE = 4
"""Least columns of a product, below which it would be one with a vector."""


def shifted(values: NDArray[np.float64], shift: int) -> NDArray[np.float64]:
    """Return integers divided by ``2 ** shift``, rounded to the nearest, halves up."""
    return np.floor(np.ldexp(values, -shift) + 0.5)


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution of odd size, padded with zeros, then a division by a power of two.

    Attributes
    ----------
    weights : ndarray of int16, shape (out, in, k, k)
        In units of ``2 ** -scale``.
    bias : ndarray of int64, shape (1 or qualities, out)
        In units of ``2 ** -(scale + FRACTION)``; one row for all qualities, or one for each.
    scale : int
        Binary digits after the point of the weights.
    """

    weights: NDArray[np.int16]
    bias: NDArray[np.int64]
    scale: int

    def __post_init__(self) -> None:
        weights, bias = self.weights, self.bias
        if not (
            weights.dtype == np.int16
            and weights.ndim == 4
            and weights.shape[2] == weights.shape[3]
            and weights.shape[2] % 2 == 1
            and bias.dtype == np.int64
            and bias.ndim == 2
            and bias.shape[1] == len(weights)
            and min(weights.size, bias.size) > 0
            and OUTPUT_FRACTION - FRACTION <= self.scale <= 30
        ):
            raise RadioError(
                f"a layer of weights {weights.shape} ({weights.dtype}) and biases {bias.shape} "
                f"({bias.dtype}) at scale {self.scale} is not one of an integer network"
            )
        reach = np.abs(weights.astype(np.int64)).sum(axis=(1, 2, 3)).max() * LARGEST
        if int(reach) + abs(int(bias.max())) + abs(int(bias.min())) >= _EXACT:
            raise RadioError("a layer of an integer network can exceed 2^53: use smaller weights")
        # One matrix for each offset of the kernel.
        taps = np.ascontiguousarray(weights.transpose(2, 3, 0, 1), np.float64)
        object.__setattr__(self, "_taps", taps)

    def __call__(self, values: NDArray[np.float64], quality: int) -> NDArray[np.float64]:
        """Return the sums, shape (out, h, w), with ``scale + FRACTION`` digits after the point."""
        taps: NDArray[np.float64] = self._taps  # type: ignore[attr-defined]
        size, outputs = len(taps), len(self.weights)
        channels, height, width = values.shape
        # All rows one after another, with zeros between them: each offset of the kernel is then one
        # of the flat array, cut into pieces (pieces, channels, piece) without copying.
        row, margin = width + size - 1, size // 2
        piece = max(_MIN_PIECE, _ONE_THREAD // taps[0, 0].size)
        pieces = -(-height * row // piece)
        flat = np.zeros((channels, (size - 1) * (row + 1) + pieces * piece))
        rows = flat[:, : (height + size - 1) * row].reshape(channels, -1, row)
        rows[:, margin : margin + height, margin : margin + width] = values
        bias = self.bias[quality if len(self.bias) > 1 else 0].astype(np.float64)
        sums = np.repeat(bias[None, :, None], pieces, axis=0).repeat(piece, axis=2)
        for y in range(size):
            for x in range(size):
                start = y * row + x
                moved = flat[:, start : start + pieces * piece].reshape(channels, pieces, piece)
                sums += taps[y, x] @ moved.transpose(1, 0, 2)
        by_row = sums.transpose(1, 0, 2).reshape(outputs, -1)[:, : height * row]
        return by_row.reshape(outputs, height, row)[:, :, :width]


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Convolutions with a ReLU between each two.

    Attributes
    ----------
    layers : tuple of Layer
        From the input on.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        channels = [(layer.weights.shape[1], layer.weights.shape[0]) for layer in self.layers]
        fits = all(before[1] == after[0] for before, after in pairwise(channels))
        if not (1 <= len(self.layers) <= MAX_LAYERS and fits):
            raise RadioError(f"layers of {channels} channels do not make an integer network")

    @property
    def inputs(self) -> int:
        """Channels that go in."""
        return int(self.layers[0].weights.shape[1])

    @property
    def outputs(self) -> int:
        """Channels that come out."""
        return int(self.layers[-1].weights.shape[0])

    def __call__(self, values: NDArray[np.float64], quality: int) -> NDArray[np.float64]:
        """Run the network.

        Parameters
        ----------
        values : ndarray of float64, shape (inputs, h, w)
            Integers with `FRACTION` digits after the point; those beyond `LARGEST` are clipped.
        quality : int
            Row of the biases that depend on it.

        Returns
        -------
        ndarray of float64, shape (outputs, h, w)
            Integers with `OUTPUT_FRACTION` digits after the point, at most `LARGEST_OUTPUT`.
        """
        values = np.clip(values, -LARGEST, LARGEST)
        for layer in self.layers[:-1]:
            values = np.clip(shifted(layer(values, quality), layer.scale), 0, LARGEST)
        last = self.layers[-1]
        sums = shifted(last(values, quality), last.scale + FRACTION - OUTPUT_FRACTION)
        return np.clip(sums, -LARGEST_OUTPUT, LARGEST_OUTPUT)

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays, from which `from_arrays` makes the same network."""
        named: dict[str, NDArray[Any]] = {}
        for index, layer in enumerate(self.layers):
            named[f"{prefix}.{index}.weights"] = layer.weights
            named[f"{prefix}.{index}.bias"] = layer.bias
            named[f"{prefix}.{index}.scale"] = np.array(layer.scale, np.int64)
        return named

    @classmethod
    def from_arrays(cls, named: Mapping[str, NDArray[Any]], prefix: str) -> IntegerNetwork:
        """Make a network from named arrays.

        Raises
        ------
        RadioError
            If they do not make one.
        """
        layers: list[Layer] = []
        while f"{prefix}.{len(layers)}.weights" in named and len(layers) <= MAX_LAYERS:
            name = f"{prefix}.{len(layers)}"
            try:
                scale = int(named[f"{name}.scale"])
                layers.append(Layer(named[f"{name}.weights"], named[f"{name}.bias"], scale))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise RadioError(
                    f"the arrays of {name} are not those of a layer: {error}"
                ) from None
        return cls(tuple(layers))
