"""Any sequence of grids, runs and waits, on the emulator and the C firmware, against a model."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.wire import MAX_GRID_AHEAD, MAX_PENDING_GRIDS, ErrorCode, MessageType
from tests.support.board_bench import Bench, adaptive_map, credit, grid_request, stream
from tests.support.conformance import Make, expected

WINDOW_US = 100_000
MADE = adaptive_map(11)
GRIDS = [bytes([1 + number] * 24) for number in range(5)]


class Model:
    """What the document says of grids, for a board that exposes and has room all the time."""

    def __init__(self) -> None:
        self.next_window = 0
        self.skipped = 0
        self.limit: int | None = None
        self.present = b""
        self.pending: list[tuple[int, bytes]] = []
        self.windows: dict[int, tuple[bytes, int]] = {}

    @property
    def next_begun(self) -> int:
        return self.next_window + (self.limit is not None)

    def grid(self, window: int, grid: bytes) -> ErrorCode | None:
        if not self.next_begun <= window <= self.next_begun + MAX_GRID_AHEAD:
            return ErrorCode.BAD_ARGUMENT
        if self.pending and window <= self.pending[-1][0]:
            return ErrorCode.BAD_ARGUMENT
        if len(self.pending) == MAX_PENDING_GRIDS:
            return ErrorCode.BUSY
        self.pending.append((window, grid))
        return None

    def begin(self) -> None:
        while self.pending and self.pending[0][0] <= self.next_window:
            self.present = self.pending.pop(0)[1]

    def start(self, credit_windows: int) -> None:
        self.limit = self.next_window + credit_windows
        self.begin()

    def end_of_window(self) -> None:
        if self.limit is None:
            return
        if self.next_window < self.limit:
            self.windows[self.next_window] = self.present, self.skipped
            self.next_window += 1
        else:
            self.skipped += 1
        self.begin()

    def drop(self) -> None:
        self.present, self.pending = b"", []


def play(bench: Bench, model: Model, rng: random.Random) -> Iterator[str]:
    """Do 60 things at random with both; yield what comes next."""
    for _ in range(60):
        act = rng.choice(["grid"] * 6 + ["window"] * 4 + ["credit", "start", "stop", "hello"])
        if act == "grid":
            window = model.next_begun + rng.choice([-2, -1, 0, 0, 1, 2, 3, 5, 9, 257])
            packed = rng.choice([*GRIDS, b""])
            request = grid_request(
                window % 2**32, np.frombuffer(packed, np.uint8) if packed else None
            )
            yield f"grid {packed[:1].hex()} for {window}"
            next_begun, wanted = model.next_begun, model.grid(window % 2**32, packed)
            if wanted is not None:
                assert bench.refused(*request)[0] == wanted
            else:
                assert wire.WindowNumber.unpack(bench.ask(*request)).window == next_begun
        elif act == "window":
            yield "a window's time"
            bench.poll(WINDOW_US)
            model.end_of_window()
        elif act == "credit" and model.limit is not None:
            yield "credit"
            model.limit = max(model.limit, model.next_window + 3)
            bench.ask(*credit(model.limit))
        elif act == "start" and model.limit is None:
            yield "start"
            bench.ask(*stream(2))
            model.start(2)
        elif act == "stop":
            yield "stop"
            bench.ask(MessageType.STREAM_STOP)
            model.limit = None
        elif act == "hello" and rng.random() < 0.3:
            yield "hello"
            bench.hello(1024)
            model.limit = None
            model.drop()


@pytest.mark.parametrize("seed", range(12))
def test_grids_apply_as_the_document_says(make: Make, seed: int) -> None:
    bench = make(MADE.resting, slot_rate_hz=160)
    bench.hello(1024)
    bench.upload(MADE)
    bench.take_logs()
    model = Model()
    for what in play(bench, model, random.Random(seed)):
        print(what)  # shown if it fails
    windows = bench.take_windows()
    assert list(windows) == list(model.windows)
    for number, (grid, skipped) in model.windows.items():
        descriptor, data = windows[number]
        ratio_map = MADE.compose(grid) if grid else MADE.resting
        map_hash = MADE.grid_hash(grid) if grid else MADE.resting.hash()
        assert (descriptor.map_hash, descriptor.skipped) == (map_hash[:8], skipped)
        assert data == expected(ratio_map, number + skipped)
