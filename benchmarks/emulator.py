"""The emulator against plain forwards and the memory: ``python -m benchmarks.emulator [--json]``.

Windows of 16x256x256 uint8 per second under the 4x4 tile of two measurements per pixel, in batches
of 16. The peers do the least that gives the same measurements, and do not order the readout:

* *NumPy*: integer sums of the uint8 scene, without noise;
* *torch*: sums of a float32 scene that was converted beforehand; with noise, ``e + randn *
  sqrt(e s_ss^2 + s_r^2)``, scaled, rounded and clipped to 8 bits; on as many threads as the
  emulator uses in that row;
* *memory copy*: the scene of a window copied once, which reads and writes each byte.

All candidates take turns in one run, and each figure is the median of its turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset

SHAPE = (256, 256)
SLOTS = 16
BATCH = 16
TURNS = 9
TURN_S = 0.15
"""Length of a turn: long enough that waking the second core does not count."""

RATIO_MAP = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)
SPANS = [(level, SLOTS // level) for level in (1, 2, 4)]
NOISY = replace(
    preset("paper"), name="paper, 8 bit", bits=8, black_level_dn=20.0, full_scale_dn=220.0
)

Candidate = Callable[[], object]


def numpy_forward(scene: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Sum the spans of one window (T, H, W) into planes (4, H, W)."""
    planes = np.zeros((4, *SHAPE), np.uint16)
    for level, span in SPANS:
        here = level == RATIO_MAP.levels
        for read in range(level):
            light = scene[read * span].astype(np.uint16)
            for slot in range(read * span + 1, (read + 1) * span):
                light += scene[slot]
            planes[read] += light * here
    return planes


def torch_forward(scene: Any, levels: Any, noise: bool) -> Any:  # noqa: ANN401
    """Do the same with torch tensors of float32: signals, or with noise 8-bit codes."""
    import torch

    planes = torch.zeros((4, *SHAPE))
    for level, span in SPANS:
        sums = scene.reshape(level, span, *SHAPE).sum(dim=1) / SLOTS
        planes[:level] = torch.where(levels == level, sums, planes[:level])
    if not noise:
        return planes
    deviation = torch.sqrt(planes * NOISY.s_ss**2 + NOISY.s_r**2)
    planes = planes + torch.randn_like(planes) * deviation
    dn = torch.round(NOISY.black_level_dn + NOISY.full_scale_dn * planes)
    return dn.clamp(0, 255).to(torch.uint8)


def every(one: Callable[[Any], object], windows: Any) -> None:  # noqa: ANN401
    """Run `one` on each window of a batch."""
    for window in windows:
        one(window)


def on_torch_threads(threads: int, run: Candidate) -> None:
    """Run with this many threads in torch; setting them takes no measurable time."""
    import torch

    torch.set_num_threads(threads)
    run()


def candidates(scene: NDArray[np.uint8], cores: int) -> dict[str, Candidate]:
    """Return everything that is measured, by name; each call does `BATCH` windows."""
    copied = np.empty_like(scene)
    found: dict[str, Candidate] = {
        "memory copy": partial(np.copyto, copied, scene),
        "NumPy": partial(every, numpy_forward, scene),
    }
    profiles: list[NoiseProfile] = [preset("ideal"), NOISY, preset("scamp5")]
    for threads in range(1, min(cores, 2) + 1):
        for profile in profiles:
            emulator = Emulator(RATIO_MAP, profile, seed=1, threads=threads)
            found[f"{profile.name} {threads}"] = partial(emulator.read_out, scene)
    if find_spec("torch") is None:
        print("torch is not installed: its rows are left out", file=sys.stderr)
        return found
    import torch

    as_float = torch.from_numpy(scene).to(torch.float32) / 255
    levels = torch.from_numpy(RATIO_MAP.levels.copy())
    for threads in range(1, min(cores, 2) + 1):
        for noise in (False, True):
            forward = partial(torch_forward, levels=levels, noise=noise)
            run = partial(on_torch_threads, threads, partial(every, forward, as_float))
            found[f"torch {'noise' if noise else 'sums'} {threads}"] = run
    return found


def windows_per_second(runs: dict[str, Candidate]) -> dict[str, float]:
    """Measure all in turns, so that other load of the machine falls on all of them alike."""
    repeats = {}
    for name, run in runs.items():
        run()  # compiles, and touches the memory
        started_s = time.perf_counter()
        run()
        repeats[name] = max(1, round(TURN_S / (time.perf_counter() - started_s)))
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(TURNS):
        for name, run in runs.items():
            started_s = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            seconds = time.perf_counter() - started_s
            rates[name].append(repeats[name] * BATCH / seconds)
    return {name: statistics.median(rate) for name, rate in rates.items()}


def rows(rates: dict[str, float]) -> list[Row]:
    """Pair each of our figures with its peers."""
    comparisons = [
        ("ideal 1", "NumPy"),
        ("ideal 1", "torch sums 1"),
        ("ideal 1", "memory copy"),
        ("ideal 2", "torch sums 2"),
        ("ideal 2", "ideal 1"),
        (f"{NOISY.name} 1", "torch noise 1"),
        (f"{NOISY.name} 1", "memory copy"),
        (f"{NOISY.name} 2", "torch noise 2"),
        (f"{NOISY.name} 2", f"{NOISY.name} 1"),
        ("scamp5 1", "torch noise 1"),
        ("scamp5 2", "scamp5 1"),
    ]
    return [
        Row.of(_label(ours), rates[ours], "windows/s", _label(peer), rates[peer])
        for ours, peer in comparisons
        if ours in rates and peer in rates
    ]


def _label(name: str) -> str:
    """``ideal 2`` as ``ideal, 2 threads``."""
    what, _, threads = name.rpartition(" ")
    if not threads.isdigit():
        return name
    return f"{what}, {threads} thread{'s' if threads != '1' else ''}"


def measure() -> list[Row]:
    """Run every candidate on one batch of random scenes."""
    scene = np.random.default_rng(0).integers(0, 256, (BATCH, SLOTS, *SHAPE), dtype=np.uint8)
    return rows(windows_per_second(candidates(scene, os.cpu_count() or 1)))


if __name__ == "__main__":
    report.main("Windows per second of the emulator.", measure)
