"""A small convolutional network over the blocks of an array, in NumPy.

Layer by layer: a convolution of odd side whose input is continued at the edges, then, but for the
last layer, max(x, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BlockNetwork:
    """The weights.

    Attributes
    ----------
    layers : tuple of (ndarray of float32, ndarray of float32)
        Weight (out, in, k, k) and bias (out,) of each layer.
    """

    layers: tuple[tuple[Float32, Float32], ...]

    @property
    def inputs(self) -> int:
        """Features per block."""
        return int(self.layers[0][0].shape[1])

    @property
    def outputs(self) -> int:
        """Values per block."""
        return len(self.layers[-1][1])

    def __call__(self, features: Float32) -> Float32:
        """Compute (outputs, R, C) from features (inputs, R, C)."""
        values = features
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                values = np.maximum(values, 0)
            values = _convolved(values, weight) + bias[:, None, None]
        return values


def _convolved(values: Float32, weight: Float32) -> Float32:
    """Convolve (in, R, C) with (out, in, k, k)."""
    side = weight.shape[-1]
    edges = (side // 2, side // 2)
    padded = np.pad(values, ((0, 0), edges, edges), mode="edge")
    patches = sliding_window_view(padded, (side, side), axis=(1, 2))  # (in, R, C, k, k)
    columns = patches.transpose(0, 3, 4, 1, 2).reshape(-1, values.shape[1] * values.shape[2])
    found: Float32 = weight.reshape(len(weight), -1) @ columns
    return found.reshape(len(weight), *values.shape[1:])
