"""The closed loop in simulation: windows read, reconstructed, and their successors' tiles chosen.

While window n is exposed, window n - 1 is reconstructed; the grid that follows from it can name
window n + 1 at the earliest. So what is known of a window's scene is two windows old.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.adaptive.controller import Controller, Grid, Seen
from focalloop.host.reconstruction.memory import LastFrame, Place
from focalloop.host.reconstruction.reconstruct import Reconstructor

DELAY = 2
"""Windows from the last one that a choice is based on to the first that it applies to."""

FIRST = DELAY + 1
"""First window that a controller chooses for, since it has to know two. Those before are read at
rest."""

Choice = Callable[[int, Sequence[Seen]], Grid]
"""Gives the grid of a window from its number and the reconstructed windows, the newest last."""


@dataclass(frozen=True, eq=False)
class Loop:
    """What came of a run.

    Attributes
    ----------
    grids : ndarray of uint8, shape (N, R, C)
        Grid of each window.
    error : ndarray of float64, shape (N, R, C)
        Squared error of each block: the sum over its pixels of the mean over the window.
    reads : ndarray of int64, shape (N,)
        Reads in each window.
    """

    grids: NDArray[np.uint8]
    error: NDArray[np.float64]
    reads: NDArray[np.int64]


def closed_loop(
    frames: NDArray[np.uint8],
    adaptive_map: AdaptiveMap,
    choose: Choice,
    reconstruct: Reconstructor,
    profile: NoiseProfile,
    *,
    seed: int = 0,
) -> Loop:
    """Run an adaptive map over a video.

    Parameters
    ----------
    frames : ndarray of uint8, shape (F, H, W)
        One per slot; a remainder that fills no window is left out.
    adaptive_map : AdaptiveMap
        Of the frames' size.
    choose : callable
        Chooses each grid; it is given the windows up to `DELAY` before.
    reconstruct : callable
        Turns reads and a ratio map into video; with memory, it is told the last frame before.
    profile : NoiseProfile
        Noise of the sensor.
    seed : int, optional
        Seed of the noise.
    """
    from focalloop.firmware_sim.emulator.emulator import Emulator  # loads Numba

    slots = adaptive_map.resting.slots
    seen: list[Seen] = []
    errors, reads, last = [], [], LastFrame()
    for number in range(len(frames) // slots):
        grid = choose(number, seen[: max(number - DELAY + 1, 0)])
        ratio_map = adaptive_map.compose(grid)
        emulator = Emulator(ratio_map, profile, seed=seed)
        scene = frames[number * slots : (number + 1) * slots]
        planes = emulator.plan.planes(profile.signal(emulator.read_out(scene, number)))
        video = np.clip(last.rebuild(reconstruct, planes, ratio_map, Place(None, number)), 0, 1)
        seen.append(Seen(video, grid))
        errors.append(block_errors(video, scene, adaptive_map.block))
        reads.append(emulator.plan.count)
    return Loop(np.stack([one.grid for one in seen]), np.stack(errors), np.array(reads))


def controlled(controller: Controller, budget: float, window_s: float = 0.0) -> Choice:
    """Return the choice of a controller under a budget of reads per window of this length."""

    def choose(number: int, seen: Sequence[Seen]) -> Grid:
        if len(seen) < 2:
            return controller.at_rest(budget)
        return controller.next_grid(seen, budget, window_s)

    return choose


def block_errors(
    video: NDArray[np.float32], scene: NDArray[np.uint8], block: int
) -> NDArray[np.float64]:
    """Return the squared error of each block, as in `Loop.error`; `scene` is (T, H, W)."""
    error = (video - scene.astype(np.float32) / 255) ** 2
    over_slots = error.mean(axis=0, dtype=np.float64)
    height, width = over_slots.shape
    rows = np.add.reduceat(over_slots, np.arange(0, height, block), axis=0)
    return np.add.reduceat(rows, np.arange(0, width, block), axis=1)
