"""The closed loop of an adaptive map in simulation, beside static maps and other ways to choose.

``python -m benchmarks.adaptive SEQUENCES`` prints a table of PSNR in dB. A row's PSNR of a clip is
that of the mean error of its windows from `FIRST` on, which are the first to be chosen. Rows:

static
    Each tile of the palette within the budget, and the shipped maps of the same reads, each with
    the best of the network of the loop, the universal one that is told the noise, and its own,
    if it has one.
best tile
    The better tile of each clip, which nobody knows beforehand.
adaptive
    The controller, with the delay of the loop.
oracle
    Tiles by the true error in the window itself that every tile has everywhere, which no controller
    can know.
reuse
    The same of the window `DELAY` before.
look-up
    One tile for the whole frame by its motion, after Yuan et al. (arXiv 1302.3446).
flow
    A tile for each block by its motion.

The last two know for each of four speeds the errors of every tile, averaged over the *other* clips.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import opened
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.host.adaptive.closed_loop import DELAY, FIRST, Choice, Loop, closed_loop, controlled
from focalloop.host.adaptive.controller import Controller, Grid, Seen
from focalloop.host.adaptive.controller_file import load_controller
from focalloop.host.reconstruction.bundle import Bundle, adaptive_bundle
from focalloop.host.reconstruction.evaluate import capture_clips
from focalloop.host.reconstruction.memory import LastFrame, Place, remembers
from focalloop.host.reconstruction.quality import mse, psnr_of_mse
from focalloop.host.reconstruction.reconstruct import Reconstructor
from focalloop.models.zoo import DEFAULT_CONTROLLER, TOLD_BUNDLE

STATIC = {1: ("edge-fixed-1of16", "edge-learned-1of16")}
"""Shipped bundles by the reads per pixel of their maps."""

BEST_TILE = "best tile"
CHOSEN = ("adaptive", "oracle", "reuse", "look-up", "flow")
SPEEDS = 4
MAX_BYTES = 2 << 30

Table = NDArray[np.float64]
"""Errors of every window, tile and block, (N, P, R, C)."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One clip: the errors of every tile everywhere, and what its motion was."""

    name: str
    rate: float
    """Frames per second."""
    frames: NDArray[np.uint8]
    tiles: Table
    speed: NDArray[np.float64]
    """Of each block, from the windows seen under the resting tile, (N, R, C)."""


