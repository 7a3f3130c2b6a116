"""What holds on a bad line, between a real host and a real board.

Every window that is delivered is exact, lost ones are named, an upload ends verified or leaves the
old map, and whatever befalls the line, windows go on when the board can be reached again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import pytest
from served import assert_exact, make_board, make_map, serving, wait_until

from firmware_sim.faults import Event, Faults
from firmware_sim.transport import BoardServer, PtyServer, TcpServer
from firmware_sim.virtual_board import VirtualBoard
from firmware_sim.wire import BoardState, Frame, FrameDecoder, MessageType, StatusAnswer
from host import Board
from host.errors import FocalloopError
from host.windows import Window

QUIET_LIST = "delay=1 ms, to-host.slow=300 kB/s"


@contextmanager
def bad_line(
    kind: str, folder: Path, faults: str = "", board: VirtualBoard | None = None
) -> Iterator[BoardServer]:
    """A served board behind a bad cable, on a pseudo-terminal with a steady name or on TCP."""
    board, made = board or make_board(), Faults.parse(faults)
    server = (
        PtyServer(board, link=folder / "board", faults=made)
        if kind == "pty"
        else TcpServer(board, faults=made)
    )
    with serving(server):
        yield server


def take(windows: Iterator[Window], count: int) -> list[int]:
    """Numbers of the next windows, each checked to the last bit."""
    numbers = []
    for window in islice(windows, count):
        assert_exact(window)
        numbers.append(window.number)
    return numbers


def active_map_hash(board: VirtualBoard) -> bytes:
    """Ask a board that is served no more, with no line between that could err."""
    board.receive(b"\0" + Frame(MessageType.STATUS, 4711).encode())
    for frame in FrameDecoder().feed(board.poll(0)):
        if frame.is_response and frame.sequence == 4711:
            return StatusAnswer.unpack(frame.body).map_hash
    raise AssertionError("the board did not answer")


def opens(url: str) -> bool:
    try:
        Board.open(url).close()
    except FocalloopError:
        return False
    return True


@pytest.fixture(params=["pty", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(
    "faults",
    [
        "flips=3e-5",
        "drops=1e-4, doubles=1e-4",
        "bursts=15/s of 40 B, to-host.slow=300 kB/s",
        "flips=2e-5, drops=2e-5, delay=3 ms",
        QUIET_LIST,
    ],
)
def test_windows_are_exact_and_lost_ones_named(kind: str, faults: str, tmp_path: Path) -> None:
    with (
        bad_line(kind, tmp_path, f"{faults}, seed=5") as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            numbers = take(windows, 40)
        stats = board.stats
    assert numbers == sorted(set(numbers))
    if stats.reconnects == 0:
        missing = set(range(numbers[0], numbers[-1])) - set(numbers)
        assert missing == {number for number in stats.lost_windows if number < numbers[-1]}
    if faults != QUIET_LIST:
        assert any(server.cable.hits.values())
        assert stats.frames_bad > 0 or stats.repeats > 0


@pytest.mark.parametrize("seed", range(3))
def test_an_upload_is_whole_or_changes_nothing(kind: str, seed: int, tmp_path: Path) -> None:
    old, new = make_map(100), make_map(seed)
    faults = f"flips=2e-4, drops=5e-5, to-board.bursts=3/s of 30 B, seed={seed}"
    virtual = make_board(max_payload=256, ratio_map=old)
    with (
        bad_line(kind, tmp_path, faults, virtual) as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        try:
            board.upload(new)
            wanted = {new.hash()}
        except FocalloopError:
            wanted = {old.hash(), new.hash()}
    assert active_map_hash(virtual) in wanted


@pytest.mark.parametrize("event", ["disconnect", "stall", "reset"])
def test_windows_go_on_after_an_outage(kind: str, event: Event, tmp_path: Path) -> None:
    told: list[str] = []
    with (
        bad_line(kind, tmp_path) as server,
        Board.open(server.url, on_event=told.append) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            before = take(windows, 10)
            server.befall(event, 1.3)  # longer than a silence after which a board counts as dead
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


def test_a_short_stall_costs_nothing(kind: str, tmp_path: Path) -> None:
    with bad_line(kind, tmp_path) as server, Board.open(server.url) as board:
        board.upload(make_map())
        with closing(board.stream()) as windows:
            numbers = take(windows, 5)
            server.befall("stall", 0.4)
            numbers += take(windows, 40)
        stats = board.stats
    assert numbers == list(range(45))
    assert (stats.reconnects, stats.lost) == (0, 0)


@pytest.mark.parametrize("event", ["disconnect", "reset"])
def test_an_outage_in_mid_upload_resumes_it(kind: str, event: Event, tmp_path: Path) -> None:
    begun = threading.Event()
    with (
        bad_line(kind, tmp_path, "delay=5 ms", make_board(max_payload=256)) as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):

        def note(done: int, total: int) -> None:
            if done and not begun.is_set():
                begun.set()
                server.befall(event, 0.3)

        board.upload(make_map(), note)
        assert begun.is_set()
        wait_until(lambda: board.stats.reconnects == 1)
        assert board.status().map_hash == make_map().hash()
        assert take(iter(board.capture(3)), 3)


def test_windows_that_a_reset_takes_away_are_counted_and_named(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        bad_line("tcp", tmp_path, "to-host.slow=40 kB/s", make_board(max_payload=256)) as server,
        Board.open(server.url, on_event=told.append) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            before = take(windows, 3)
            so_far = board.stats.bytes_in
            wait_until(lambda: board.stats.bytes_in > so_far + 2000)  # some of the next
            server.befall("reset")
            after = take(windows, 3)
        stats = board.stats
    assert before == [0, 1, 2]
    assert after[0] == 0
    assert stats.lost == len(stats.lost_windows) > 0
    assert set(stats.lost_windows) <= set(range(3, 12))
    assert any("lost window" in text and str(stats.lost_windows[0]) in text for text in told)


def test_a_board_that_resets_again_and_again_is_used_in_between(tmp_path: Path) -> None:
    with (
        bad_line("pty", tmp_path, "reset=every 700 ms") as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(make_map())
        with closing(board.stream()) as windows:
            while board.stats.reconnects < 3:
                take(windows, 5)


def test_a_pulled_cable_leaves_the_board_idle(tmp_path: Path) -> None:
    with bad_line("tcp", tmp_path) as server:
        with Board.open(server.url, on_event=lambda text: None, reconnect_timeout_s=0.2) as board:
            board.upload(make_map())
            windows = board.stream()
            take(windows, 3)
            server.befall("disconnect", 1.0)
            with pytest.raises(FocalloopError, match="did not come back"):
                take(windows, 1000)
        wait_until(lambda: opens(server.url))
        with Board.open(server.url) as again:
            assert again.status().state is BoardState.IDLE
