"""The commands that `benchmarks.phases` and `benchmarks.memory` share: train, and score."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.straddling.learning import (
    Plan,
    PlanRun,
    Sequences,
    rebuilt,
    run_settings,
    squared_errors,
)
from benchmarks.straddling.network import TileNetwork
from focalloop.firmware_sim.archives import opened
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.noise import preset

MAX_BYTES = 2 << 30
T_95 = {8: 2.365, 9: 2.306, 10: 2.262, 11: 2.228, 12: 2.201}
"""Quantiles of Student's t for 95 % intervals, by the number of clips; 1.96 for others."""


Errors = NDArray[np.float64]


def add_training(parts: _SubParsersAction[ArgumentParser], plans: Mapping[str, Plan]) -> None:
    """Add the command that trains a network for each plan."""
    parser = parts.add_parser("train", help="train a network for each plan")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--only", action="append", choices=plans, help="all by default")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=partial(train, plans=plans))


def add_scoring(
    parts: _SubParsersAction[ArgumentParser], score: Callable[[Namespace], None]
) -> None:
    """Add the command that scores the trained networks."""
    parser = parts.add_parser("score", help="score what was trained")
    parser.add_argument("sequences", type=Path, help="an .npz with sequences (N, F, H, W)")
    parser.add_argument("--runs", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--side", type=int, default=256, help="score the middle of the pictures")
    parser.add_argument("--threads", type=int, default=1)
    parser.set_defaults(run=score)


def train(options: Namespace, plans: Mapping[str, Plan]) -> None:
    """Train what is asked for, one after the other; a run that was begun is continued."""
    torch.set_num_threads(options.threads)
    data = Sequences.joined(options.data)
    settings = run_settings(options.steps, options.crop, options.batch)
    for name in options.only or plans:
        run = PlanRun(plans[name], data, settings)
        run.train(options.output / name, report_minutes=5, on_report=_say(name))


def _say(name: str) -> Callable[[PlanRun], None]:
    def say(run: PlanRun) -> None:
        progress = run.progress
        print(f"{name}: step {progress.step}, {progress.validation_psnr:.2f} dB", flush=True)

    return say


def load_clips(path: Path, side: int) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the names of clips, and the middle (N, F, side, side) of their frames."""
    with opened(path) as archive:
        names = [str(name) for name in archive.array("names.npy", MAX_BYTES)]
        clips = archive.array("sequences.npy", MAX_BYTES)
    top, left = ((length - side) // 2 for length in clips.shape[2:])
    return names, clips[:, :, top : top + side, left : left + side]


def show(names: Sequence[str], found: Mapping[str, Errors], peers: Mapping[str, str]) -> None:
    """Print the PSNR of every clip in every row, and the gains of rows over their peers."""
    width = max(map(len, found))
    print(" " * width, *(f"{name[:12]:>12}" for name in names), f"{'mean':>12}")
    for name, psnr in found.items():
        print(f"{name:{width}}", *(f"{value:12.2f}" for value in [*psnr, psnr.mean()]))
    for name, peer in peers.items():
        gain = found[name] - found[peer]
        print(f"{name} over {peer}: {gain.mean():+.2f} dB +- {interval(gain):.2f}")


@torch.inference_mode()
def window_errors(
    network: TileNetwork, plan: Plan, clip: NDArray[np.uint8], lost: int | None = None
) -> Errors:
    """Return the mean squared error of each window of a clip (F, H, W) that is rebuilt."""
    scene = torch.from_numpy(clip.astype(np.float32))[None] / 255
    generator = torch.Generator().manual_seed(0)
    windows = rebuilt(network, plan, scene, preset("paper"), generator, lost=lost)
    return np.array(
        [float(squared_errors(video.clamp(0, 1), shown)[0]) for video, shown in windows]
    )


def interval(values: Errors) -> float:
    """Return half the width of the 95 % interval of the mean of values, one from each clip."""
    deviation = values.std(ddof=1) if len(values) > 1 else np.nan
    return float(T_95.get(len(values), 1.96) * deviation / np.sqrt(len(values)))


def run(options: Namespace) -> int:
    """Run the command that was asked for; return the exit code."""
    try:
        options.run(options)
    except FocalloopError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
