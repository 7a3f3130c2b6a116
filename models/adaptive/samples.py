"""What the controller learns from: blocks of windows, read under tiles drawn at random.

A sequence of windows is read under random grids and reconstructed. The features of two windows go
with the error of every block two windows later, under further random grids: that is the delay of
the loop (`focalloop.host.adaptive.closed_loop`). Only the error under the tile that a block had is
seen, as in the loop itself, with the neighbours that it happened to have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.block_features import block_features, reading
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.networks.sensing import clean_reads, read_out

WINDOWS = 4
"""Windows of a sequence: two that are seen, one that passes, and the one whose error counts."""

TARGETS = 3
"""Grids under which the last window of each sequence is read. A sequence counts twice: it is played
backwards too."""


USUAL_READS = 0.25
"""Fewest reads per pixel of the tiles under which windows are seen."""


@dataclass(frozen=True, eq=False)
class Samples:
    """One row for each grid of a last window.

    Attributes
    ----------
    features : Tensor of float32, shape (N, F, R, C)
        `block_features` of the two windows that are seen.
    tile : Tensor of int64, shape (N, R, C)
        Tile that each block had in the last window.
    error : Tensor of float32, shape (N, R, C)
        Its mean squared error there, of a white of 1.
    """

    features: Tensor
    tile: Tensor
    error: Tensor


def draw_samples(
    sequences: NDArray[np.uint8],
    adaptive_map: AdaptiveMap,
    reconstruct: Callable[[Tensor, Tensor], Tensor],
    profile: NoiseProfile,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Samples:
    """Read every sequence under random grids.

    Parameters
    ----------
    sequences : ndarray of uint8, shape (N, WINDOWS * T, S, S)
        Consecutive frames.
    adaptive_map : AdaptiveMap
        Palette, of the size of the frames, which its blocks divide.
    reconstruct : callable
        Reconstruction of the loop, from reads (N, K, S, S) and levels (N, S, S) to (N, T, S, S).
    profile : NoiseProfile
        Noise of the sensor.
    seed : int
        Of grids and noise.
    progress : callable, optional
        Called with the number of sequences done.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    readings = reading(adaptive_map.tiles)
    features, tiles, errors = [], [], []
    for number, sequence in enumerate(chain(*zip(sequences, sequences[:, ::-1], strict=True))):
        windows = sequence.reshape(WINDOWS, -1, *sequence.shape[1:])
        grids = [usual_grid(rng, adaptive_map) for _ in range(2)]
        grids += [random_grid(rng, adaptive_map) for _ in range(TARGETS)]
        shown = torch.from_numpy(windows[[0, 1, *[WINDOWS - 1] * TARGETS]]).float() / 255
        levels = torch.from_numpy(np.stack([adaptive_map.compose(g).levels for g in grids]))
        with torch.inference_mode():
            reads = read_out(clean_reads(shown, levels), levels, profile, generator=generator)
            videos = reconstruct(reads, levels).clamp(0, 1)
        read = np.concatenate([readings[:, grids[1]], readings[:, grids[0]]])
        seen, previous = videos[1].numpy(), videos[0].numpy()
        features.append(block_features(seen, previous, read, adaptive_map.block))
        tiles += grids[2:]
        errors.append(_block_means((videos[2:] - shown[2:]) ** 2, adaptive_map.block))
        progress((number + 1) // 2)
    return Samples(
        torch.from_numpy(np.repeat(np.stack(features), TARGETS, axis=0)),
        torch.from_numpy(np.stack(tiles).astype(np.int64)),
        torch.cat(errors),
    )


def usual_grid(rng: np.random.Generator, adaptive_map: AdaptiveMap) -> NDArray[np.uint8]:
    """Draw a grid as a controller might choose it: hardly ever with almost no reads."""
    reads = adaptive_map.tiles.mean(axis=(1, 2))
    return random_grid(rng, adaptive_map, np.flatnonzero(reads >= USUAL_READS))


def random_grid(
    rng: np.random.Generator,
    adaptive_map: AdaptiveMap,
    tiles: NDArray[np.intp] | None = None,
) -> NDArray[np.uint8]:
    """Draw a grid: one tile, or a few of the palette scattered over blocks or over larger areas."""
    rows, columns = adaptive_map.grid_shape
    among = np.arange(len(adaptive_map.tiles)) if tiles is None else tiles
    few = rng.choice(among, int(rng.integers(1, min(len(among), 7) + 1)), replace=False)
    side = int(rng.integers(1, 5))
    drawn = rng.choice(few, (-(-rows // side), -(-columns // side)))
    areas = drawn.repeat(side, axis=0).repeat(side, axis=1)[:rows, :columns]
    return areas.astype(np.uint8)


def _block_means(error: Tensor, block: int) -> Tensor:
    """Average an error (N, T, S, S) over slots and blocks, (N, R, C)."""
    over_slots = error.mean(dim=1)
    return torch.nn.functional.avg_pool2d(over_slots[:, None], block)[:, 0]
