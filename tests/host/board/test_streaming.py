"""Streams and captures: in order, exact, within their credit, and across outages."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from itertools import islice

import pytest

from focalloop.firmware_sim.wire import BoardState, MessageType
from focalloop.host.board.client import Board
from focalloop.host.board.streaming import StreamControl
from focalloop.host.errors import BoardBusyError, BoardLostError
from focalloop.host.link.connection import Connection
from tests.support.bad_line import Damage, Proxy, noise
from tests.support.served import assert_exact, make_board, make_map, on_pty, on_tcp
from tests.support.waiting import wait_until


def test_a_stream_ends_with_its_generator_and_leaves_the_board_idle(url):
    with Board.open(url) as board:
        board.upload(make_map())
        with closing(board.stream()) as stream:
            for window in islice(stream, 30):
                assert_exact(window)
            assert board.status().state is BoardState.STREAMING
            with pytest.raises(BoardBusyError):
                board.capture()
        assert board.status().state is BoardState.IDLE
        assert board.capture()[0].number > 29


def test_leaving_the_block_in_mid_stream_leaves_the_board_idle(url):
    with Board.open(url) as board:
        board.upload(make_map())
        stream = board.stream()
        next(stream)
    with pytest.raises(BoardLostError):
        list(stream)
    with Board.open(url) as board:
        assert board.status().state is BoardState.IDLE


def test_credit_that_no_board_received_is_granted_again(url, monkeypatch):
    """As where the consumer takes windows of a new link before the connection is in use again."""
    submit, swallowed = Connection.submit, []

    def submit_later(self, type_, body=b"", on_answer=None):
        if type_ is MessageType.STREAM_CREDIT and len(swallowed) < 20:
            return swallowed.append(body)
        return submit(self, type_, body, on_answer)

    monkeypatch.setattr(Connection, "submit", submit_later)
    with Board.open(url) as board:
        board.upload(make_map())
        with closing(board.stream()) as stream:
            assert [window.number for window in islice(stream, 40)] == list(range(40))
    assert len(swallowed) == 20


def test_a_map_uploaded_in_mid_stream_takes_effect_in_it(url):
    first, second = make_map(1), make_map(2)
    with Board.open(url) as board:
        board.upload(first)
        seen = []
        uploading = threading.Thread(target=board.upload, args=(second,))
        for window in board.stream():
            assert_exact(window)
            seen.append(window.ratio_map.hash())
            if len(seen) == 20:
                uploading.start()
            if seen.count(second.hash()) == 20:
                break
        uploading.join()
    change = seen.index(second.hash())
    assert set(seen[:change]) == {first.hash()}
    assert set(seen[change:]) == {second.hash()}


def test_a_slow_consumer_makes_a_real_time_board_skip_and_not_queue():
    with on_tcp(make_board(slot_rate_hz=16000)) as server, Board.open(server.url) as board:
        board.upload(make_map())
        with closing(board.stream(credit=2)) as stream:
            first = next(stream)
            time.sleep(0.3)
            late = list(islice(stream, 4))
    assert [window.number for window in late] == [first.number + i for i in range(1, 5)]
    assert late[-1].skipped > 50
    for window in late:
        assert_exact(window)


def test_a_reset_in_mid_stream_goes_on_with_the_map():
    events = []
    with (
        on_tcp() as server,
        Board.open(server.url, on_event=events.append) as board,
    ):
        board.upload(make_map())
        numbers = []
        for window in board.stream():
            assert_exact(window)
            numbers.append(window.number)
            if len(numbers) == 20:
                board.reset()
            if len(numbers) == 60:
                break
    assert 0 in numbers[20:]
    assert not any("the board at" in event for event in events)  # its restart was asked for


def test_a_stream_goes_on_after_the_line_was_cut():
    events = []
    with (
        on_tcp() as server,
        Proxy(server.address) as proxy,
        Board.open(proxy.url, on_event=events.append) as board,
    ):
        board.upload(make_map())
        numbers = []
        for window in board.stream():
            assert_exact(window)
            numbers.append(window.number)
            if len(numbers) in (10, 30):
                proxy.cut(5000)
            if len(numbers) == 60:
                break
        stats = board.stats
    assert stats.reconnects == 2
    assert stats.lost == 0
    assert numbers == list(range(60))
    assert sum("is back" in event for event in events) == 2


@pytest.mark.parametrize("after_bytes", [1, 60, 110, 130, 150, 200])
@pytest.mark.parametrize("dark", [False, True])
def test_a_line_cut_while_a_capture_starts(after_bytes, dark):
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        board.upload(make_map())
        proxy.cut(after_bytes)
        for window in board.dark_capture(2, 5) if dark else board.capture(5):
            assert_exact(window)
        assert board.status().state is BoardState.IDLE


def test_a_stream_ended_between_its_resumption_and_the_use_of_the_link(monkeypatch):
    cut, resumed, ended = threading.Event(), threading.Event(), threading.Event()
    resume = StreamControl.resume

    def paused_after_resuming(control, link, rebooted):
        resume(control, link, rebooted)
        if cut.is_set():
            resumed.set()
            ended.wait(10)

    monkeypatch.setattr(StreamControl, "resume", paused_after_resuming)
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        board.upload(make_map())
        stream = board.stream()
        assert_exact(next(stream))
        cut.set()
        proxy.cut(1)
        assert resumed.wait(10)
        stream.close()
        ended.set()
        assert board.status().state is BoardState.IDLE


def test_a_device_that_vanishes_and_returns(tmp_path):
    device = tmp_path / "board"
    virtual = make_board()
    with on_pty(virtual, link=device) as server:
        board = Board.open(server.url, reconnect_timeout_s=10, on_event=lambda text: None)
        board.upload(make_map())
        stream = board.stream()
        assert_exact(next(stream))
    with board:
        wait_until(lambda: board.state == "lost")
        with on_pty(link=device):
            for window in islice(stream, 20):
                assert_exact(window)
            assert board.stats.reconnects == 1
            stream.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_delivers_every_window_exact_or_says_it_is_lost(seed):
    damage = Damage(seed, 2e-5)
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        proxy.damage = damage
        board.upload(make_map(seed))
        numbers = []
        for window in board.stream():
            assert_exact(window)
            numbers.append(window.number)
            if len(numbers) == 150:
                break
        stats = board.stats
    assert damage.events > 0
    assert stats.resends > 0
    assert numbers == sorted(set(numbers))
    if not stats.reconnects:
        assert numbers[-1] - numbers[0] + 1 == len(numbers) + stats.lost


def test_a_line_that_turns_to_noise_and_back_loses_no_state():
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        board.upload(make_map())
        for count, window in enumerate(board.stream(), 1):
            assert_exact(window)
            if count == 20:
                proxy.damage = lambda data: noise(len(data), len(data))
                threading.Timer(1.5, lambda: setattr(proxy, "damage", lambda data: data)).start()
            if count == 60:
                break
        assert board.status().map_hash == make_map().hash()
