"""The shipped network against PyTorch and real time: ``python -m benchmarks.reconstruction``.

One window of 16x256x256 at a time, from reads in memory to video in memory, through the very class
that the preview uses. The peers:

* *torch eager*: the same network in PyTorch, float32, on as many threads;
* *real time*: a window of 16 slots at 240 slots a second lasts 66.7 ms.

All candidates take turns in one run, and each figure is the median of its turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    from models.networks import EdgeNetwork, EdgeSettings

    size = bundle.meta["training"]["settings"]["network"]
    network = EdgeNetwork(EdgeSettings(**size)).eval()
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


def rows(name: str, times_ms: dict[tuple[str, int], float]) -> list[dict[str, Any]]:
    """Set each time of ONNX Runtime beside its peers; the ratio is how much faster it is."""
    table = []
    for (engine, threads), value in times_ms.items():
        if engine != "onnx":
            continue
        peers = {"real time (16 slots at 240/s)": WINDOW_MS}
        if ("torch", threads) in times_ms:
            peers[f"torch eager, threads={threads}"] = times_ms["torch", threads]
        for peer, peer_value in peers.items():
            table.append(
                {
                    "name": f"{name}, 256x256, threads={threads}",
                    "value": round(value, 2),
                    "unit": "ms/window",
                    "peer": peer,
                    "peer_value": round(peer_value, 2),
                    "ratio": round(peer_value / value, 2),
                }
            )
    return table


def main() -> None:
    """Measure and print a table, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE, help="a shipped name or a path")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if find_spec("torch") is None:
        print("torch is not installed: its rows are left out", file=sys.stderr)
    bundle = Bundle.load(options.bundle)
    table = rows(bundle.name, measure(candidates(bundle, os.cpu_count() or 1)))
    if options.json:
        print(json.dumps({"rows": table}, indent=2))
        return
    for row in table:
        print(
            f"{row['name']:<38} {row['value']:8.2f} {row['unit']}   "
            f"{row['ratio']:5.2f}x {row['peer']} ({row['peer_value']:.2f})"
        )


if __name__ == "__main__":
    main()
