"""What answers at a port may not be a board, and a board may vanish and come back."""

from __future__ import annotations

import os
import pty
import threading
import tty
from contextlib import contextmanager, suppress

import pytest

from focalloop.firmware_sim.wire import (
    FLAG_ERROR,
    FLAG_RESPONSE,
    BoardState,
    ErrorAnswer,
    ErrorCode,
    Frame,
    FrameDecoder,
)
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError, NotABoardError, PortError, VersionMismatchError
from tests.support.bad_line import Proxy, noise
from tests.support.served import on_tcp
from tests.support.waiting import wait_until


@contextmanager
def device(answer):
    """A pty behind which `answer(data) -> bytes` is asked every 5 ms, even without data."""
    line, end = pty.openpty()
    tty.setraw(end)
    os.set_blocking(line, False)
    ending = threading.Event()

    def run():
        while not ending.wait(0.005):
            try:
                data = os.read(line, 65536)
            except BlockingIOError:
                data = b""
            with suppress(BlockingIOError):
                os.write(line, answer(data))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield os.ttyname(end)
    finally:
        ending.set()
        thread.join()
        os.close(line)
        os.close(end)


def test_a_busy_tcp_board_says_so():
    with (
        on_tcp() as server,
        Board.open(server.url),
        pytest.raises(PortError, match="close other programs"),
    ):
        Board.open(server.url)


def test_a_silent_device_is_not_a_board():
    with device(lambda data: b"") as url, pytest.raises(NotABoardError, match="silent"):
        Board.open(url, timeout_s=0.5)


def test_a_chatty_device_is_not_a_board():
    lines = b"login: \r\n" * 30 + noise(1, 300) + b"\0" * 7
    with device(lambda data: lines) as url, pytest.raises(NotABoardError, match="baud"):
        Board.open(url, timeout_s=0.5)


def test_a_device_that_echoes_is_not_a_board():
    with device(lambda data: data) as url, pytest.raises(NotABoardError):
        Board.open(url, timeout_s=0.5)


def test_the_port_is_free_again_after_a_refusal():
    with device(lambda data: b"") as url:
        for _ in range(2):
            with pytest.raises(NotABoardError):
                Board.open(url, timeout_s=0.2)


def test_another_protocol_version_is_named():
    decoder = FrameDecoder()
    refusal = ErrorAnswer(ErrorCode.VERSION_MISMATCH, "this board speaks protocol version 9")

    def board_of_the_future(data):
        return b"".join(
            Frame(
                hello.type, hello.sequence, refusal.pack(), FLAG_RESPONSE | FLAG_ERROR, 9
            ).encode()
            for hello in decoder.feed(data)
        )

    with (
        device(board_of_the_future) as url,
        pytest.raises(VersionMismatchError, match=r"version 9.*update"),
    ):
        Board.open(url)


def test_calls_wait_for_a_vanished_board_and_then_give_up():
    with on_tcp() as server, Proxy(server.address) as proxy:
        board = Board.open(proxy.url, reconnect_timeout_s=1.0, on_event=lambda text: None)
        with board:
            proxy.down()
            wait_until(lambda: board.state == "lost")
            with pytest.raises(BoardLostError, match="did not come back"):
                board.status()
            proxy.up()
            wait_until(lambda: board.state == "connected")
            assert board.status().state is BoardState.IDLE


def test_a_silent_board_is_noticed_and_found_again():
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        proxy.damage = lambda data: b""
        wait_until(lambda: board.state == "lost")
        proxy.damage = lambda data: data
        wait_until(lambda: board.state == "connected")
        assert board.status().state is BoardState.IDLE
