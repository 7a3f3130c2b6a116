"""The shipped network against PyTorch and real time: ``python -m benchmarks.reconstruction``.

One window of 16x256x256 at a time, from reads in memory to video in memory, through the very class
that the preview uses. The peers:

* *torch eager*: the same network in PyTorch, float32, on as many threads;
* *real time*: a window of 16 slots at 240 slots a second lasts 66.7 ms.

All candidates take turns in one run, and each figure is the median of its turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from firmware_sim.ratio_map import RatioMap
from host.bundle import DEFAULT_BUNDLE, Bundle

SHAPE = (256, 256)
WINDOW_MS = 1e3 * 16 / 240
TURNS = 9
RUNS = 4

Candidate = Callable[[], object]


def torch_eager(
    bundle: Bundle, reads: NDArray[np.float32], ratio_map: RatioMap, threads: int
) -> Candidate:
    """Return one reconstruction by the bundle's network in PyTorch; its weights do not matter."""
    import torch

    from models.networks import NetworkSettings, build_network

    size = bundle.meta["training"]["settings"]["network"]
    network = build_network(NetworkSettings(**size)).eval()
    inputs = torch.from_numpy(reads)[None], torch.from_numpy(ratio_map.levels.copy())[None]

    def run() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            network(*inputs)

    return run


def candidates(bundle: Bundle, cores: int) -> dict[tuple[str, int], Candidate]:
    """Everything that is measured, by name and number of threads."""
    ratio_map = bundle.ratio_map.tiled_to(*SHAPE)
    reads = np.random.default_rng(0).random((8, *SHAPE), np.float32)
    found: dict[tuple[str, int], Candidate] = {}
    for threads in range(1, min(cores, 2) + 1):
        reconstruct = bundle.reconstructor(threads)
        found["onnx", threads] = lambda run=reconstruct: run(reads, ratio_map)  # type: ignore[misc]
        if find_spec("torch"):
            found["torch", threads] = torch_eager(bundle, reads, ratio_map, threads)
    return found


def measure(runs: dict[tuple[str, int], Candidate]) -> dict[tuple[str, int], float]:
    """Return each candidate's median time, in milliseconds."""
    times: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    for _ in range(TURNS):
        for key, run in runs.items():
            run()  # wakes its threads, which may have slept or been another number of them
            for _ in range(RUNS):
                started = time.perf_counter()
                run()
                times[key].append(1e3 * (time.perf_counter() - started))
    return {key: statistics.median(values) for key, values in times.items()}


def rows() -> list[Row]:
    """Set each time of ONNX Runtime beside its peers; the ratio is how much faster it is."""
    if find_spec("torch") is None:
        print("torch is not installed: its rows are left out", file=sys.stderr)
    bundle = Bundle.load(DEFAULT_BUNDLE)
    times_ms = measure(candidates(bundle, os.cpu_count() or 1))
    table = []
    for (engine, threads), value in times_ms.items():
        if engine != "onnx":
            continue
        name = f"{bundle.name}, 256x256, {threads} thread{'s' if threads > 1 else ''}"
        peers = {"real time, 16 slots at 240/s": WINDOW_MS}
        if ("torch", threads) in times_ms:
            peers["torch eager, as many threads"] = times_ms["torch", threads]
        for peer, peer_value in peers.items():
            table.append(Row(name, value, "ms/window", peer, peer_value, peer_value / value))
    return table


if __name__ == "__main__":
    report.main("The shipped network against PyTorch and real time.", rows)
