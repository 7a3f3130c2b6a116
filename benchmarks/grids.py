"""Adaptive maps on a bad line: ``python -m benchmarks.grids [--json]``, some minutes.

A virtual board in a process of its own takes the grids of an adaptive map over a line that flips,
drops and doubles bytes, and over which the board vanishes and resets. Moreover, requests for grids
are dropped, doubled, and held back until later ones have overtaken them. Every code that the board
sends depends on the window and on the whole map that it was read under.

* windows of `WINDOWS` delivered whose codes are not those of the map that the host takes them for;
  how many were read under a grid, how many grids were taken, and how many windows were lost;
* time to compose a map of 256x256 pixels and its read plan, against a limit of 5 ms;
* time to set its grid over 921600 baud, against a window at 15 windows per second.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from benchmarks.wire import BAUD, SPAWN, served_board
from focalloop.firmware_sim.faults import Faults
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.serving.transport import TcpServer, stop_on_signals
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Frame, FrameDecoder, MessageType
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, BoardLostError

WINDOWS = 100_000
FAULTS = "flips=2e-6, drops=5e-7, doubles=5e-7, disconnect=every 23 s for 200 ms, reset=every 31 s"
SHAPE, BLOCK, SLOTS = (16, 24), 4, 16
WINDOWS_PER_S = 1000.0
SENDERS = 4
"""Grids that may be on their way at a time."""

LARGE = (256, 256)
COMPOSE_LIMIT_MS = 5.0
WINDOW_MS = 1000 / 15
ROUNDS = 50


def adaptive_map(shape: tuple[int, int], block: int) -> AdaptiveMap:
    """Return a palette from nothing to two reads per pixel."""
    rng = np.random.default_rng(0)
    drawn = rng.choice([0, 1, 2, 4, 8], (17, 4, 4), p=[0.5, 0.3, 0.1, 0.05, 0.05])
    return AdaptiveMap(RatioMap.uniform(1, shape), drawn, block)


def expected_codes(ratio_map: RatioMap, window: int, count: int) -> NDArray[np.uint16]:
    """Return what the board reads: codes that differ with the map, the window and the place."""
    seed = int.from_bytes(ratio_map.hash()[:6], "little") | 1
    codes = (np.arange(1, count + 1) * seed + window * 40503) >> 8
    return codes.astype(np.uint16)


def is_wrong(window: Window) -> bool:
    """Whether a window does not hold what the board read under the window's map."""
    expected = expected_codes(window.ratio_map, window.number, window.plan.count)
    return not np.array_equal(window.codes, expected)


class _Reader:
    def __init__(self, ratio_map: RatioMap, profile: NoiseProfile, seed: int, _: object) -> None:
        self._ratio_map, self._count = ratio_map, ReadPlan.of(ratio_map).count

    def read_out(self, scene: NDArray[Any], first_window: int = 0) -> NDArray[Any]:
        return expected_codes(self._ratio_map, first_window, self._count)


class _BlankScene:
    shape, slots = SHAPE, SLOTS

    def window(self, index: int) -> NDArray[np.uint8]:
        return np.zeros((SLOTS, *SHAPE), np.uint8)

    def close(self) -> None:
        pass


