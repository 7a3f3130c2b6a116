"""What each design of a calibration costs: ``python -m benchmarks.calibration_designs [--json]``.

An emulated 256x256 array of 8 bits with CRL's noise (seeds 0 to 2) is calibrated under each design.
The peer of each is a camera: the levels of the design "spans", but with one read per window.

* half the 95 % interval of ``s_ss`` and ``s_r``, for several reads per level, and for dark and top
  alone (24 windows, against the camera's 36 with 4 reads);
* windows that it takes to read every span four times, dark and lit;
* windows that it takes to reach the intervals of "spans" with 4 reads, as intervals shrink with the
  square root of the windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks import report
from benchmarks.report import Row
from focalloop.calibration import Level, Readings, calibrate
from focalloop.firmware_sim.default_calibration import TOP_SIGNAL, Step
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.captures.calibration_design import (
    Design,
    calibration_map,
    plan,
)

SHAPE = (256, 256)
SEEDS = range(3)
READS = (2, 4, 8, 16)
PROFILE = NoiseProfile(
    name="paper, 8 bit",
    bits=8,
    black_level_dn=12.0,
    full_scale_dn=220.0,
    shot="gaussian",
    s_ss=preset("paper").s_ss,
    s_r=preset("paper").s_r,
)
BOARD = HelloAnswer(
    boot_id=0,
    max_payload=1024,
    height=SHAPE[0],
    width=SHAPE[1],
    slots=16,
    bits=PROFILE.bits,
    black_level_dn=PROFILE.black_level_dn,
    full_scale_dn=PROFILE.full_scale_dn,
    level_set=(0, 1, 2, 4, 8),
    max_in_flight=8,
    held_windows=8,
    max_object=1 << 20,
    features=Feature.EMULATOR | Feature.CALIBRATION,
    slot_rate_hz=0.0,
    name="in process",
    firmware="",
    serial="",
)


def readings_of(steps: tuple[Step, ...], seed: int, *, once: bool = False) -> Readings:
    """Emulate the windows of a plan; with `once`, use only the first read of each."""
    levels: list[Level] = []
    window = 0
    for step in steps:
        ratio_map = calibration_map(BOARD)
        if step.level is not None:
            ratio_map = RatioMap.uniform(step.level, SHAPE)
        emulator = Emulator(ratio_map, PROFILE, seed=seed)
        scene = np.full((step.windows, BOARD.slots, *SHAPE), step.light, np.float32)
        planes = emulator.plan.planes(emulator.read_out(scene, window))
        window += step.windows
        for n in np.unique(ratio_map.levels).tolist():
            levels.append(
                Level(
                    reads=planes[:, : 1 if once else n].reshape(-1, *SHAPE),
                    dark=step.light == 0,
                    exposure=BOARD.slots / n,
                    light=step.light,
                    pixels=None if step.level is not None else ratio_map.levels == n,
                )
            )
    return Readings(
        levels=tuple(levels),
        bits=PROFILE.bits,
        full_scale_dn=PROFILE.full_scale_dn,
        black_level_dn=PROFILE.black_level_dn,
        slots=BOARD.slots,
        exposure_unit="slots",
        origin={},
    )


def camera_plan(reads: int) -> tuple[Step, ...]:
    """Plan the levels of "spans" with one read per window."""
    return tuple(replace(step, windows=reads) for step in plan(BOARD, Design.SPANS, reads))


@cache
def half_intervals(steps: tuple[Step, ...], *, once: bool = False) -> tuple[float, float]:
    """Return half the 95 % intervals of s_ss and s_r in per cent of them, mean over the seeds."""
    found = []
    for seed in SEEDS:
        estimates = calibrate(readings_of(steps, seed, once=once)).estimates
        found.append([
            50 * (estimates[name].ci95[1] - estimates[name].ci95[0]) / estimates[name].value
            for name in ("s_ss", "s_r")
        ])  # fmt: skip
    s_ss, s_r = np.mean(found, axis=0).tolist()
    return s_ss, s_r


def windows(steps: tuple[Step, ...]) -> int:
    """Count the windows of a plan."""
    return sum(step.windows for step in steps)


def interval_rows() -> Iterator[Row]:
    """Measure half-intervals by reads, and those of dark and top alone."""
    plans = {f"spans, {reads} reads": plan(BOARD, Design.SPANS, reads) for reads in READS}
    plans["dark and 0.9, 12 reads"] = plan(BOARD, Design.LIGHTS, 12, [TOP_SIGNAL])
    cameras = [camera_plan(reads) for reads in READS]
    for (label, steps), camera in zip(plans.items(), [*cameras, camera_plan(4)], strict=True):
        pairs = zip(half_intervals(steps), half_intervals(camera, once=True), strict=True)
        for name, (ours, theirs) in zip(("s_ss", "s_r"), pairs, strict=True):
            yield Row.of(f"±{name}, {label}", ours, "%", "camera", theirs)


def window_rows() -> Iterator[Row]:
    """Count windows by design: to read all spans, and to reach the intervals of "spans"."""
    camera = 4 * len(plan(BOARD, Design.SPANS, 4, [TOP_SIGNAL]))
    for design in (Design.SPANS, Design.TILED):
        ours = windows(plan(BOARD, design, 4, [TOP_SIGNAL]))
        yield Row.of(f"all spans, 4 reads, {design}", ours, "windows", "camera", camera)
    wanted = half_intervals(plan(BOARD, Design.SPANS, 4))
    for place, name in enumerate(("s_ss", "s_r")):

        def needed(steps: tuple[Step, ...], once: bool = False, place: int = place) -> float:
            found = half_intervals(steps, once=once)
            return windows(steps) * (found[place] / wanted[place]) ** 2

        for design in Design:
            label = f"±{wanted[place]:.2f} % of {name}, {design}"
            peer = needed(camera_plan(4), once=True)
            yield Row.of(label, needed(plan(BOARD, design, 4)), "windows", "camera", peer)


def measure() -> Iterator[Row]:
    """Measure intervals, then windows."""
    yield from interval_rows()
    yield from window_rows()


if __name__ == "__main__":
    report.main("Intervals and windows of the designs of a calibration.", measure)
