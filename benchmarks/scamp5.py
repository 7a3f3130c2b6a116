"""The SCAMP-5 machine in integer mode: ``python -m benchmarks.scamp5 [--json]``.

Windows of 16 slots of 256x256 per second: the ratio-map program with its light and its scans, in
batches of 4. One map samples after every slot (levels 0 to 16, about 100 instruction words, as in
the windows with which other simulators of the chip were timed); the other is ``tile-2of16``.

The peers of the same run:

* *copies*: for windows, each register of the first program copied once; for instructions, one
  register copied once;
* *NumPy*: the reference array, one instruction at a time, in integer mode.

Two simulators in C++, which are not part of the run, are compared as well; see `MEASURED_APART`.

All candidates take turns in one run, and each figure is that of the best single run, because other
load of the machine can only slow them down. One thread is timed in processor time, two in elapsed
time; on a machine that does nothing else these are the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.scamp5 import Areg, Machine, Mode, Op, TransferNoise
from focalloop.firmware_sim.scamp5.exposure import Exposure
from focalloop.firmware_sim.scamp5.reference import ReferenceArray

SHAPE = (256, 256)
SLOTS = 16
BATCH = 4
TURNS = 10
TURN_S = 0.15
"""Length of a turn, in which a candidate runs again and again."""

COPIES = 20
"""Copies that are timed together, as one alone is too short to time."""

MEASURED_APART = {"cpa-sim": 513.0, "JSS": 230.0}
"""Windows per second of two other simulators of the chip, by Thomas Debrunner and Jamal Mulla: 16
slots, 94 instructions, 256x256, one thread, on a machine with two cores of an AMD EPYC. Measured
once, apart from this benchmark."""

EVERY_SLOT = RatioMap.from_tile([[16, 1], [2, 8]], SHAPE, SLOTS, (0, 1, 2, 4, 8, 16))
TILE = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)

Candidate = Callable[[], object]


def machine_run(exposure: Exposure, scene: NDArray[np.uint8], threads: int) -> Candidate:
    """Return a run of all windows of `scene` on a machine with the masks loaded."""
    machine = Machine(SHAPE, threads=threads)
    for dreg in exposure.masks:
        machine.load(dreg, exposure.mask(dreg))
    machine.run(exposure.start)
    return partial(machine.run, exposure.program, scene, exposure.gain(scene.dtype))


def numpy_run(exposure: Exposure, scene: NDArray[np.uint8]) -> None:
    """Run one window on the reference array."""
    array = ReferenceArray(SHAPE, Mode.INTEGER, TransferNoise())
    for dreg in exposure.masks:
        array.digital[dreg.value] = exposure.mask(dreg)
    for word in exposure.program.instructions:
        if word.op is Op.SCAN:
            array.scan(Areg(word.sources[0].value))
        else:
            array.execute(word, scene[0], exposure.gain(scene.dtype))


def used(exposure: Exposure) -> int:
    """Count the registers that the program names."""
    words = exposure.program.instructions
    return len({register for word in words for register in (*word.targets, *word.sources)})


def copies(registers: int) -> Candidate:
    """Return a run that copies this many registers of int8 `COPIES` times."""
    planes = np.ones((registers, *SHAPE), np.int8)  # zeros would share one page of memory
    copied = np.ones_like(planes)

    def run() -> None:
        for _ in range(COPIES):
            np.copyto(copied, planes)

    return run


def best_rates(runs: dict[str, tuple[Candidate, float]]) -> dict[str, float]:
    """Measure all in turns; the number beside a candidate is what one run counts for."""
    for run, _ in runs.values():
        run()  # compiles, and touches the memory
    best = dict.fromkeys(runs, 0.0)
    for _ in range(TURNS):
        for name, (run, count) in runs.items():
            clock = time.perf_counter if name.endswith("2 threads") else time.process_time
            turn_ends_s = time.perf_counter() + TURN_S
            while time.perf_counter() < turn_ends_s:
                started_s = clock()
                run()
                best[name] = max(best[name], count / (clock() - started_s))
    return best


def measure() -> list[Row]:
    """Run every candidate on one batch of random scenes."""
    scene = np.random.default_rng(0).integers(0, 256, (BATCH, SLOTS, *SHAPE), dtype=np.uint8)
    every_slot, tile = Exposure.of(EVERY_SLOT), Exposure.of(TILE)
    copy_all = f"copies of its {used(every_slot)} registers"
    copy_one = "copies of one register"
    runs: dict[str, tuple[Candidate, float]] = {
        "NumPy": (partial(numpy_run, every_slot, scene), 1),
        copy_all: (copies(used(every_slot)), COPIES),
        copy_one: (copies(1), COPIES),
    }
    threads = ["1 thread", "2 threads"][: os.cpu_count() or 1]
    for count, label in enumerate(threads, 1):
        runs[f"every slot, {label}"] = (machine_run(every_slot, scene, count), BATCH)
        runs[f"tile-2of16, {label}"] = (machine_run(tile, scene, count), BATCH)
    rates = best_rates(runs)

    rows = []
    for label in threads:
        rate, words = rates[f"every slot, {label}"], every_slot.program.cycles
        name = f"window of {words} words, {label}"
        tile_name = f"tile-2of16, {tile.program.cycles} words, {label}"
        rows += [
            Row.of(name, rate, "windows/s", "NumPy", rates["NumPy"]),
            Row.of(name, rate, "windows/s", copy_all, rates[copy_all]),
            Row.of(f"words, {label}", rate * words, "words/s", copy_one, rates[copy_one]),
            Row.of(
                tile_name, rates[f"tile-2of16, {label}"], "windows/s", copy_all, rates[copy_all]
            ),
        ]
    rate = rates["every slot, 1 thread"]
    name = f"window of {every_slot.program.cycles} words, 1 thread"
    apart = [(f"{peer}, measured apart", value) for peer, value in MEASURED_APART.items()]
    return rows + [Row.of(name, rate, "windows/s", peer, value) for peer, value in apart]


if __name__ == "__main__":
    report.main("Windows and instructions per second of the SCAMP-5 machine.", measure)
