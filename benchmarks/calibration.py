"""Calibration against its limits: ``python -m benchmarks.calibration [--json] [--trials N]``.

Captures are drawn by the emulator: 8 bit, black 20 DN, 220 DN full scale, the noise of CRL section
II (s_ss 4.95e-3, s_r 7.25e-3), light 0.9. Trial `k`, from 0, is the board with seed `k`. Parts:

* ``precision``: root mean square error of s_ss and s_r over a tenth of the trials, 256x256, against
  the Cramér-Rao bound, for the default design (dark and five spans, 4 reads each) and for the
  two-level design (dark and top, 12 reads each); and the error within which 95 % of trials stay;
* ``coverage``: how often the 95 % intervals hold the truth, 48x48 pixels, for Gaussian and Poisson
  shot noise, clean or with row noise 0.3 DN, PRNU 1 %, DSNU 1 DN, frame offset 0.39 DN and flicker
  0.5 %;
* ``response``: bias and coverage of gain and response curve, 48x48 pixels, clean and disturbed, for
  boards that bend by -5 to 5 % at full scale, a part of it cubic (drawn by the seed), for boards
  that all bend by -5, -3, +3 or +5 %, and for straight ones, of which some are taken as bent by
  chance; the peer of the gain is the straight line through the same reads, told that every light is
  another;
* ``clipped``: bias of s_r over a tenth of the trials, 128x128, with the dark level clipped at code
  0 (black level 0), against that of the moments of the same reads;
* ``time``: processor time of a fit of 24 planes of 256x256, in memory and from files;
* ``emva``: spread of K and sigma_d over a tenth of the trials, 96x96, against PyPI's emva1288 on
  the same descriptor files; ``--emva-python`` names a Python that has it;
* ``camera``: K and dark noise of EMVA 1288's reference set 001 by the standard's own fit, against
  the published values; ``--emva-set`` names its descriptor.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.cramer_rao import cramer_rao
from benchmarks.report import Row
from focalloop.calibration import Calibration, Level, Readings, Settings, calibrate
from focalloop.calibration.files.emva import read_emva, write_emva
from focalloop.calibration.fitting.moments import moments_of
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile

S_SS, S_R = 4.95e-3, 7.25e-3
FULL_SCALE_DN = 220.0
LIGHT = 0.9
SLOTS = 16
LEVEL_SET = (1, 2, 4, 8, 16)

BOARD = NoiseProfile(
    name="benchmark",
    bits=8,
    black_level_dn=20.0,
    full_scale_dn=FULL_SCALE_DN,
    shot="gaussian",
    s_ss=S_SS,
    s_r=S_R,
)
DISTURBED = replace(
    BOARD,
    row_noise=0.3 / FULL_SCALE_DN,
    frame_offset=0.39 / FULL_SCALE_DN,
    pixel_offset=1.0 / FULL_SCALE_DN,
    prnu=0.01,
)
FLICKER = 0.005

Design = Sequence[tuple[int, float, int]]
"""Levels as (span in slots, light, reads)."""

DEFAULT_DESIGN: Design = [(16, 0.0, 4), *((span, LIGHT, 4) for span in (1, 2, 4, 8, 16))]
TWO_LEVELS: Design = [(16, 0.0, 12), (16, LIGHT, 12)]
EMVA_DESIGN: Design = [
    (16, light, 4 if k == 5 else 2) for k in range(1, 11) for light in (0.0, 0.1 * k)
]
"""Ten exposures, each with a dark one; emva1288 needs one with more than two reads."""

_WINDOWS_APART = 1000
"""Distance of the window numbers of two levels, so that they share no noise."""


@lru_cache
def _uniform(level: int, shape: tuple[int, int]) -> RatioMap:
    return RatioMap.uniform(level, shape, SLOTS, LEVEL_SET)


def capture(
    profile: NoiseProfile, design: Design, shape: tuple[int, int], seed: int, flicker: float = 0.0
) -> Readings:
    """Draw the captures of a design from the emulated board with this seed."""
    rng = np.random.default_rng(seed)
    levels = []
    for number, (span, light, reads) in enumerate(design):
        emulator = Emulator(_uniform(SLOTS // span, shape), profile, seed=seed)
        windows = math.ceil(reads * span / SLOTS)
        lamp = light * (1 + flicker * rng.standard_normal((windows, SLOTS // span)))
        slots = np.repeat(lamp, span, axis=1).astype(np.float32)
        codes = [
            emulator.plan.planes(
                emulator.read_out(
                    np.ascontiguousarray(np.broadcast_to(slot[:, None, None], (SLOTS, *shape))),
                    first_window=number * _WINDOWS_APART + window,
                )
            )[: SLOTS // span]
            for window, slot in enumerate(slots)
        ]
        levels.append(
            Level(
                reads=np.concatenate(codes)[:reads],
                dark=light == 0,
                exposure=float(span),
                light=light or None,
                name=f"span {span}, light {light:g}",
            )
        )
    return Readings(
        levels=tuple(levels),
        bits=profile.bits,
        full_scale_dn=profile.full_scale_dn,
        black_level_dn=profile.black_level_dn,
        slots=SLOTS,
        exposure_unit="slots",
        origin={},
    )


def precision_rows(trials: int) -> Iterator[Row]:
    """Measure the error of both parameters against the bound of the design."""
    for name, design in (("default", DEFAULT_DESIGN), ("two-level", TWO_LEVELS)):
        shape = (256, 256)
        bound = cramer_rao(
            [light * span / SLOTS for span, light, _ in design],
            [reads for _, _, reads in design],
            shape[0] * shape[1],
            s_ss=S_SS,
            s_r=S_R,
            full_scale_dn=FULL_SCALE_DN,
        )
        errors = np.array(
            [
                _relative_errors(calibrate(capture(BOARD, design, shape, seed)))
                for seed in range(trials)
            ]
        )
        for index, (what, least) in enumerate((("s_ss", bound.s_ss), ("s_r", bound.s_r))):
            label = f"{what}, {name} design, N {trials}"
            rmse = float(np.sqrt(np.mean(errors[:, index] ** 2)))
            within = float(np.quantile(np.abs(errors[:, index]), 0.95))
            yield Row.of(f"RMSE of {label}", 100 * rmse, "%", "bound", 100 * least)
            yield Row.of(f"95 % of {label}", 100 * within, "%", "1.96 bounds", 196 * least)


def _relative_errors(found: Calibration) -> tuple[float, float]:
    return found.estimates["s_ss"].value / S_SS - 1, found.estimates["s_r"].value / S_R - 1


def coverage_rows(trials: int) -> Iterator[Row]:
    """Count how often the intervals hold the truth, clean and disturbed, Gaussian and Poisson."""
    for name, profile, flicker in (
        ("Gaussian", BOARD, 0.0),
        ("Poisson", replace(BOARD, shot="poisson"), 0.0),
        ("Gaussian, disturbed", DISTURBED, FLICKER),
        ("Poisson, disturbed", replace(DISTURBED, shot="poisson"), FLICKER),
    ):
        hits = np.zeros(2)
        for seed in range(trials):
            found = calibrate(capture(profile, DEFAULT_DESIGN, (48, 48), seed, flicker)).estimates
            for index, (what, truth) in enumerate((("s_ss", S_SS), ("s_r", S_R))):
                low, high = found[what].ci95
                hits[index] += low <= truth <= high
        for what, count in zip(("s_ss", "s_r"), hits, strict=True):
            share = 100 * float(count) / trials
            yield Row.of(f"cover {what}, {name}, N {trials}", share, "%", "nominal", 95.0)


BENDS = {
    "bends to 5 %": None,
    "bend -5 %": -0.05,
    "bend -3 %": -0.03,
    "bend +3 %": 0.03,
    "bend +5 %": 0.05,
    "straight": 0.0,
}
"""Deviation of a board's response at full scale; None draws one for each board."""


