"""What each design of a calibration costs: ``python -m benchmarks.calibration_designs [--json]``.

An emulated 256x256 array of 8 bits with CRL's noise (seeds 0 to 2), calibrated under every design.
The peer of each is a camera: the levels of the design "spans", but with one read a window.

* half the 95 % interval of ``s_ss`` and ``s_r``, by the reads of each level;
* windows to have every span read four times, dark and lit;
* windows for the intervals that "spans" has with 4 reads, as intervals shrink with the root of the
  windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks import report
from benchmarks.report import Row
from calibration import Level, Readings, calibrate
from firmware_sim.emulator import Emulator
from firmware_sim.noise import NoiseProfile, preset
from firmware_sim.ratio_map import RatioMap
from firmware_sim.wire import Feature, HelloAnswer
from host.calibration_design import TOP, Design, Step, calibration_map, plan

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
    """Emulate the windows of a plan; with `once`, only the first read of each is used."""
    levels: list[Level] = []
    window = 0
    for step in steps:
        ratio_map = calibration_map(BOARD)
        if step.level is not None:
            ratio_map = RatioMap.uniform(step.level, SHAPE)
        emulator = Emulator(ratio_map, PROFILE, seed=seed)
        scene = np.full((step.windows, BOARD.slots, *SHAPE), step.light, np.float32)
        planes = emulator.plan.planes(emulator.capture(scene, window))
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
    """Take the levels of "spans" with one read a window."""
    return tuple(replace(step, windows=reads) for step in plan(BOARD, Design.SPANS, reads))


@cache
def half_intervals(design: Design | None, reads: int) -> tuple[float, float]:
    """Half the 95 % interval of s_ss and s_r over their values; None stands for the camera."""
    steps = camera_plan(reads) if design is None else plan(BOARD, design, reads)
    found = []
    for seed in SEEDS:
        estimates = calibrate(readings_of(steps, seed, once=design is None)).estimates
        found.append([
            (estimates[name].ci95[1] - estimates[name].ci95[0]) / 2 / estimates[name].value
            for name in ("s_ss", "s_r")
        ])  # fmt: skip
    s_ss, s_r = np.mean(found, axis=0).tolist()
    return s_ss, s_r


def windows(design: Design | None, reads: int) -> int:
    """Windows of a plan."""
    steps = camera_plan(reads) if design is None else plan(BOARD, design, reads)
    return sum(step.windows for step in steps)


def interval_rows() -> Iterator[Row]:
    """Half-intervals by reads."""
    for reads in READS:
        for name, ours, camera in zip(
            ("s_ss", "s_r"),
            half_intervals(Design.SPANS, reads),
            half_intervals(None, reads),
            strict=True,
        ):
            yield Row.of(f"±{name}, spans, {reads} reads", 100 * ours, "%", "camera", 100 * camera)


def window_rows() -> Iterator[Row]:
    """Windows by design: for all spans at all, and for the intervals of "spans" with 4 reads."""
    for design in (Design.SPANS, Design.TILED):
        ours = sum(step.windows for step in plan(BOARD, design, 4, [TOP]))
        camera = 4 * len(plan(BOARD, Design.SPANS, 4, [TOP]))
        yield Row.of(f"all spans, 4 reads, {design}", ours, "windows", "camera", camera)
    wanted = half_intervals(Design.SPANS, 4)
    for place, name in enumerate(("s_ss", "s_r")):
        needed = {
            design: windows(design, 4) * (half_intervals(design, 4)[place] / wanted[place]) ** 2
            for design in (None, *Design)
        }
        for design in Design:
            label = f"±{100 * wanted[place]:.2f} % of {name}, {design}"
            yield Row.of(label, needed[design], "windows", "camera", needed[None])


def measure() -> Iterator[Row]:
    """Measure both kinds."""
    yield from interval_rows()
    yield from window_rows()


if __name__ == "__main__":
    report.main("Intervals and windows of the designs of a calibration.", measure)
