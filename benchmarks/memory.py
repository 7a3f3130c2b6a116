"""Whether memory pays: the network is also given the frame that it rebuilt last.

    python -m benchmarks.memory estimate                       the linear estimate, no footage
    python -m benchmarks.memory train --data A --data B -o RUNS
    python -m benchmarks.memory score CLIPS --runs RUNS

The tile lies as ever, or moves from window to window (`SHIFTS`), so that what stands still is read
at every pixel after two windows. The linear estimate has the reads of up to four windows. `train`
trains a network for each of `PLANS`, on windows in a row, for equally many steps, on the same
crops, from the same weights; data as for `benchmarks.phases`. `score` prints the PSNR in dB over
windows 3 to 5 of clips of 96 frames (``focalloop data test-set --long``), without a border, and the
gains over the network without memory with their 95 % intervals over clips; the mean in each window,
in a run that loses window `LOST` too, and after how many windows this one is within 0.1 dB of the
other; and the processor time of a window.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace

import numpy as np
import torch

from benchmarks.straddling import commands
from benchmarks.straddling.learning import Plan, trained
from benchmarks.straddling.linear_gaussian import SPEEDS, estimated, frames, window_reads
from benchmarks.straddling.network import TileNetwork
from benchmarks.straddling.tile_search import PERIOD, PhasedTile
from focalloop.host.reconstruction.quality import psnr_of_mse

SHIFTS = ((0, 0), (0, 1), (1, 1), (1, 0))
"""Shifts (down, right) of a tile, in turn."""
TILES = {
    "quarter": PhasedTile.of([[1, 0], [0, 0]]),
    "calm": PhasedTile.of([[0, 2, 0, 4], [1, 0, 1, 0], [0, 4, 0, 2], [1, 0, 1, 0]]),
}
"""A quarter of a read per pixel, and one."""
CALM = TILES["calm"]
PLANS = {
    "none": Plan(CALM, windows=2),
    "memory": Plan(CALM, memory=True, windows=2),
    "memory, moving tile": Plan(CALM, memory=True, shifts=SHIFTS, windows=2),
}
HISTORIES = (
    ("one window", 1, SHIFTS[:1]),
    ("four windows", 4, SHIFTS[:1]),
    ("four windows, moving", 4, SHIFTS),
)
"""Rows of the estimate: windows whose reads are known, and where the tile lay."""
FIRST = 3
"""Window from which on a sequence counts."""
LOST = 2
RECOVERED_DB = 0.1


def estimate(options: Namespace) -> None:
    """Print what the linear estimate knows from the reads of one window, and of four."""
    print(f"{'speed, pixels per slot':32}", *(f"{speed:6g}" for speed in SPEEDS), "  still, known")
    for name, tile in TILES.items():
        for label, windows, shifts in HISTORIES:
            reads = window_reads(tile.levels)
            for before in range(1, windows):
                levels = np.roll(tile.levels, shifts[-before % len(shifts)], (0, 1))
                reads = reads.and_also(window_reads(levels, window=-before))
            psnr = estimated(reads, frames(PERIOD, PERIOD)).psnr
            still = estimated(reads, frames(PERIOD, PERIOD), known=0.0).psnr[0]
            print(f"{f'{name}, {label}':32}", *(f"{value:6.2f}" for value in [*psnr, still]))


def score(options: Namespace) -> None:
    """Print the PSNR of every clip, how it comes about, and what it costs."""
    torch.set_num_threads(options.threads)
    names, clips = commands.load_clips(options.sequences, options.side)
    networks = {name: trained(options.runs / name, plan) for name, plan in PLANS.items()}
    whole = {
        name: np.stack([commands.window_errors(network, PLANS[name], clip) for clip in clips])
        for name, network in networks.items()
    }
    found = {
        name: np.array([psnr_of_mse(float(clip[FIRST:].mean())) for clip in errors])
        for name, errors in whole.items()
    }
    commands.show(names, found, {name: "none" for name in found if name != "none"})
    for name, network in networks.items():
        plan = PLANS[name]
        lost = np.stack([commands.window_errors(network, plan, clip, LOST) for clip in clips])
        by_window = (-10 * np.log10(whole[name])).mean(0)
        after = (-10 * np.log10(lost)).mean(0)[LOST:]
        print(f"{name}, windows 0 to {len(by_window) - 1}:", *(f"{v:.2f}" for v in by_window))
        missing = by_window[LOST + 1 :] - after
        print(f"  after the loss of window {LOST}:", *(f"{v:.2f}" for v in after))
        print(f"  within {RECOVERED_DB} dB after {_until(missing)} windows")
        print(f"  {milliseconds(network, clips.shape[-1]):.0f} ms of one processor per window")


def _until(missing: np.ndarray) -> str:
    """Say with which window, counted from 1, no more than `RECOVERED_DB` is missing from there."""
    for number in range(len(missing)):
        if (missing[number:] <= RECOVERED_DB).all():
            return str(number + 1)
    return f"more than {len(missing)}"


@torch.inference_mode()
def milliseconds(network: TileNetwork, side: int) -> float:
    """Return the median processor time of rebuilding a window from its reads."""
    reads = torch.rand(1, 9, side, side, generator=torch.Generator().manual_seed(0))
    last = reads[:, 0] if network.memory else None
    taken = []
    for _ in range(8):
        start = time.process_time()
        network(reads, last)
        taken.append(time.process_time() - start)
    return float(1000 * np.median(taken[1:]))


def main(arguments: list[str] | None = None) -> int:
    """Run a command."""
    parser = ArgumentParser(description="Whether memory pays.")
    parts = parser.add_subparsers(required=True, metavar="COMMAND")
    parts.add_parser("estimate", help="the linear estimate").set_defaults(run=estimate)
    commands.add_training(parts, PLANS)
    commands.add_scoring(parts, score)
    return commands.run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