def response_rows(trials: int, bends: Sequence[str]) -> Iterator[Row]:
    """Measure bias and coverage of gain and curve on bent boards, and how many stay straight."""
    at = np.linspace(0.1, 1.0, 10)
    gain = S_SS**2 * FULL_SCALE_DN
    for name in bends:
        size = BENDS[name]
        for state, board, flicker in (("clean", BOARD, 0.0), ("disturbed", DISTURBED, FLICKER)):
            gains, straight, curves, covered, bent = [], [], [], [], 0
            for seed in range(trials):
                rng = np.random.default_rng([seed, 1])
                bend = rng.uniform(-0.05, 0.05) if size is None else size
                cubic = rng.uniform(-0.5, 0.5)
                profile = replace(board, bend=bend * (1 - cubic), bend_cubic=bend * cubic)
                readings = capture(profile, DEFAULT_DESIGN, (48, 48), seed, flicker)
                found = calibrate(readings)
                assert found.response is not None
                apart = tuple(replace(lv, light=lv.light and lv.exposure) for lv in readings.levels)
                line = calibrate(replace(readings, levels=apart))
                straight.append(line.estimates["gain_dn_per_electron"].value / gain - 1)
                curve = found.response.curve
                measured = np.interp(at, curve.x, curve.y)
                curves.append(measured - (profile.respond(at) - at))
                gains.append(found.estimates["gain_dn_per_electron"].value / gain - 1)
                covered.append([
                    low <= truth <= high
                    for estimate, truth in (("gain_dn_per_electron", gain), ("response_bend", bend))
                    for low, high in [found.estimates[estimate].ci95]
                ])  # fmt: skip
                bent += not found.profile.response.straight
            label = f"{name}, {state}, N {trials}"
            worst = np.mean(curves, axis=0)[np.abs(np.mean(curves, axis=0)).argmax()]
            ours, peer = 100 * float(np.mean(gains)), 100 * float(np.mean(straight))
            yield Row.of(f"bias of K, {label}", ours, "%", "straight line", peer)
            yield Row.of(f"bias of curve, {label}", 100 * float(worst), "% of scale", "limit", 0.2)
            for what, share in zip(("K", "curve"), np.mean(covered, axis=0), strict=True):
                yield Row.of(f"cover {what}, {label}", 100 * float(share), "%", "nominal", 95.0)
            yield Row.of(f"bent profiles, {label}", 100 * bent / trials, "%", "all", 100.0)


