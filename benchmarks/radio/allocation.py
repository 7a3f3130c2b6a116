"""Roads of rate allocation, side by side, for the same ends, windows and noise.

``python -m benchmarks.radio.allocation --clips clips.npz`` sends windows over AWGN with the weights
of a radio bundle or of a run, ``radio-semcom`` by default; ``--data train.npz`` takes the
validation windows of a training file. *Regressed* is what the allocation network chooses.
*Log-reward* is what its predictions would choose under the reward of CRL section 4, the logarithm
of each location's error instead of its share. The *oracle* knows the error of every location at
each rate under other noise, which no transmitter can. The other roads have been trained for these
ends by ``focalloop radio train ran``, in equal steps, each a new last part of the allocation
network: policies by ``--reward``, with a sampled gradient or an expected one, and predictions by
``--features``, from the reals alone or from the bits that the codec would spend as well. Those of
``radio-semcom`` are shipped; ``--road RUN`` takes others. Symbols are those of the payload and of
the coded rate map, for 65,536 pixels.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.radio.curves import Curve, bd_rate, everyone, interval, psnr_at
from focalloop.firmware_sim.errors import FocalloopError, SceneError
from focalloop.firmware_sim.radio import rate_map as coding
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.models.radio.codec_bits import CodecBits
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import BLOCK
from focalloop.models.radio.pipeline import trained
from focalloop.models.radio.roads import SHIPPED, Choose, Road, keep_road, trained_road
from focalloop.models.radio.run import Sensing, noisy_windows, squared_errors
from focalloop.models.radio.semcom import SemCom, channel_quality
from focalloop.models.radio.semcom_run import encoded, rebuilt
from focalloop.models.training.run import decibels
from focalloop.models.training.training_data import TrainingData

UNIFORM, LOG_REWARD, REGRESSED, ORACLE = "uniform", "log-reward", "regressed", "oracle"
WITHOUT_BITS, WITH_BITS = "regressed-reals", "regressed-codec"

ENDS = "radio-semcom"

SYMBOLS_PER_BIT = 1 / (4 * 2 / 3)
"""Of the rate map: 16-QAM with a code of rate 2/3, as in CRL section 4."""

PIXELS = 65_536

COMMON_SYMBOLS = (8_600, 13_000)
"""Symbols per 65,536 pixels at which the PSNR of roads is printed."""

TIMED_RUNS = 5

Points = dict[str, dict[int, list[tuple[float, float]]]]
"""Symbols and PSNR of every window, by road and mean reals of a location."""


@torch.no_grad()
def measured(
    network: SemCom,
    sensing: Sensing,
    windows: NDArray[np.uint8],
    count: int,
    snr_db: float,
    roads: Mapping[str, Road] | None = None,
) -> Points:
    """Send windows by every road at every mean rate that all roads can meet.

    `roads`, by name, are those beside the ones that need no training of their own.
    """
    table = network.settings.rates
    points: Points = defaultdict(lambda: defaultdict(list))
    noise, other_noise = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    for scene, cells in noisy_windows(windows, sensing, count):
        x, predicted = encoded(network, cells, snr_db)
        known = _log_errors(network, sensing, x, scene, snr_db, other_noise)
        # Minimising log(e) instead of e: the logarithm of what is minimised goes in.
        logs = np.log(predicted - predicted.min() + 1e-6)
        choices: dict[str, Choose] = {
            road: partial(rates_for_budget, log_errors, table)
            for road, log_errors in ((LOG_REWARD, logs), (REGRESSED, predicted), (ORACLE, known))
        }
        choices |= {name: road(x, cells, snr_db) for name, road in (roads or {}).items()}
        for rate, reals in enumerate(table):
            maps: dict[str, NDArray[Any]] = {UNIFORM: np.full(known.shape[1:], rate, np.uint8)}
            if 0 < rate < len(table) - 1:
                budget = reals * known[0].size
                maps |= {road: choose(budget) for road, choose in choices.items()}
            for road, rate_map in maps.items():
                video = sensing.video(rebuilt(network, x, rate_map, snr_db, noise))
                error = float((video.clamp(0, 1) - scene).square().mean())
                share = PIXELS / scene[0, 0].numel()
                symbols = share * _symbols(rate_map.astype(np.uint8), table, coded=road != UNIFORM)
                points[road][reals].append((symbols, decibels(error)))
    return points


def _log_errors(
    network: SemCom,
    sensing: Sensing,
    x: Tensor,
    scene: Tensor,
    snr_db: float,
    noise: torch.Generator,
) -> NDArray[np.float32]:
    """Return the log error (L, h, w) of every location where all have the same rate."""
    errors = []
    for rate in range(len(network.settings.rates)):
        video = sensing.video(
            rebuilt(network, x, np.full(x.shape[2:], rate, np.uint8), snr_db, noise)
        )
        errors.append(squared_errors(video, scene)[0].log().numpy())
    return np.stack(errors)


def _symbols(rate_map: NDArray[np.uint8], table: Sequence[int], *, coded: bool) -> float:
    bits = 8 * len(coding.encoded(rate_map, len(table))) if coded else 0
    return float(coding.counts(rate_map, table).sum()) / 2 + bits * SYMBOLS_PER_BIT


def compared(points: Points) -> dict[str, Any]:
    """Return the means of every road, and its symbols relative to those of uniform rates.

    Those of predictions from the codec's bits are relative to the same without them, too.
    """
    curves = {
        road: Curve.of([tuple(np.array(pairs).T) for pairs in _distinct(by_reals.values())])
        for road, by_reals in points.items()
    }
    document: dict[str, Any] = {}
    for road, curve in curves.items():
        means = zip(curve.symbols.mean(1), curve.psnr.mean(1), strict=True)
        document[road] = {"points": [{"symbols": s, "psnr": p} for s, p in means]}
        if len(curve.symbols) == 1:
            continue
        for symbols in COMMON_SYMBOLS:
            psnr = float(psnr_at(curve, symbols, everyone(curve.clips))[0])
            document[road][f"psnr_at_{symbols}"] = psnr if np.isfinite(psnr) else None
        if road != UNIFORM:
            document[road]["bd_rate"] = _saved(curve, curves[UNIFORM])
        if road == WITH_BITS and WITHOUT_BITS in curves:
            document[road]["bd_rate_of_bits"] = _saved(curve, curves[WITHOUT_BITS])
    return document


def _saved(curve: Curve, rival: Curve) -> list[float]:
    saved = interval(partial(bd_rate, curve, rival), curve.clips)
    return [saved.mean, saved.low, saved.high]


def _distinct(points: Iterable[list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """Leave out points of the same symbols, as where a policy chooses the same at two budgets."""
    return [*{tuple(symbols for symbols, _ in pairs): pairs for pairs in points}.values()]


@torch.no_grad()
def milliseconds(network: SemCom, sensing: Sensing) -> dict[str, float]:
    """Return what the transmitter's networks take for 256x256 pixels, of the processor, in PyTorch.

    The median over a few runs.
    """
    bits, snr_db = CodecBits(sensing), torch.full((1,), 10.0)
    side = 256 // sensing.reads.side
    cells = torch.rand(1, sensing.reads.count, side, side)
    x = network.encoder(cells, snr_db)
    parts: dict[str, Callable[[], Tensor]] = {
        "SCE": lambda: network.encoder(cells, snr_db),
        "RAN": lambda: network.allocation(x, channel_quality(snr_db)),
        "the codec's bits": lambda: bits(cells),
    }
    found = {}
    for name, run in parts.items():
        times = []
        for _ in range(TIMED_RUNS):
            started = time.process_time()
            run()
            times.append(1000 * (time.process_time() - started))
        found[name] = float(np.median(times))
    return found


def markdown(document: Mapping[str, Any]) -> str:
    """Return what `compared` returned as a table, by symbols saved."""
    columns = [f"at {symbols:,} symbols, dB" for symbols in COMMON_SYMBOLS]
    lines = [f"| road | BD-rate over uniform | {' | '.join(columns)} |", "|---|---|---|---|"]

    def saved(road: str) -> float:
        return float(document[road].get("bd_rate", [0.0])[0])

    for road in sorted(document, key=saved, reverse=True):
        found = document[road]
        psnr = [found.get(f"psnr_at_{symbols}") for symbols in COMMON_SYMBOLS]
        cells = ["not measured" if value is None else f"{value:.2f}" for value in psnr]
        rate = _percent(found["bd_rate"]) if "bd_rate" in found else ""
        lines.append(f"| {road} | {rate} | {' | '.join(cells)} |")
    if "bd_rate_of_bits" in document.get(WITH_BITS, {}):
        rate = _percent(document[WITH_BITS]["bd_rate_of_bits"])
        lines += ["", f"{WITH_BITS} over {WITHOUT_BITS}: BD-rate {rate}"]
    return "\n".join(lines)


def _percent(rate: Sequence[float]) -> str:
    mean, low, high = (f"{100 * value:+.1f}" for value in rate)
    return f"{mean} % [{low}, {high}]"


def main() -> None:
    """Print a table, or JSON; an expected error in one sentence, with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", nargs="?", default=ENDS, help="radio bundle, or folder of a run")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="a video, a folder or an array of clips")
    source.add_argument("--data", type=Path, help="training file, for its validation windows")
    parser.add_argument(
        "--road",
        type=Path,
        action="append",
        metavar="RUN",
        help="folder of a road for these weights, or a kept file; can be given again",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="write what each --road has learned to a file"
    )
    parser.add_argument("--windows", type=int, default=32, help="at most so many")
    parser.add_argument("--snr", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        document, windows = _run(given)
    except FocalloopError as error:
        sys.exit(f"error: {error}")
    if given.json:
        print(json.dumps(document, indent=2))
        return
    print(f"{windows} windows, {given.snr:g} dB\n\n{markdown(document['roads'])}\n")
    parts = ", ".join(f"{name} {ms:.0f} ms" for name, ms in document["milliseconds"].items())
    print(f"at the transmitter, 256x256 pixels, processor: {parts}")


def _run(given: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Return what was measured, and on how many windows."""
    sensing = Sensing(FrozenBundle())
    network = trained(given.weights, sensing)
    paths = given.road or (SHIPPED if given.weights == ENDS else ())
    roads: dict[str, Road] = {}
    for path in paths:
        name, roads[name] = trained_road(path, network, sensing)
        if given.keep is not None:
            keep_road(path, given.keep / f"{name}.safetensors")
    if given.data is not None:
        windows = TrainingData.load(given.data).validation
    else:
        windows = load_clips(given.clips, sensing.reads.slots).clips
    if min(windows.shape[-2:]) < BLOCK:
        raise SceneError(
            f"windows of {windows.shape[-2:]} pixels hold no location of {BLOCK}x{BLOCK}"
        )
    found = compared(measured(network, sensing, windows, given.windows, given.snr, roads))
    times = milliseconds(network, sensing)
    return {"roads": found, "milliseconds": times}, min(given.windows, len(windows))


if __name__ == "__main__":
    main()
