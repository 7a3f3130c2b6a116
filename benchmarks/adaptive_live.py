"""An adaptive map in closed loop over the wire: ``python -m benchmarks.adaptive_live SEQUENCES``.

A virtual board with the real emulator, in a process of its own behind a pty, exposes the windows of
an ``.npz`` of sequences (such as ``long_clips_240.npz``) one after the other in real time, again
and again, so that the scene is cut after every sequence. A live session rebuilds them, and its
controller sets the grids.

* PSNR of each sequence, over the windows from the first that is chosen from the sequence itself,
  against that of the closed loop in simulation, with `DELAY` windows of delay, and against the
  resting map in simulation;
* windows under a grid, by the delay that they really had; late and refused grids;
* reads, against the budget: the most in any window, and the least under a grid;
* windows whose codes are not what the emulator reads under the grid that they name;
* processor time of a choice, against the limit of 5 ms, and of host and board for a window, with
  all that a live session does, against what two cores have for one in real time. The times hold on
  a busy machine too, where `--windows-per-s` has to be lower for grids to come in time.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from benchmarks.wire import SPAWN
from focalloop.firmware_sim.archives import opened
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.serving.transport import PtyServer, stop_on_signals
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.window import Window
from focalloop.host.adaptive.closed_loop import FIRST, Choice, closed_loop, controlled
from focalloop.host.adaptive.controller import Controller
from focalloop.host.adaptive.controller_file import load_controller
from focalloop.host.live.adaptive_loop import AdaptiveLoop
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.session import LiveSession
from focalloop.host.live.viewers import DRAWN_STEP
from focalloop.host.reconstruction.bundle import Bundle, adaptive_bundle
from focalloop.host.reconstruction.quality import mse, psnr_of_mse
from focalloop.models.zoo import DEFAULT_CONTROLLER

PROFILE, SEED, SLOTS = "paper", 0, 16
REAL_TIME = 240 / SLOTS
CHOICE_LIMIT_MS = 5.0
MAX_BYTES = 2 << 30
MAX_WAIT_S = 3600.0

Frames = NDArray[np.uint8]


class _Film:
    """The windows of all sequences, (N, T, H, W), on repeat."""

    def __init__(self, windows: Frames) -> None:
        self._windows = windows
        self.shape, self.slots = windows.shape[2:], windows.shape[1]

    def window(self, index: int) -> Frames:
        window: Frames = self._windows[index % len(self._windows)]
        return window

    def close(self) -> None:
        pass


def _windows_of(sequences: Frames) -> Frames:
    """Return the whole windows of all sequences, (N, SLOTS, H, W)."""
    count, frames, height, width = sequences.shape
    whole = sequences[:, : frames // SLOTS * SLOTS]
    return whole.reshape(count * (frames // SLOTS), SLOTS, height, width)


def _load(path: Path) -> tuple[Frames, list[str]]:
    with opened(path) as archive:
        sequences: Frames = archive.array("sequences.npy", MAX_BYTES)
        return sequences, [str(name) for name in archive.array("names.npy", MAX_BYTES)]


def _serve(path: Path, windows_per_s: float, pipe: Connection) -> None:
    settings = BoardSettings(profile=preset(PROFILE), seed=SEED, slot_rate_hz=windows_per_s * SLOTS)
    board = VirtualBoard(_Film(_windows_of(_load(path)[0])), settings)
    board.warm_up()
    with PtyServer(board) as server, stop_on_signals(server):
        pipe.send(server.url)
        started_s = time.process_time()
        server.serve_forever()
    pipe.send(time.process_time() - started_s)


@contextmanager
def _served(path: Path, windows_per_s: float, spent_s: list[float]) -> Iterator[str]:
    """Serve a board; at the end, add the processor time that it took to `spent_s`."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(path, windows_per_s, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        spent_s.append(ours.recv())
        process.join()


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """A window as it came over the wire, and its error against the scene."""

    window: Window
    exposure: int
    error: float


class ScoredLoop(AdaptiveLoop):
    """A loop that scores what it is given, until it has enough windows."""

    def __init__(self, controller: Controller, budget: float, windows: Frames, wanted: int) -> None:
        super().__init__(controller, budget)
        self.rebuilt_windows: list[Rebuilt] = []
        self.enough = threading.Event()
        self._windows, self._wanted = windows, wanted

    def rebuilt(self, window: Window, video: NDArray[np.float32] | None) -> None:
        """Take a window, then score it."""
        super().rebuilt(window, video)
        exposure = window.number + window.skipped
        if exposure >= self._wanted:
            self.enough.set()
        elif video is not None:
            scene = self._windows[exposure % len(self._windows)]
            error = mse(np.clip(video, 0, 1), scene)
            self.rebuilt_windows.append(Rebuilt(window, exposure, error))


