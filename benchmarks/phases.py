"""Whether phases pay: spans of some pixels that begin some slots later, and straddle windows.

    python -m benchmarks.phases estimate                       the linear estimate, no footage
    python -m benchmarks.phases search --reads 1               a tile by greedy swaps
    python -m benchmarks.phases train --data A --data B -o RUNS
    python -m benchmarks.phases score CLIPS --runs RUNS

A window of a tile with phases consists of all reads that overlap it. The last of them end in the
next window, so that it is there one window later; reads that end in the window alone leave its last
slots unseen, which the linear estimate counts separately. `train` trains a network for each tile of
`TILES`, for equally many steps, on the same crops, from the same weights; data come from
``focalloop data build --frames 64``, with ``--slow`` and without. `score` prints PSNR in dB over
the windows of clips of 96 frames (``focalloop data test-set --long``) that have a window before
and after, without a border, and the difference to the tile without phases with its 95 % interval
over clips.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.straddling import commands
from benchmarks.straddling.learning import Plan, trained
from benchmarks.straddling.linear_gaussian import SPEEDS, Reads, estimated, frames, window_reads
from benchmarks.straddling.tile_search import PERIOD, PhasedTile, searched
from focalloop.host.reconstruction.quality import psnr_of_mse

PLAIN = {
    1: PhasedTile.of([[0, 2, 0, 4], [1, 0, 1, 0], [0, 4, 0, 2], [1, 0, 1, 0]]),
    2: PhasedTile.of([[4, 1], [1, 2]]),
}
"""The best tiles without phases that `search` found, by reads per pixel."""
TILES = {
    "plain-1": PLAIN[1],
    "calm-1": PhasedTile.of([[2, 1], [1, 0]]),
    "phases-1": PhasedTile.of(
        [[1, 1, 2, 1], [1, 0, 1, 1], [0, 1, 0, 1], [2, 1, 2, 1]],
        [[8, 10, 7, 12], [15, 0, 3, 11], [0, 7, 0, 15], [4, 1, 2, 7]],
        late=True,
    ),
    "plain-2": PLAIN[2],
    "phases-2": PhasedTile.of(
        [[4, 1], [1, 2]],
        [[1, 12, 1, 15], [15, 7, 10, 1], [3, 15, 3, 15], [10, 1, 13, 5]],
        late=True,
    ),
}
"""What is compared, with the reads per pixel: these, the resting tile of the adaptive map, which
suits slow scenes, and the best tiles with phases. Those of two reads keep the levels."""
PLANS = {name: Plan(tile, margins=True) for name, tile in TILES.items()}

SEARCHES = (
    ("without phases", False, False),
    ("with phases, and all reads that overlap the window", True, True),
    ("with phases, and the reads that end in it", True, False),
)
"""What `search` prints: the label, whether phases change, and whether late reads count."""


def estimate_rows() -> dict[str, NDArray[np.float64]]:
    """Return the PSNR at each speed of every tile, and what waiting for a window brings without."""
    rows = {}
    for name, plan in PLANS.items():
        tile = plan.tile
        reads = window_reads(tile.levels, tile.phases, late=tile.late)
        rows[name] = _psnr(reads)
        if tile.late:
            rows[f"{name}, ended in time"] = _psnr(window_reads(tile.levels, tile.phases))
        else:
            following = window_reads(tile.levels, window=1)
            rows[f"{name}, with the next window"] = _psnr(reads.and_also(following))
    return rows


def _psnr(reads: Reads) -> NDArray[np.float64]:
    return estimated(reads, frames(PERIOD, PERIOD)).psnr


def estimate(options: Namespace) -> None:
    """Print what the linear estimate makes of the tiles."""
    print(f"{'speed, pixels per slot':32}", *(f"{speed:6g}" for speed in SPEEDS), "  mean")
    for name, psnr in estimate_rows().items():
        print(f"{name:32}", *(f"{value:6.2f}" for value in [*psnr, psnr.mean()]))


def search(options: Namespace) -> None:
    """Print tiles without and with phases; each begins with the best one without."""
    for label, phases, late in SEARCHES:
        start = replace(PLAIN[options.reads], late=late)
        tile = searched(start, options.tries, options.seed, phases=phases)
        psnr = _psnr(window_reads(tile.levels, tile.phases, late=late)).mean()
        print(f"{label}: {psnr:.2f} dB\n  levels {tile.levels.tolist()}")
        if phases:
            print(f"  phases {tile.phases.tolist()}")


def score(options: Namespace) -> None:
    """Print the PSNR of every clip under every tile, and what phases gain."""
    torch.set_num_threads(options.threads)
    names, clips = commands.load_clips(options.sequences, options.side)
    networks = {name: trained(options.runs / name, plan) for name, plan in PLANS.items()}
    found = {
        name: np.array(
            [
                psnr_of_mse(float(commands.window_errors(network, PLANS[name], clip).mean()))
                for clip in clips
            ]
        )
        for name, network in networks.items()
    }
    pairs = {name: f"plain-{name[-1]}" for name in found}
    commands.show(names, found, {name: peer for name, peer in pairs.items() if peer != name})


def main(arguments: list[str] | None = None) -> int:
    """Run a command."""
    parser = ArgumentParser(description="Whether phases pay.")
    parts = parser.add_subparsers(required=True, metavar="COMMAND")
    parts.add_parser("estimate", help="the linear estimate").set_defaults(run=estimate)
    searching = parts.add_parser("search", help="search tiles")
    searching.add_argument("--reads", type=int, choices=PLAIN, default=1, help="per pixel")
    searching.add_argument("--tries", type=int, default=600)
    searching.add_argument("--seed", type=int, default=0)
    searching.set_defaults(run=search)
    commands.add_training(parts, PLANS)
    commands.add_scoring(parts, score)
    return commands.run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
