"""The guarantees on a bad line, between a real host and a real board.

Every window that is delivered is exact, lost ones are named, an upload ends verified or leaves the
old map, and whatever befalls the line, windows go on when the board can be reached again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from focalloop.firmware_sim.faults import Event, Faults
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.serving.server import BoardServer
from focalloop.firmware_sim.serving.transport import PtyServer, TcpServer
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import BoardState
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, FocalloopError
from tests.support.board_bench import CountingScene, SumReader
from tests.support.c_board import PipedBoard
from tests.support.served import (
    SHAPE,
    assert_exact,
    make_adaptive_map,
    make_board,
    make_map,
    serving,
)
from tests.support.waiting import wait_until

QUIET_LIST = "delay=1 ms, to-host.slow=300 kB/s"


class FirmwareBoard(PipedBoard):
    """The C firmware on a pipe, in place of a server's board."""

    next_due_us = None
    boots = 0

    def __init__(self, folder: Path, ratio_map: RatioMap | None = None) -> None:
        self.options = {"array": f"{SHAPE[1]}x{SHAPE[0]}"}
        if ratio_map is not None:
            (folder / "map").write_bytes(ratio_map.pack())
            self.options["map"] = str(folder / "map")
        self.start()

    def start(self) -> None:
        self.boots += 1
        super().__init__(**self.options, boot_id=self.boots)

    def poll(self, now_us: int, room: int = 4096) -> bytes:
        return super().poll(now_us, room and max(room, 4096))  # a server wants whole frames

    def reset(self) -> None:
        self.close()
        self.start()

    def disconnect(self) -> None:
        pass


def firmware_codes(window: Window) -> np.ndarray:
    """Return the readout of the C firmware's scene, computed by the bench."""
    reader = SumReader(window.ratio_map, preset("ideal"), 0)
    return reader.read_out(CountingScene(SHAPE).window(window.number))