class _Unreliable(VirtualBoard):
    """A board that some requests for grids do not reach, or twice, or after later requests."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._frames = FrameDecoder(1 << 16)
        self._held: list[tuple[int, Frame]] = []
        settings = BoardSettings(profile=preset("paper"), slot_rate_hz=WINDOWS_PER_S * SLOTS)
        super().__init__(_BlankScene(), settings, make_reader=_Reader)

    def receive(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            copies = 1
            if frame.type == MessageType.GRID:
                fate = self._rng.random()
                copies = 0 if fate < 0.3 else 2 if fate < 0.4 else 1
                if 0.1 <= fate < 0.3 or 0.4 <= fate < 0.45:
                    self._held.append((self._rng.randint(1, 12), frame))
            for _ in range(copies):
                super().receive(frame.encode())
            due = [held for wait, held in self._held if wait == 1]
            self._held = [(wait - 1, held) for wait, held in self._held if wait > 1]
            for held in due:
                super().receive(held.encode())

    def disconnect(self) -> None:
        self._held.clear()
        super().disconnect()


def _serve(faults: str, seed: int, pipe: Connection) -> None:
    with (
        TcpServer(_Unreliable(seed), faults=Faults.parse(faults)) as server,
        stop_on_signals(server),
    ):
        pipe.send(server.url)
        server.serve_forever()


@contextmanager
def _bad_line(faults: str, seed: int) -> Iterator[Board]:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(faults, seed, theirs), daemon=True)
    process.start()
    try:
        with Board.open(
            ours.recv(),
            reconnect_timeout_s=60.0,
            on_event=lambda text: None,
            on_log=lambda level, text: None,
        ) as board:
            yield board
    finally:
        process.terminate()
        process.join()


@dataclass
class Tally:
    """What happened on a bad line.

    Attributes
    ----------
    windows, wrong, under_grids, lost : int
        Windows delivered; of these, those that are not what they are taken for, and those read
        under a grid; windows not delivered.
    sent, taken : int
        Grids set, and of these those that the board is known to have taken.
    reconnects : int
        Times that the board was lost and found.
    """

    windows: int = 0
    wrong: int = 0
    under_grids: int = 0
    lost: int = 0
    sent: int = 0
    taken: int = 0
    reconnects: int = 0


def under_faults(windows: int, faults: str = FAULTS, seed: int = 1) -> Tally:
    """Stream `windows` windows over a bad line while grids are set."""
    tally = Tally()
    rng = np.random.default_rng(seed)
    places = threading.Semaphore(SENDERS)
    counting = threading.Lock()

    def send(board: Board, window: int, grid: NDArray[Any]) -> None:
        taken = False
        try:
            board.set_grid(window, grid)
            taken = True
        except (BoardError, BoardLostError):
            pass  # too late or out of order, as intended, or lost with the board
        finally:
            places.release()
        with counting:
            tally.sent += 1
            tally.taken += taken

    with _bad_line(faults, seed) as board, ThreadPoolExecutor(SENDERS) as senders:
        made = board.upload(adaptive_map(SHAPE, BLOCK))
        with closing(board.stream()) as stream:
            for window in stream:
                tally.windows += 1
                tally.wrong += is_wrong(window)
                tally.under_grids += window.ratio_map != made.resting
                if tally.windows == windows:
                    break
                if places.acquire(blocking=False):
                    ahead = int(rng.integers(1, 16))
                    grid = rng.integers(0, len(made.tiles), made.grid_shape)
                    senders.submit(send, board, window.number + ahead, grid)
        tally.lost, tally.reconnects = board.stats.lost, board.stats.reconnects
    return tally


def fault_rows() -> Iterator[Row]:
    """Count wrong windows on a bad line."""
    tally = under_faults(WINDOWS)
    delivered = "windows delivered", tally.windows
    yield Row.of("wrong windows", tally.wrong, "", *delivered)
    yield Row.of("windows under a grid", tally.under_grids, "", *delivered)
    yield Row.of("windows lost", tally.lost, "", *delivered)
    yield Row.of("grids taken", tally.taken, "", "grids set", tally.sent)
    yield Row.of("boards lost and found", tally.reconnects, "", *delivered)


def time_rows() -> Iterator[Row]:
    """Time what happens for every grid."""
    made = adaptive_map(LARGE, 16)
    rng = np.random.default_rng(1)
    grids = rng.integers(0, len(made.tiles), (ROUNDS, *made.grid_shape))
    times_s = []
    for grid in grids:
        started_s = time.perf_counter()
        ReadPlan.of(made.compose(grid))
        times_s.append(time.perf_counter() - started_s)
    compose_ms = 1000 * statistics.median(times_s)
    yield Row.of("map and read plan, 256x256", compose_ms, "ms", "limit", COMPOSE_LIMIT_MS)
    with served_board(BAUD) as board:
        board.upload(made)
        times_s = []
        for grid in grids:
            board.upload(made.resting)  # no grid waits any more
            board.upload(made)
            started_s = time.perf_counter()
            board.set_grid(0, grid)
            times_s.append(time.perf_counter() - started_s)
    set_ms = 1000 * statistics.median(times_s)
    yield Row.of("grid of 256 blocks set, 921600 baud", set_ms, "ms", "window at 15/s", WINDOW_MS)


def measure() -> Iterator[Row]:
    """Count and time."""
    yield from time_rows()
    yield from fault_rows()


if __name__ == "__main__":
    report.main("Adaptive maps on a bad line.", measure)