class Benchmark:
    """Everything that the rows share."""

    def __init__(
        self,
        controller: Controller,
        budget: float,
        sequences: NDArray[np.uint8],
        bundle: str | None = None,
    ) -> None:
        self.controller = controller.fitted_to(*sequences.shape[2:])
        self.adaptive_map = self.controller.adaptive_map
        self.slots = self.adaptive_map.resting.slots
        self.budget = budget * sequences[0, 0].size * self.slots
        self.profile: NoiseProfile = preset("paper")
        self.reconstruct: Reconstructor = Bundle.load(bundle or adaptive_bundle()).reconstructor()
        self.universal: Reconstructor = Bundle.load(TOLD_BUNDLE).reconstructor()

    def measured(self, name: str, rate: float, frames: NDArray[np.uint8]) -> Measured:
        """Read a clip under every tile."""
        errors, speed = [], np.empty(0)
        for tile in range(len(self.adaptive_map.tiles)):
            grid = np.full(self.adaptive_map.grid_shape, tile, np.uint8)
            speeds: list[NDArray[np.float32]] = []
            choose = partial(self._watched, grid, speeds)
            errors.append(self.run(frames, choose).error)
            if np.array_equal(grid, self.controller.at_rest(self.budget)):
                speed = np.stack([speeds[0]] * FIRST + speeds).astype(np.float64)
        return Measured(name, rate, frames, np.stack(errors, axis=1), speed)

    def _watched(
        self, grid: Grid, speeds: list[NDArray[np.float32]], number: int, seen: Sequence[Seen]
    ) -> Grid:
        """Return a grid, and note how fast each block seemed."""
        if len(seen) > 1:
            features = self.controller.features(seen[-1], seen[-2])
            speeds.append(features[2] - features[5])  # change over the window, over texture
        return grid

    def run(self, frames: NDArray[np.uint8], choose: Choice) -> Loop:
        """Run the loop with a choice."""
        return closed_loop(frames, self.adaptive_map, choose, self.reconstruct, self.profile)

    def psnr(self, error: NDArray[np.float64]) -> float:
        """Return the PSNR of block errors (N, R, C) of the windows that count."""
        return psnr_of_mse(float(error[FIRST:].sum(axis=(1, 2)).mean() / self.pixels))

    def controlled(self, rate: float) -> Choice:
        """Return the choice of the controller for a clip of so many frames per second."""
        return controlled(self.controller, self.budget, self.slots / rate)

    def adaptive(self, rate: float, frames: NDArray[np.uint8]) -> float:
        """Return the PSNR of a clip under the controller."""
        loop = self.run(frames, self.controlled(rate))
        assert loop.reads.max() <= self.budget
        return self.psnr(loop.error)

    def adaptive_rows(self, clip: Measured, others: Sequence[Measured]) -> dict[str, float]:
        """Return the PSNR of a clip in every row that chooses anew for each window."""
        controller, budget = self.controller, self.budget
        speeds = np.concatenate([other.speed[FIRST:].ravel() for other in others])
        edges = np.quantile(speeds, np.arange(1, SPEEDS) / SPEEDS)
        known = _errors_by_speed(others, edges)

        def at_most(errors: NDArray[np.float64]) -> Grid:
            return controller.picks(errors, budget)

        def by_flow(number: int, seen: Sequence[Seen]) -> Grid:
            return at_most(np.moveaxis(known[np.digitize(clip.speed[number], edges)], -1, 0))

        def by_look_up(number: int, seen: Sequence[Seen]) -> Grid:
            error = known[np.digitize(clip.speed[number].mean(), edges)]
            within = controller.reads.sum(axis=(1, 2)) <= budget
            tile = int(np.where(within, error, np.inf).argmin())
            return np.full(self.adaptive_map.grid_shape, tile, np.uint8)

        choices: dict[str, Choice] = {
            "adaptive": self.controlled(clip.rate),
            "oracle": lambda number, seen: at_most(clip.tiles[number]),
            "reuse": lambda number, seen: at_most(clip.tiles[max(number - DELAY, 0)]),
            "look-up": by_look_up,
            "flow": by_flow,
        }
        found = {}
        for name, choose in choices.items():
            loop = self.run(clip.frames, choose)
            assert loop.reads.max() <= budget, name
            found[name] = self.psnr(loop.error)
        return found

    def static_rows(self, clip: Measured) -> dict[str, float]:
        """Return the PSNR of a clip under every static map of at most the budget."""
        within = self.controller.reads.sum(axis=(1, 2)) <= self.budget
        found = {}
        for tile in np.flatnonzero(within):
            everywhere = np.full(self.adaptive_map.grid_shape, tile, np.uint8)
            ratio_map = self.adaptive_map.compose(everywhere)
            universal = self.still(clip.frames, ratio_map, self.universal)
            found[f"tile {tile}"] = max(self.psnr(clip.tiles[:, tile]), universal)
        best = max(found.values())
        for name in STATIC.get(round(self.budget / self.pixels), ()):
            bundle = Bundle.load(name)
            ratio_map = bundle.ratio_map.tiled_to(*self.adaptive_map.shape)
            networks = (bundle.reconstructor(), self.universal, self.reconstruct)
            found[name] = max(self.still(clip.frames, ratio_map, each) for each in networks)
        return found | {BEST_TILE: best}

    def still(
        self, frames: NDArray[np.uint8], ratio_map: RatioMap, network: Reconstructor
    ) -> float:
        """Return the PSNR of a clip under one map, by one network."""
        windows = frames[: len(frames) // self.slots * self.slots]
        windows = windows.reshape(-1, self.slots, *frames.shape[1:])
        last, errors = LastFrame(), []
        reads = capture_clips(windows, ratio_map, self.profile)
        for number, (read, shown) in enumerate(zip(reads, windows, strict=True)):
            if number >= FIRST or remembers(network):
                video = last.rebuild(network, read, ratio_map, Place(None, number))
                errors.append(mse(video, shown))
        return psnr_of_mse(float(np.mean(errors[FIRST - len(windows) :])))

    @property
    def pixels(self) -> int:
        """Pixels of the array."""
        height, width = self.adaptive_map.shape
        return height * width


def _errors_by_speed(clips: Sequence[Measured], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the errors of blocks of each speed under each tile, (SPEEDS, P)."""
    speed = np.concatenate([np.digitize(clip.speed[FIRST:], edges).ravel() for clip in clips])
    errors = np.concatenate(
        [np.moveaxis(clip.tiles[FIRST:], 1, -1).reshape(-1, clip.tiles.shape[1]) for clip in clips]
    )
    return np.stack([errors[speed == k].mean(axis=0) for k in range(SPEEDS)])


def cpu_milliseconds(controller: Controller, frames: NDArray[np.uint8], budget: float) -> float:
    """Return the median processor time of one choice."""
    video = frames[: controller.adaptive_map.resting.slots].astype(np.float32) / np.float32(255)
    window = Seen(video, controller.at_rest(budget))
    taken = []
    for _ in range(22):
        start = time.process_time()
        controller.next_grid([window, window], budget)
        taken.append(time.process_time() - start)
    return float(1000 * np.median(taken[2:]))


def table(benchmark: Benchmark, clips: Sequence[Measured]) -> dict[str, dict[str, float]]:
    """Return the PSNR of each clip in each row."""
    found = {}
    for clip in clips:
        others = [other for other in clips if other is not clip] or [clip]
        found[clip.name] = benchmark.static_rows(clip) | benchmark.adaptive_rows(clip, others)
    return found


def print_table(found: dict[str, dict[str, float]]) -> None:
    """Print rows with their mean, and their least gain over the best single map for all clips."""
    rows = {
        row: np.array([clip[row] for clip in found.values()]) for row in next(iter(found.values()))
    }
    static = rows.keys() - {BEST_TILE, *CHOSEN}
    single = max(static, key=lambda row: rows[row].mean(), default="adaptive")
    width = max(map(len, rows))
    columns = [*(name[:12] for name in found), "mean", "least gain"]
    print(" " * width, *(f"{column:>12}" for column in columns))
    for row, values in rows.items():
        numbers = [*values, values.mean(), (values - rows[single]).min()]
        print(f"{row:{width}}", *(f"{value:12.2f}" for value in numbers))
    if static:
        print(f"the best single map is {single}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Adaptive maps in closed loop, in simulation.")
    parser.add_argument("sequences", type=Path, help="an .npz with sequences (N, F, H, W)")
    parser.add_argument("--budget", type=float, default=1 / 16, help="r_avg; 0.0625 by default")
    parser.add_argument("--controller", default=DEFAULT_CONTROLLER, help="a name or a file")
    parser.add_argument("--bundle", help="of the loop, a name or a path; by default as live")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--alone", action="store_true", help="the row of the controller alone")
    options = parser.parse_args()
    with opened(options.sequences) as archive:
        sequences = archive.array("sequences.npy", MAX_BYTES)
        names = archive.array("names.npy", MAX_BYTES).tolist()
        rates = archive.array("rates.npy", MAX_BYTES).tolist()
    benchmark = Benchmark(
        load_controller(options.controller), options.budget, sequences, options.bundle
    )
    if options.alone:
        found = {
            name: {"adaptive": benchmark.adaptive(rate, frames)}
            for name, rate, frames in zip(names, rates, sequences, strict=True)
        }
    else:
        clips = [benchmark.measured(*one) for one in zip(names, rates, sequences, strict=True)]
        found = table(benchmark, clips)
    milliseconds = cpu_milliseconds(benchmark.controller, sequences[0], benchmark.budget)
    if options.json:
        print(json.dumps({"psnr": found, "choice_cpu_ms": milliseconds}, indent=2))
        return
    print_table(found)
    print(f"one choice takes {milliseconds:.1f} ms of one processor")


if __name__ == "__main__":
    main()