class Bench:
    """Boards of one kind and the lines to them: "pty", "tcp", or the C firmware on a pty."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.boards: list[FirmwareBoard] = []

    def board(self, **settings: Any) -> VirtualBoard | FirmwareBoard:
        if self.kind != "firmware":
            return make_board(**settings)
        settings.pop("max_payload", None)  # it is built for bodies of 1 KiB
        self.boards.append(FirmwareBoard(self.folder, **settings))
        return self.boards[-1]

    def line(self, faults: str = "", board: Any = None) -> AbstractContextManager[BoardServer]:
        """Serve a board behind a bad cable, under a name that outlasts a disconnection."""
        board, made = board or self.board(), Faults.parse(faults)
        if self.kind == "tcp":
            return serving(TcpServer(board, faults=made))
        return serving(PtyServer(board, link=self.folder / "board", faults=made))

    def close(self) -> None:
        for board in self.boards:
            board.close()


def take(windows: Iterator[Window], count: int, maps: set[RatioMap] | None = None) -> list[int]:
    """Return the numbers of the next windows, each compared bit by bit, and add to `maps`."""
    numbers = []
    for window in islice(windows, count):
        if window.full_scale_dn == preset("ideal").full_scale_dn:
            np.testing.assert_array_equal(window.codes, firmware_codes(window))
        else:
            assert_exact(window)
        numbers.append(window.number)
        if maps is not None:
            maps.add(window.ratio_map)
    return numbers


def opens(url: str) -> bool:
    try:
        Board.open(url).close()
    except FocalloopError:
        return False
    return True


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    yield made
    made.close()  # the firmware's sanitizers would say here what went wrong


@pytest.mark.parametrize(
    ("bench", "faults"),
    [
        ("pty", "flips=2e-5"),
        ("pty", "bursts=5/s of 40 B, to-host.slow=200 kB/s"),
        ("tcp", "drops=5e-5, doubles=5e-5"),
        ("tcp", QUIET_LIST),
        ("firmware", "flips=1e-5, drops=1e-5, delay=3 ms"),
    ],
    indirect=["bench"],
)
def test_windows_are_exact_and_lost_ones_named(bench: Bench, faults: str) -> None:
    with (
        bench.line(f"{faults}, seed=5") as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            numbers = take(windows, 25)
        stats = board.stats
    assert numbers == sorted(set(numbers))
    if stats.reconnects == 0:
        missing = set(range(numbers[0], numbers[-1])) - set(numbers)
        assert missing == {number for number in stats.lost_windows if number < numbers[-1]}
    if faults != QUIET_LIST:
        assert any(server.cable.hits.values())
        assert stats.frames_bad > 0 or stats.repeats > 0


@pytest.mark.parametrize("bench", ["pty", "firmware"], indirect=True)
def test_windows_are_exact_under_the_grids_that_they_name(bench: Bench) -> None:
    made = make_adaptive_map()
    rng = np.random.default_rng(6)
    seen = set()
    with (
        bench.line("flips=1e-5, drops=1e-5, delay=3 ms, seed=6") as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(made)
        with closing(board.stream()) as windows:
            for _ in range(25):
                (number,) = take(windows, 1, seen)
                with suppress(BoardError):  # the window has begun, or enough grids wait
                    board.set_grid(number + 9, rng.integers(0, 6, made.grid_shape))
        assert board.stats.frames_bad > 0 or board.stats.repeats > 0
    assert len(seen) > 3


@pytest.mark.parametrize(
    ("bench", "seed"), [("pty", 0), ("tcp", 1), ("firmware", 2)], indirect=["bench"]
)
def test_an_upload_is_whole_or_changes_nothing(bench: Bench, seed: int) -> None:
    old, new = make_map(100), make_map(seed)
    faults = f"flips=2e-4, drops=5e-5, to-board.bursts=3/s of 30 B, seed={seed}"
    virtual = bench.board(max_payload=256, ratio_map=old)
    with (
        bench.line(faults, virtual) as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        try:
            board.upload(new)
            wanted = {new.hash()}
        except FocalloopError:
            wanted = {old.hash(), new.hash()}
    with bench.line("", virtual) as server, Board.open(server.url) as board:  # a good line
        assert board.status().map_hash in wanted


@pytest.mark.parametrize(
    ("bench", "event"),
    [
        ("pty", "disconnect"),
        ("tcp", "disconnect"),
        ("pty", "stall"),
        ("firmware", "stall"),
        ("tcp", "reset"),
        ("firmware", "reset"),
    ],
    indirect=["bench"],
)
def test_windows_go_on_after_an_outage(bench: Bench, event: Event) -> None:
    told: list[str] = []
    with (
        bench.line() as server,
        Board.open(server.url, on_event=told.append) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            before = take(windows, 10)
            server.inject(event, 1.3)  # longer than a silence after which a board counts as dead
            after = take(windows, 60)
        stats = board.stats
        assert board.status().map_hash == make_map().hash()
    assert before == list(range(10))
    assert stats.reconnects == 1
    assert any("lost the board" in text for text in told)
    if event == "reset":
        assert 0 in after
        assert any("ratio map again" in text for text in told)
    else:
        assert after == [number for number in range(10, 71 + stats.lost) if number in after]
        assert len(after) + stats.lost >= after[-1] - 9
        assert any("is back" in text for text in told)


@pytest.mark.parametrize("bench", ["pty"], indirect=True)
def test_a_short_stall_costs_nothing(bench: Bench) -> None:
    with bench.line() as server, Board.open(server.url) as board:
        board.upload(make_map())
        with closing(board.stream()) as windows:
            numbers = take(windows, 5)
            server.inject("stall", 0.4)
            numbers += take(windows, 40)
        stats = board.stats
    assert numbers == list(range(45))
    assert (stats.reconnects, stats.lost) == (0, 0)


@pytest.mark.parametrize(
    ("bench", "event"),
    [("tcp", "disconnect"), ("pty", "reset"), ("firmware", "disconnect")],
    indirect=["bench"],
)
def test_an_outage_in_mid_upload_resumes_it(bench: Bench, event: Event) -> None:
    begun = threading.Event()
    with (
        bench.line("delay=5 ms", bench.board(max_payload=256)) as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):

        def note(done: int, total: int) -> None:
            if done and not begun.is_set():
                begun.set()
                server.inject(event, 0.3)

        board.upload(make_map(), note)
        assert begun.is_set()
        wait_until(lambda: board.stats.reconnects == 1)
        assert board.status().map_hash == make_map().hash()
        assert take(iter(board.capture(3)), 3)


def test_windows_that_a_reset_takes_away_are_counted_and_named(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        Bench("tcp", tmp_path).line("to-host.slow=40 kB/s", make_board(max_payload=256)) as server,
        Board.open(server.url, on_event=told.append) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            before = take(windows, 3)
            so_far = board.stats.bytes_in
            wait_until(lambda: board.stats.bytes_in > so_far + 2000)  # some of the next
            server.inject("reset")
            after = take(windows, 3)
        stats = board.stats
    assert before == [0, 1, 2]
    assert after[0] == 0
    assert stats.lost == len(stats.lost_windows) > 0
    assert set(stats.lost_windows) <= set(range(3, 12))
    assert any("lost window" in text and str(stats.lost_windows[0]) in text for text in told)


def test_a_cable_pulled_while_a_reset_board_is_made_ready(tmp_path: Path) -> None:
    with (
        Bench("tcp", tmp_path).line("delay=30 ms") as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            take(windows, 12)
            server.inject("reset")
            wait_until(lambda: board.state == "lost")
            time.sleep(0.25)  # the clocks are being compared, or the map is on its way
            server.inject("disconnect", 0.1)
            assert 0 in take(windows, 20)


def test_a_board_that_resets_again_and_again_is_used_in_between(tmp_path: Path) -> None:
    with (
        Bench("pty", tmp_path).line("reset=every 700 ms") as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            while board.stats.reconnects < 3:
                take(windows, 5)


def test_a_pulled_cable_leaves_the_board_idle(tmp_path: Path) -> None:
    with Bench("tcp", tmp_path).line() as server:
        with Board.open(server.url, on_event=lambda text: None, reconnect_timeout_s=0.2) as board:
            board.upload(make_map())
            windows = board.stream()
            take(windows, 3)
            server.inject("disconnect", 1.0)
            with pytest.raises(FocalloopError, match="did not come back"):
                take(windows, 1000)
        wait_until(lambda: opens(server.url))
        with Board.open(server.url) as again:
            assert again.status().state is BoardState.IDLE
