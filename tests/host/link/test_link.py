"""Ports that are not boards, and lines that damage what they carry."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
import threading
import tty
from contextlib import contextmanager, suppress

import pytest
import serial

from focalloop.firmware_sim.wire import (
    FLAG_ERROR,
    FLAG_RESPONSE,
    ErrorAnswer,
    ErrorCode,
    Frame,
    FrameDecoder,
)
from focalloop.host.board.client import Board
from focalloop.host.errors import (
    FocalloopError,
    NotABoardError,
    PortError,
    VersionMismatchError,
)
from tests.support.served import (
    Damage,
    Proxy,
    assert_exact,
    free_port,
    make_board,
    make_map,
    noise,
    on_pty,
    on_tcp,
    wait_until,
)


@contextmanager
def device(answer):
    """A pty behind which `answer(data) -> bytes` sits, also asked with b"" now and then."""
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


def test_a_missing_port_is_named():
    with pytest.raises(PortError, match=r"no port /dev/ttyNONE.*focalloop ports"):
        Board.open("/dev/ttyNONE")


def test_nothing_listening_on_a_tcp_port():
    with pytest.raises(PortError, match="nothing listens"):
        Board.open(f"socket://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("url", ["nonsense://x", "socket://nohost", "socket://:x", "/dev/null", ""])
def test_what_is_no_port_is_refused_in_one_sentence(url):
    with pytest.raises(PortError) as refused:
        Board.open(url)
    assert "\n" not in str(refused.value)
    assert url in str(refused.value)


def test_a_busy_port_says_so():
    with (
        on_pty() as server,
        Board.open(server.url),
        pytest.raises(PortError, match="in use by another program"),
    ):
        Board.open(server.url)


def test_a_busy_tcp_board_says_so():
    with (
        on_tcp() as server,
        Board.open(server.url),
        pytest.raises(PortError, match="close other programs"),
    ):
        Board.open(server.url)


def test_a_port_without_permission_says_how_to_get_it(monkeypatch):
    def refuse(url, **options):
        raise serial.SerialException(errno.EACCES, f"could not open port {url}")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(PortError, match="dialout"):
        Board.open("/dev/ttyACM0")


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


@pytest.mark.parametrize("seed", range(4))
def test_an_upload_over_a_bad_line_is_whole_or_changes_nothing(seed):
    with (
        on_tcp(make_board(max_payload=256)) as server,
        Proxy(server.address) as proxy,
        Board.open(proxy.url) as board,
    ):
        old = board.upload(make_map(100)).hash()
        new = make_map(seed).hash()
        proxy.damage = Damage(seed, 1.5e-3)
        try:
            board.upload(make_map(seed))
            wanted = {new}
        except FocalloopError:
            wanted = {old, new}
        proxy.damage = lambda data: data
        wait_until(lambda: board.state == "connected")
        assert board.status().map_hash in wanted
        for window in board.capture(3):
            assert_exact(window)


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


def test_a_host_needs_neither_numba_nor_torch():
    code = "import sys, host; print(sorted({'numba', 'torch', 'onnxruntime'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
