"""What the controller of an adaptive map should learn: errors, or a policy.

``python -m benchmarks.adaptive_learning SEQUENCES --samples FILE`` trains a controller of one
network on the same samples and for the same steps in each way that ``focalloop adaptive train
--learn`` offers, and runs it in closed loop in simulation, as `benchmarks.adaptive` does. It prints
the PSNR in dB over the windows that count: the mean of the clips, and the least gain of one over
the tile of the resting map. `errors, averaged` is the mean of as many networks as are shipped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.adaptive import MAX_BYTES, Benchmark
from focalloop.firmware_sim.archives import opened
from focalloop.firmware_sim.files import scratch_folder
from focalloop.host.adaptive.closed_loop import Choice, controlled
from focalloop.host.adaptive.controller import Grid, Seen
from focalloop.host.adaptive.controller_file import load_controller
from focalloop.models.adaptive.controller_training import train_controller
from focalloop.models.adaptive.drawn_samples import DrawnSamples
from focalloop.models.adaptive.regression import FitSettings

USUAL = FitSettings()
WAYS = {
    "sampled-policy": replace(USUAL, learn="sampled-policy", members=1),
    "policy": replace(USUAL, learn="policy", members=1),
    "errors": replace(USUAL, members=1),
    "errors, averaged": USUAL,
}


def measure(
    sequences: NDArray[np.uint8], samples: DrawnSamples, steps: int, budget: float
) -> Iterator[tuple[str, list[float], list[float]]]:
    """Train in each way; yield its name, the PSNR of each clip, and that of the map at rest."""
    at_rest: list[float] = []
    for name, settings in WAYS.items():
        trained = train_controller(samples, replace(settings, steps=steps))
        with scratch_folder() as folder:
            trained.save(folder / "controller.npz")
            controller = load_controller(folder / "controller.npz")
        benchmark = Benchmark(controller, budget, sequences)
        if not at_rest:
            rest = benchmark.controller.at_rest(benchmark.budget)
            at_rest = _psnr(benchmark, sequences, partial(_same, rest))
        choice = controlled(benchmark.controller, benchmark.budget)
        yield name, _psnr(benchmark, sequences, choice), at_rest


def _same(grid: Grid, number: int, seen: Sequence[Seen]) -> Grid:
    return grid


def _psnr(benchmark: Benchmark, sequences: NDArray[np.uint8], choose: Choice) -> list[float]:
    return [benchmark.psnr(benchmark.run(frames, choose).error) for frames in sequences]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Ways for a controller to learn.")
    parser.add_argument("sequences", type=Path, help="an .npz with sequences (N, F, H, W)")
    parser.add_argument(
        "--samples", type=Path, required=True, help="what `adaptive train --keep-samples` wrote"
    )
    parser.add_argument("--steps", type=int, default=USUAL.steps, help="of each network")
    parser.add_argument("--budget", type=float, default=1 / 16, help="r_avg; 0.0625 by default")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with opened(options.sequences) as archive:
        sequences = archive.array("sequences.npy", MAX_BYTES)
    samples = DrawnSamples.load(options.samples)
    found = {}
    for name, psnr, at_rest in measure(sequences, samples, options.steps, options.budget):
        found[name] = {
            "mean": float(np.mean(psnr)),
            "least_gain": float(np.min(np.subtract(psnr, at_rest))),
        }
        if not options.json:
            mean, gain = found[name].values()
            print(f"{name:16} {mean:8.2f} {gain:8.2f}", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
