"""What the controller learns from: two windows as it would see them, and what every tile brings.

A sequence of windows is read under grids and rebuilt. The features of two windows go with the
errors of every block two windows later, once for each tile of the palette under that tile
everywhere: that is the delay of the loop (`focalloop.host.adaptive.closed_loop`). In a recording,
unlike in the loop, what the tiles that were not chosen would have brought can be known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from focalloop.firmware_sim.allocation import allocate
from focalloop.firmware_sim.block_features import block_features, reading
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.models.adaptive.palette import random_grid
from focalloop.models.networks.memory import NOTHING
from focalloop.models.networks.sensing import clean_reads, read_out

WINDOWS = 4
"""Windows of a sequence: two that are seen, one that passes, and the one whose error counts."""

USUAL_READS = 0.25
"""Fewest reads per pixel of the tiles under which windows are read at random."""

WAYS = 3
"""Ways in which the windows that are seen are read: at random, as a controller might choose that
knows errors badly, and under one tile everywhere."""

CUT_STEP = 10
"""A sequence has a cut where two frames differ by so many gray levels per pixel ..."""

CUT_RATIO = 4
"""... and by so many times what nine in ten neighbours of the sequence do at most."""


@dataclass(frozen=True, eq=False)
class Samples:
    """One row for each time that two windows are seen.

    A sequence counts twice, since it is played backwards too, in each of the `WAYS`.

    Attributes
    ----------
    features : ndarray of float32, shape (N, F, R, C)
        `block_features` of the two windows.
    error : ndarray of float32, shape (N, P, R, C)
        Mean squared error of each block under each tile two windows later, of a white of 1.
    reads : ndarray of float32, shape (P,)
        Reads per pixel of each tile.
    """

    features: NDArray[np.float32]
    error: NDArray[np.float32]
    reads: NDArray[np.float32]


def draw_samples(
    sequences: NDArray[np.uint8],
    adaptive_map: AdaptiveMap,
    reconstruct: Callable[[Tensor, Tensor, Tensor], Tensor],
    profile: NoiseProfile,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Samples:
    """Read every sequence under every tile, and under grids as the loop might have.

    Parameters
    ----------
    sequences : ndarray of uint8, shape (N, WINDOWS * T, S, S)
        Consecutive frames.
    adaptive_map : AdaptiveMap
        Palette, of the size of the frames, which its blocks divide.
    reconstruct : callable
        Reconstruction of the loop, from reads (N, K, S, S), levels (N, S, S) and the last frame of
        the window before (N, S, S), which a network with memory uses, to (N, T, S, S).
    profile : NoiseProfile
        Noise of the sensor.
    seed : int
        Of grids and noise.
    progress : callable, optional
        Called with the number of sequences done.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    readings, block = reading(adaptive_map.tiles), adaptive_map.block
    usual = np.flatnonzero(adaptive_map.tiles.mean(axis=(1, 2)) >= USUAL_READS)

    def rebuilt(
        window: NDArray[np.uint8], grid: NDArray[np.uint8], last: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        scene = torch.from_numpy(window[None].copy()).float() / 255
        levels = torch.from_numpy(adaptive_map.compose(grid).levels[None].copy())
        with torch.inference_mode():
            reads = read_out(clean_reads(scene, levels), levels, profile, generator=generator)
            video = reconstruct(reads, levels, torch.from_numpy(last[None].copy()))
            shown: NDArray[np.float32] = video[0].clamp(0, 1).numpy()
        return shown

    def in_a_row(
        windows: NDArray[np.uint8], grids: list[NDArray[np.uint8]]
    ) -> list[NDArray[np.float32]]:
        videos: list[NDArray[np.float32]] = []
        for window, grid in zip(windows, grids, strict=False):
            last = videos[-1][-1] if videos else nothing
            videos.append(rebuilt(window, grid, last))
        return videos

    nothing = np.full(adaptive_map.shape, NOTHING, np.float32)
    features, errors = [], []
    for number, sequence in enumerate(chain(*zip(sequences, sequences[:, ::-1], strict=True))):
        windows = sequence.reshape(WINDOWS, -1, *sequence.shape[1:])
        scene = windows[-1].astype(np.float32) / 255
        grids = [random_grid(rng, adaptive_map, usual) for _ in windows[:-1]]
        at_random = in_a_row(windows, grids)
        found = []
        for tile in range(len(adaptive_map.tiles)):
            everywhere = np.full(adaptive_map.grid_shape, tile, np.uint8)
            video = rebuilt(windows[-1], everywhere, at_random[-1][-1])
            found.append(_block_means(np.square(video - scene).mean(axis=0), block))
        error = np.stack(found).astype(np.float32)
        badly = [_badly_chosen(rng, adaptive_map, error) for _ in range(2)]
        same = [np.full(adaptive_map.grid_shape, rng.choice(usual), np.uint8)] * 2
        seen = [(at_random[:2], grids[:2])]
        seen += [(in_a_row(windows, each), each) for each in (badly, same)]
        for (one, other), (before, after) in seen:
            told = np.concatenate([readings[:, after], readings[:, before]])
            features.append(block_features(other, one, told, block))
            errors.append(error)
        progress((number + 1) // 2)
    reads = adaptive_map.tiles.mean(axis=(1, 2), dtype=np.float32)
    return Samples(np.stack(features), np.stack(errors), reads)


def has_cut(sequence: NDArray[np.uint8]) -> bool:
    """Whether the scene changes within a sequence (F, H, W): nothing can be learned from that."""
    coarse = sequence[:, ::2, ::2].astype(np.int16)
    steps = np.abs(np.diff(coarse, axis=0)).mean(axis=(1, 2))
    return bool(steps.max() > max(CUT_STEP, CUT_RATIO * np.quantile(steps, 0.9)))


def _badly_chosen(
    rng: np.random.Generator, adaptive_map: AdaptiveMap, error: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Choose a grid of one read per pixel by errors (P, R, C) that are falsified at random."""
    wrong = rng.choice([0.2, 0.6, 1.2])
    noise = rng.standard_normal((len(error), 1, 1)) + rng.standard_normal(error.shape)
    falsified = (error * np.exp(wrong * noise)).reshape(len(error), -1).astype(np.float64)
    reads = adaptive_map.tiles.mean(axis=(1, 2))
    costs = np.repeat(reads[:, None], falsified.shape[1], axis=1)
    budget = max(1.0, float(reads.min())) * falsified.shape[1]
    chosen = allocate(falsified, costs, budget)
    return chosen.reshape(error.shape[1:]).astype(np.uint8)


def _block_means(values: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    rows, columns = (side // block for side in values.shape)
    means: NDArray[np.float32] = values.reshape(rows, block, columns, block).mean(axis=(1, 3))
    return means
