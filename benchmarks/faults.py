"""What a bad line costs, and how soon a board is back: ``python -m benchmarks.faults [--json]``.

A virtual board runs in a process of its own, on a pseudo-terminal, as in `benchmarks.wire`:

* goodput at a bit error rate of 1e-5 in both directions, against that of the clean line in the same
  run, at 921600 baud and without pacing;
* time from the moment at which the board can be reached again to the arrival of the first whole
  window exposed after it, at 921600 baud, after a pulled cable, after the board had stopped in
  mid-frame, and after a reset: the median and the longest of `TRIALS`, against the limit of 2 s.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.report import Row
from benchmarks.wire import BAUD, SPAWN, TILE_MAP, canned_board, served_board, stream_rate
from focalloop.firmware_sim.faults import Event, Faults
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.serving.transport import PtyServer, stop_on_signals
from focalloop.firmware_sim.window import Window
from focalloop.host.board.client import Board

BAD_LINE = Faults.parse("flips=1e-5, seed=1")

PACED_WINDOWS = 8
UNPACED_WINDOWS = 60
ROUNDS = 5
WARM_UP_WINDOWS = {BAUD: 1, 0: 30}
"""Taken before, so that the host has found the length of frames that suits the line."""

SMALL_MAP = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (64, 64))
"""Its windows take 0.09 s at 921600 baud, which is short in comparison with the recovery."""

TRIALS = 12
MAX_OUTAGE_S = 3.0
RECOVERY_LIMIT_S = 2.0
KINDS: dict[Event, str] = {
    "disconnect": "pulled cable",
    "stall": "stop in mid-frame",
    "reset": "reset",
}


def goodput_rows() -> Iterator[Row]:
    """Measure goodput with bit errors, against the clean line's."""
    yield _goodput_row("goodput at 1e-5, 921600 baud", BAUD, PACED_WINDOWS, 1)
    yield _goodput_row("goodput at 1e-5, not paced", 0, UNPACED_WINDOWS, ROUNDS)


def _goodput_row(name: str, baud: int, windows: int, rounds: int) -> Row:
    """Compare median rates of the two lines, measured in turns so that other load hits both."""
    rates: dict[Faults, list[float]] = {Faults(): [], BAD_LINE: []}
    for _ in range(rounds):
        for faults, measured in rates.items():
            with served_board(baud, faults) as board:
                board.upload(TILE_MAP)
                board.capture(WARM_UP_WINDOWS[baud])
                measured.append(stream_rate(board, windows))
    clean, bad = map(statistics.median, rates.values())
    return Row.of(name, bad, "B/s", "clean line", clean)


def _serve(link: Path, pipe: Connection) -> None:
    """Serve a board with the faults that come through the pipe; answer when each has happened."""
    board = canned_board(BAUD, SMALL_MAP.shape)

    def answer(text: str) -> None:
        pipe.send(time.monotonic())

    def obey() -> None:
        while True:
            server.inject(*pipe.recv())

    with PtyServer(board, baud=BAUD, link=link, on_fault=answer) as server:
        threading.Thread(target=obey, daemon=True).start()
        pipe.send(None)
        with stop_on_signals(server):
            server.serve_forever()


@contextmanager
def _board_with_faults() -> Iterator[tuple[Board, Connection]]:
    ours, theirs = SPAWN.Pipe()
    with TemporaryDirectory() as folder:
        link = Path(folder) / "board"
        process = SPAWN.Process(target=_serve, args=(link, theirs))
        process.start()
        try:
            ours.recv()
            with Board.open(str(link), on_event=lambda text: None) as board:
                yield board, ours
        finally:
            process.terminate()
            process.join()


def _recovery_s(
    windows: Iterator[Window], pipe: Connection, event: Event, outage_s: float
) -> float:
    """Return the time from the end of an outage to the first whole window exposed after it."""
    next(windows)
    pipe.send((event, outage_s))
    reachable_s: float = pipe.recv() + outage_s
    for window in windows:
        if window.time_s > reachable_s:
            return time.monotonic() - reachable_s
    raise AssertionError("a stream without end has ended")


def recovery_rows() -> Iterator[Row]:
    """Measure how long it takes until windows come again."""
    with _board_with_faults() as (board, pipe):
        board.upload(SMALL_MAP)
        for event, name in KINDS.items():
            times_s = []
            with closing(board.stream()) as windows:
                for trial in range(TRIALS):
                    outage_s = 0.0 if event == "reset" else MAX_OUTAGE_S * (trial + 1) / TRIALS
                    times_s.append(_recovery_s(windows, pipe, event, outage_s))
            for what, value in (("median", statistics.median(times_s)), ("longest", max(times_s))):
                row = f"back after a {name}, {what} of {TRIALS}"
                yield Row.of(row, value, "s", "limit", RECOVERY_LIMIT_S)


def measure() -> Iterator[Row]:
    """Measure goodput and recovery."""
    yield from goodput_rows()
    yield from recovery_rows()


if __name__ == "__main__":
    report.main("Goodput and recovery on a bad line.", measure)
