"""The serial bridge against the line it runs on: ``python -m benchmarks.wire [--json]``.

A virtual board runs in a process of its own, on a pseudo-terminal. Its readouts are canned, so that
the protocol at both ends is measured and not the emulated sensor:

* goodput of a stream at 921600 baud, against the line rate of baud/10 bytes per second;
* time to upload a 256x256 map without a tile there, against that of its bytes at the line rate;
* bytes of readouts per second without pacing, against bare bytes through a pty in the same run.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.faults import Faults
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.firmware_sim.serving.server import NO_FAULTS
from focalloop.firmware_sim.serving.transport import PtyServer, stop_on_signals
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import DEFAULT_MAX_PAYLOAD, LARGE_MAX_PAYLOAD
from focalloop.host.board.client import Board

BAUD = 921600
LINE_BYTES_PER_S = BAUD / 10
SHAPE = (256, 256)
TILE_MAP = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)

PACED_WINDOWS = 4
UNPACED_WINDOWS = 600
RAW_BYTES = 128 << 20

SPAWN = multiprocessing.get_context("spawn")


class _BlankScene:
    slots = 16

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape

    def window(self, index: int) -> NDArray[np.uint8]:
        return np.zeros((self.slots, *self.shape), np.uint8)

    def close(self) -> None:
        pass


class _CannedReader:
    """Reads out the same random codes for every window."""

    def __init__(self, ratio_map: RatioMap, profile: NoiseProfile, seed: int, _: object) -> None:
        count = ReadPlan.of(ratio_map).count
        self._codes = np.random.default_rng(seed).integers(0, 256, count, np.uint8)

    def read_out(self, scene: NDArray[Any], first_window: int = 0) -> NDArray[Any]:
        return self._codes


def canned_board(baud: int, shape: tuple[int, int] = SHAPE) -> VirtualBoard:
    """Make a board with canned readouts for a line of `baud` bit/s; 0 for one without pacing."""
    payload = DEFAULT_MAX_PAYLOAD if baud else LARGE_MAX_PAYLOAD
    settings = BoardSettings(profile=preset("scamp5"), max_payload=payload)
    return VirtualBoard(_BlankScene(shape), settings, make_reader=_CannedReader)


def _serve(baud: int, faults: Faults, pipe: Connection) -> None:
    board = canned_board(baud)
    with PtyServer(board, baud=baud, faults=faults) as server, stop_on_signals(server):
        pipe.send(server.url)
        server.serve_forever()


@contextmanager
def served_board(baud: int, faults: Faults = NO_FAULTS) -> Iterator[Board]:
    """Serve a board with canned readouts in a process of its own, and open it."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(baud, faults, theirs))
    process.start()
    try:
        with Board.open(ours.recv()) as board:
            yield board
    finally:
        process.terminate()
        process.join()


def stream_rate(board: Board, windows: int) -> float:
    """Return bytes of readouts per second, from the end of the first window to the last one's."""
    stream = board.stream()
    size = next(stream).codes.nbytes
    started_s = time.perf_counter()
    for _ in islice(stream, windows):
        pass
    seconds = time.perf_counter() - started_s
    stream.close()
    return windows * size / seconds


def paced_rows() -> Iterator[Row]:
    """Measure goodput and upload time on a line of 921600 baud."""
    ratio_map = RatioMap.random(SHAPE)
    with served_board(BAUD) as board:
        started_s = time.perf_counter()
        board.upload(ratio_map)
        seconds = time.perf_counter() - started_s
        at_line_rate_s = len(ratio_map.pack()) / LINE_BYTES_PER_S
        yield Row.of(
            "upload, 256x256 map without a tile", seconds, "s", "line rate", at_line_rate_s
        )
        board.upload(TILE_MAP)
        rate = stream_rate(board, PACED_WINDOWS)
        yield Row.of("goodput at 921600 baud", rate, "B/s", "line rate", LINE_BYTES_PER_S)


def unpaced_rows() -> Iterator[Row]:
    """Measure goodput on a pty without pacing."""
    raw = _raw_pty_rate()
    with served_board(0) as board:
        board.upload(TILE_MAP)
        rate = stream_rate(board, UNPACED_WINDOWS)
        yield Row.of("goodput, not paced", rate / 1e6, "MB/s", "bare pty", raw / 1e6)


def _write_raw(line: int, count: int) -> None:
    block = bytes(range(256)) * 256
    while count > 0:
        count -= os.write(line, block[:count])


def _raw_pty_rate() -> float:
    """Bytes per second through a pty between two processes that do nothing else."""
    line, device = os.openpty()
    tty.setraw(device)
    child = os.fork()
    if child == 0:
        _write_raw(line, RAW_BYTES)
        os._exit(0)
    started_s, left = time.perf_counter(), RAW_BYTES
    while left > 0:
        left -= len(os.read(device, 65536))
    seconds = time.perf_counter() - started_s
    os.waitpid(child, 0)
    os.close(line)
    os.close(device)
    return RAW_BYTES / seconds


def measure() -> Iterator[Row]:
    """Measure the line without pacing, then with it."""
    yield from unpaced_rows()
    yield from paced_rows()


if __name__ == "__main__":
    report.main("Goodput of the serial bridge.", measure)
