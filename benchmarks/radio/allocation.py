"""Roads of rate allocation on validation windows: uniform, regressed, and what could be reached.

``python -m benchmarks.radio.allocation runs/semcom --data train.npz`` sends the validation windows
of a training file over AWGN, with the weights of a run or of a radio bundle. *Regressed* is what
the allocation network chooses. *Log-reward* is what its predictions would choose under the reward
of CRL section 4, the logarithm of each location's error instead of its share. The *oracle* knows
the error of every location at each rate under other noise, which no transmitter can. *Sampled* is
what a policy chooses that ``focalloop radio train ran --reward`` has learned (``--policy RUN``).
Symbols are those of the payload and of the coded rate map, for 65,536 pixels.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.radio.curves import Curve, bd_rate, interval
from focalloop.firmware_sim.radio import rate_map as coding
from focalloop.firmware_sim.radio.rate_choice import rates_for_budget
from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.pipeline import trained, trained_policy
from focalloop.models.radio.policy_run import RatePolicy, policy_rates
from focalloop.models.radio.run import Sensing, squared_errors, validation_batches
from focalloop.models.radio.semcom import SemCom
from focalloop.models.radio.semcom_run import encoded, rebuilt
from focalloop.models.training.run import decibels
from focalloop.models.training.training_data import TrainingData

UNIFORM, LOG_REWARD, REGRESSED, ORACLE = "uniform", "log-reward", "regressed", "oracle"

SYMBOLS_PER_BIT = 1 / (4 * 2 / 3)
"""Of the rate map: 16-QAM with a code of rate 2/3, as in CRL section 4."""

PIXELS = 65_536

Points = dict[str, dict[int, list[tuple[float, float]]]]
"""Symbols and PSNR of every window, by road and mean reals of a location."""


@torch.no_grad()
def measured(
    network: SemCom,
    sensing: Sensing,
    data: TrainingData,
    windows: int,
    snr_db: float,
    policies: Mapping[str, RatePolicy] | None = None,
) -> Points:
    """Send windows by every road at every mean rate that all roads can meet.

    `policies`, by road, send at most that.
    """
    table = network.settings.rates
    points: Points = defaultdict(lambda: defaultdict(list))
    noise, other_noise = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    for scene, cells in validation_batches(data, sensing, windows):
        x, predicted = encoded(network, cells, snr_db)
        known = _log_errors(network, sensing, x, scene, snr_db, other_noise)
        for rate, reals in enumerate(table):
            maps: dict[str, NDArray[Any]] = {UNIFORM: np.full(known.shape[1:], rate, np.uint8)}
            if 0 < rate < len(table) - 1:
                budget = reals * known[0].size
                # Minimising log(e) instead of e: the logarithm of what is minimised goes in.
                logs = np.log(predicted - predicted.min() + 1e-6)
                maps[LOG_REWARD] = rates_for_budget(logs, table, budget)
                maps[REGRESSED] = rates_for_budget(predicted, table, budget)
                maps[ORACLE] = rates_for_budget(known, table, budget)
                for road, policy in (policies or {}).items():
                    maps[road] = policy_rates(policy, x, budget)
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
    """Return the means of every road, and its symbols relative to those of uniform rates."""
    curves = {
        road: Curve.of([tuple(np.array(pairs).T) for pairs in _distinct(by_reals.values())])
        for road, by_reals in points.items()
    }
    document: dict[str, Any] = {}
    for road, curve in curves.items():
        means = zip(curve.symbols.mean(1), curve.psnr.mean(1), strict=True)
        document[road] = {"points": [{"symbols": s, "psnr": p} for s, p in means]}
        if road != UNIFORM and len(curve.symbols) > 1:
            saved = interval(partial(bd_rate, curve, curves[UNIFORM]), curve.clips)
            document[road]["bd_rate"] = [saved.mean, saved.low, saved.high]
    return document


def _distinct(points: Iterable[list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """Leave out points of the same symbols, as where a policy chooses the same at two budgets."""
    return [*{tuple(symbols for symbols, _ in pairs): pairs for pairs in points}.values()]


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", help="folder of a run, or radio bundle")
    parser.add_argument("--data", type=Path, required=True, help="training file")
    parser.add_argument(
        "--policy",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="folder of a policy for these weights; can be given again",
    )
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--snr", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sensing = Sensing(FrozenBundle())
    data, network = TrainingData.load(given.data), trained(given.weights, sensing)
    policies = {
        f"sampled-{reward}": policy
        for reward, policy in (trained_policy(run, network) for run in given.policy)
    }
    document = compared(measured(network, sensing, data, given.windows, given.snr, policies))
    if given.json:
        print(json.dumps(document, indent=2))
        return
    print(f"{given.windows} validation windows, {given.snr:g} dB")
    for road, found in document.items():
        for point in found["points"]:
            print(f"  {road:17} {point['symbols']:8,.0f} symbols  {point['psnr']:6.2f} dB")
    for road in (*policies, LOG_REWARD, REGRESSED, ORACLE):
        if "bd_rate" not in document[road]:
            print(f"{road}: the same at all budgets")
            continue
        saved, low, high = (f"{100 * value:.1f}" for value in document[road]["bd_rate"])
        print(f"{road}: BD-rate {saved} % [{low}, {high}] against uniform rates")


if __name__ == "__main__":
    main()