def clipped_rows(trials: int) -> Iterator[Row]:
    """Measure the bias of s_r with the dark level clipped at 0, against that of moments."""
    board = replace(BOARD, black_level_dn=0.0)
    ours, moments = [], []
    for seed in range(trials):
        readings = capture(board, DEFAULT_DESIGN, (128, 128), seed)
        ours.append(calibrate(readings).estimates["s_r"].value)
        variance = moments_of(readings.levels[0], board.bits).variance - 1 / 12
        moments.append(math.sqrt(variance) / FULL_SCALE_DN)
    bias, peer = (100 * (float(np.mean(values)) / S_R - 1) for values in (ours, moments))
    yield Row.of(f"bias of s_r, black level 0, N {trials}", bias, "%", "moments", peer)


def time_rows() -> Iterator[Row]:
    """Measure the processor time of a fit, in memory and from mapped files; the least of five."""
    readings = capture(DISTURBED, DEFAULT_DESIGN, (256, 256), 0, FLICKER)
    seconds = _processor_seconds(lambda: calibrate(readings))
    yield Row.of("fit in memory, processor time", 1e3 * seconds, "ms", "budget", 200.0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{k}.npy" for k in range(len(readings.levels))]
        for path, level in zip(paths, readings.levels, strict=True):
            np.save(path, level.reads)

        def fit_files() -> None:
            levels = (
                replace(level, reads=np.load(path, mmap_mode="r"))
                for path, level in zip(paths, readings.levels, strict=True)
            )
            calibrate(replace(readings, levels=tuple(levels)))

        seconds = _processor_seconds(fit_files)
    yield Row.of("fit from files, processor time", 1e3 * seconds, "ms", "budget", 1000.0)


def _processor_seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(5):
        started_s = time.process_time()
        work()
        times.append(time.process_time() - started_s)
    return min(times)


_PEER_SCRIPT = """
import json, sys
from emva1288.process import Data1288, LoadImageData, ParseEmvaDescriptorFile, Results1288
found = []
for path in sys.argv[1:]:
    images = LoadImageData(ParseEmvaDescriptorFile(path).images)
    results = Results1288(Data1288(images.data).data)
    found.append([float(results.K), float(results.sigma_d)])
json.dump(found, sys.stdout)
"""


def emva_rows(trials: int, python: str) -> Iterator[Row]:
    """Measure the spread of K and of the dark noise in electrons, on identical descriptor files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"trial-{seed}" for seed in range(trials)]
        for seed, path in enumerate(paths):
            readings = capture(BOARD, EMVA_DESIGN, (96, 96), seed)
            write_emva(path, _as_exposures(readings))
        descriptors = [str(next(path.glob("*.txt"))) for path in paths]
        answer = subprocess.run(
            [python, "-c", _PEER_SCRIPT, *descriptors], check=True, capture_output=True, text=True
        )
        theirs = np.array(json.loads(answer.stdout))
        ours = np.array([_gain_and_dark(calibrate(read_emva(path))) for path in descriptors])
    for index, name in enumerate(("K", "sigma_d")):
        ours_spread, their_spread = (_spread(values[:, index]) for values in (ours, theirs))
        label = f"spread of {name}, N {trials}"
        yield Row.of(label, ours_spread, "%", "emva1288 1.0.2", their_spread)


def _as_exposures(readings: Readings) -> Readings:
    """Describe the same reads as a descriptor does: light grows by exposure, each with a dark."""
    levels = tuple(
        replace(
            level,
            exposure=1e-3 * (number // 2 + 1),
            light=None if level.light is None else level.light / S_SS**2,
        )
        for number, level in enumerate(readings.levels)
    )
    return replace(readings, levels=levels, slots=None, exposure_unit="s")


def _spread(values: NDArray[np.float64]) -> float:
    return 100 * float(values.std(ddof=1) / values.mean())


def _gain_and_dark(found: Calibration) -> tuple[float, float]:
    gain = found.estimates["gain_dn_per_electron"].value
    return gain, found.profile.s_r * found.profile.full_scale_dn / gain


def camera_rows(descriptor: str) -> Iterator[Row]:
    """Calibrate reference set 001, a Basler CCD of 12 bits, by the protocol of EMVA 1288."""
    found = calibrate(read_emva(descriptor), Settings(protocol="emva")).estimates
    gain, dark = found["gain_dn_per_electron"].value, found["dark_noise_dn"].value
    yield Row.of("K of reference set 001", gain, "DN/e-", "published", 0.28077)
    yield Row.of("dark noise of reference set 001", dark, "DN", "published", 3.0734)


_PARTS = ("precision", "coverage", "response", "clipped", "time", "emva", "camera")


def main() -> None:
    """Run the parts that the options name."""
    parser = argparse.ArgumentParser(description="Calibration against its limits.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--trials", type=int, default=1000, help="trials of the coverage; default 1000"
    )
    parser.add_argument(
        "--only", choices=_PARTS, action="append", help="run only this part; repeatable"
    )
    parser.add_argument(
        "--bend", choices=list(BENDS), action="append", help="boards of the response; repeatable"
    )
    parser.add_argument("--emva-python", help="a Python with emva1288 1.0.2 installed")
    parser.add_argument("--emva-set", help="descriptor of EMVA 1288's reference set 001")
    arguments = parser.parse_args()
    few = max(arguments.trials // 10, 2)
    measures: dict[str, Callable[[], Iterator[Row]]] = {
        "precision": lambda: precision_rows(few),
        "coverage": lambda: coverage_rows(arguments.trials),
        "response": lambda: response_rows(arguments.trials, arguments.bend or list(BENDS)),
        "clipped": lambda: clipped_rows(few),
        "time": time_rows,
    }
    if arguments.emva_python:
        measures["emva"] = lambda: emva_rows(few, arguments.emva_python)
    if arguments.emva_set:
        measures["camera"] = lambda: camera_rows(arguments.emva_set)
    parts = arguments.only or list(measures)
    missing = [part for part in parts if part not in measures]
    if missing:
        parser.error(f"the part {missing[0]} needs --emva-python or --emva-set")
    report.show([row for part in parts for row in measures[part]()], arguments.json)


if __name__ == "__main__":
    main()