class Benchmark:
    """The sequences, and what both loops share."""

    def __init__(self, path: Path, controller: str, budget: float) -> None:
        self.path = path
        self.sequences, self.names = _load(path)
        self.windows = _windows_of(self.sequences)
        self.per_sequence = len(self.windows) // len(self.sequences)
        self.loaded, self.budget = load_controller(controller), budget

    def over_the_wire(self, rounds: int, windows_per_s: float) -> tuple[ScoredLoop, float]:
        """Run a live session until every sequence was exposed `rounds` times.

        Returns
        -------
        loop : ScoredLoop
        spent_s : float
            Processor time of host and board.
        """
        wanted = rounds * len(self.windows)
        loop = ScoredLoop(self.loaded, self.budget, self.windows, wanted)
        spent_s: list[float] = []
        with _served(self.path, windows_per_s, spent_s) as url:
            started_s = time.process_time()
            # The session knows the film, as `focalloop live` does that of its emulator.
            board = BoardAt(url, open_clip=lambda: _Film(self.windows))
            with LiveSession(board, bundle=adaptive_bundle(), adaptive=loop) as session:
                session.want(self, DRAWN_STEP)  # as a page does
                loop.enough.wait(MAX_WAIT_S)
            spent_s.append(time.process_time() - started_s)
        return loop, sum(spent_s)

    def wrong_windows(self, rebuilt: list[Rebuilt]) -> int:
        """Count windows that are not what the emulator reads under the map that they name."""
        profile, wrong = preset(PROFILE), 0
        for one in rebuilt:
            emulator = Emulator(one.window.ratio_map, profile, seed=SEED)
            scene = self.windows[one.exposure % len(self.windows)]
            expected = emulator.read_out(scene, one.window.number)
            wrong += not np.array_equal(one.window.codes, expected)
        return wrong

    def psnr(self, rebuilt: list[Rebuilt]) -> list[float]:
        """Return the PSNR of each sequence over the windows that count; nan where none came."""
        errors: list[list[float]] = [[] for _ in self.sequences]
        for one in rebuilt:
            sequence, place = divmod(one.exposure % len(self.windows), self.per_sequence)
            if place >= FIRST:
                errors[sequence].append(one.error)
        return [psnr_of_mse(float(np.mean(each))) if each else np.nan for each in errors]

    def simulated(self) -> tuple[list[float], list[float]]:
        """Return the PSNR of each sequence in simulation, under the controller and at rest."""
        controller = self.loaded.fitted_to(*self.windows.shape[2:])
        pixels = self.windows[0, 0].size
        budget = self.budget * pixels * SLOTS
        at_rest: Choice = lambda number, seen: controller.at_rest(budget)  # noqa: E731
        rebuild = Bundle.load(adaptive_bundle()).reconstructor()
        found: list[list[float]] = []
        for choose in (controlled(controller, budget), at_rest):
            loops = (
                closed_loop(each, controller.adaptive_map, choose, rebuild, preset(PROFILE))
                for each in self.sequences
            )
            errors = [loop.error[FIRST:].sum(axis=(1, 2)).mean() / pixels for loop in loops]
            found.append([psnr_of_mse(float(error)) for error in errors])
        return found[0], found[1]


def measure(benchmark: Benchmark, rounds: int, windows_per_s: float) -> Iterator[Row]:
    """Run both loops and compare them."""
    loop, spent_s = benchmark.over_the_wire(rounds, windows_per_s)
    rebuilt, state = loop.rebuilt_windows, loop.state()
    wire = benchmark.psnr(rebuilt)
    simulated, at_rest = benchmark.simulated()
    for name, value, peer in zip(benchmark.names, wire, at_rest, strict=True):
        yield Row.of(name, value, "dB", "at rest, simulated", peer)
    mean = float(np.mean(wire))
    yield Row.of("mean", mean, "dB", "at rest, simulated", float(np.mean(at_rest)))
    yield Row.of("mean", mean, "dB", "adaptive, simulated", float(np.mean(simulated)))
    yield Row.of("windows received", state.windows, "", "exposed", rounds * len(benchmark.windows))
    under_grid = "windows under a grid", state.windows_under_grid
    yield Row.of("windows under a grid", state.windows_under_grid, "", "windows", state.windows)
    for delay, count in state.delays.items():
        yield Row.of(f"delay of {delay} windows", count, "", *under_grid)
    yield Row.of("grids late", state.grids_late, "", "windows", state.windows)
    yield Row.of("grids refused", state.grids_refused, "", "windows", state.windows)
    yield Row.of("windows not used", state.windows_not_used, "", "windows", state.windows)
    reads = [one.window.plan.count for one in rebuilt]
    yield Row.of("most reads in a window", max(reads), "", "budget", state.budget_reads)
    chosen = [one.window.plan.count for one in rebuilt if one.window.grid is not None]
    if chosen:
        yield Row.of("fewest reads under a grid", min(chosen), "", "budget", state.budget_reads)
    yield Row.of("wrong windows", benchmark.wrong_windows(rebuilt), "", "windows", len(rebuilt))
    yield Row.of("choice", state.choice_ms or np.nan, "ms", "limit", CHOICE_LIMIT_MS)
    spent_ms = 1000 * spent_s / state.windows
    yield Row.of("host and board, a window", spent_ms, "ms", "two cores", 2000 / REAL_TIME)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="An adaptive map in closed loop over the wire.")
    parser.add_argument("sequences", type=Path, help="an .npz with sequences (N, F, H, W)")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is exposed; 5")
    parser.add_argument(
        "--windows-per-s", type=float, default=REAL_TIME, help="pace of the board; real time, 15"
    )
    parser.add_argument("--budget", type=float, default=1 / 16, help="r_avg; 0.0625 by default")
    parser.add_argument("--controller", default=DEFAULT_CONTROLLER, help="a name or a file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    benchmark = Benchmark(options.sequences, options.controller, options.budget)
    report.show(measure(benchmark, options.rounds, options.windows_per_s), options.json)


if __name__ == "__main__":
    main()
