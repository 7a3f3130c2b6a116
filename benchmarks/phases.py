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
from numpy.typing import NDArray

from benchmarks.straddling import commands
from benchmarks.straddling.learning import Plan
from benchmarks.straddling.linear_gaussian import SPEEDS, Reads, estimated, frames, window_reads
from benchmarks.straddling.tile_search import PERIOD, PhasedTile, searched

PLAIN = {
    1: PhasedTile.of([[0, 2, 0, 4], [1, 0, 1, 0], [0, 4, 0, 2], [1, 0, 1, 0]]),
    2: PhasedTile.of([[4, 1], [1, 2]]),
}
"""The best tiles without phases that `search` found, by reads per pixel."""
PHASED = {
    1: PhasedTile.of(
        [[1, 1, 2, 1], [1, 0, 1, 1], [0, 1, 0, 1], [2, 1, 2, 1]],
        [[8, 10, 7, 12], [15, 0, 3, 11], [0, 7, 0, 15], [4, 1, 2, 7]],
        late=True,
    ),
    2: PhasedTile.of(
        [[4, 1], [1, 2]],
        [[1, 12, 1, 15], [15, 7, 10, 1], [3, 15, 3, 15], [10, 1, 13, 5]],
        late=True,
    ),
}
"""The best tiles with phases."""
PLANS = {
    f"{name}-{reads}": Plan(tile, margins=True)
    for name, tiles in (("plain", PLAIN), ("phases", PHASED))
    for reads, tile in tiles.items()
}


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
    """Print a tile without phases, and one with phases that begins with it."""
    tile = PLAIN[options.reads]
    for phases in (False, True):
        start = replace(tile, late=phases)
        tile = searched(start, options.tries, options.seed, phases=phases)
        print(f"{_psnr(window_reads(tile.levels, tile.phases, late=tile.late)).mean():.2f} dB")
        print(f"  levels {tile.levels.tolist()}")
        if phases:
            print(f"  phases {tile.phases.tolist()}")


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
    commands.add_scoring(parts, PLANS, _peer)
    return commands.run(parser.parse_args(arguments))


def _peer(name: str) -> str:
    return name.replace("phases", "plain")


if __name__ == "__main__":
    sys.exit(main())
