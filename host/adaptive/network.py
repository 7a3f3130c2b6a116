"""Small convolutional networks over the blocks of an array, whose outputs are averaged, in NumPy.

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
        Weight (M, out, in, k, k) and bias (M, out) of each layer of M networks.
    """

    layers: tuple[tuple[Float32, Float32], ...]

    @property
    def inputs(self) -> int:
        """Features per block."""
        return int(self.layers[0][0].shape[2])

    @property
    def outputs(self) -> int:
        """Values per block."""
        return int(self.layers[-1][1].shape[1])

    def __call__(self, features: Float32) -> Float32:
        """Compute (outputs, R, C) from features (inputs, R, C)."""
        values = features[None]
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                values = np.maximum(values, 0)
            values = _convolved(values, weight) + bias[:, :, None, None]
        mean: Float32 = values.mean(axis=0)
        return mean


def _convolved(values: Float32, weight: Float32) -> Float32:
    """Convolve (M or 1, in, R, C) with (M, out, in, k, k)."""
    side = weight.shape[-1]
    edges = (side // 2, side // 2)
    padded = np.pad(values, ((0, 0), (0, 0), edges, edges), mode="edge")
    patches = sliding_window_view(padded, (side, side), axis=(2, 3))  # (M, in, R, C, k, k)
    blocks = values.shape[2:]
    columns = patches.transpose(0, 1, 4, 5, 2, 3).reshape(len(values), -1, blocks[0] * blocks[1])
    found: Float32 = weight.reshape(*weight.shape[:2], -1) @ columns
    return found.reshape(*weight.shape[:2], *blocks)
