"""The virtual board on real pseudo-terminals and sockets, opened as a host opens them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import serial

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.serving.pacer import Pacer
from focalloop.firmware_sim.serving.server import BoardServer
from focalloop.firmware_sim.serving.transport import PtyServer, TcpServer, TransportError
from focalloop.firmware_sim.wire import Frame, FrameDecoder, MessageType
from tests.support import ROOT
from tests.support.board_bench import SumReader, expected_readout, make_board, tile_map

TIMEOUT_S = 20.0
"""How long a test waits for expected data."""


@contextmanager
def serving(server: BoardServer) -> Iterator[str]:
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.stop()
            thread.join(TIMEOUT_S)
            assert not thread.is_alive()


class Caller:
    """A host that uses pyserial and decodes only frames."""

    def __init__(self, url: str) -> None:
        self.port = serial.serial_for_url(url, timeout=0.05)
        self.at_once = 65536 if url.startswith("socket:") else 4096
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []
        self.sequence = 0

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()

    def wait_for(self, wanted: Callable[[Frame], bool]) -> Frame:
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            for index, frame in enumerate(self.frames):
                if wanted(frame):
                    return self.frames.pop(index)
            waiting = self.port.in_waiting  # on a socket only whether, not how much
            self.frames += self.decoder.feed(self.port.read(1 if waiting < 1 else self.at_once))
        raise AssertionError("no such frame came")

    def wait_for_window(self, number: int) -> wire.WindowDescriptor:
        def announces(frame: Frame) -> bool:
            is_window = frame.type == MessageType.WINDOW
            return is_window and wire.WindowDescriptor.unpack(frame.body).window == number

        return wire.WindowDescriptor.unpack(self.wait_for(announces).body)

    def ask(self, type_: MessageType, body: bytes = b"") -> bytes:
        self.sequence += 1
        self.port.write(Frame(type_, self.sequence, body).encode())
        answer = self.wait_for(lambda f: f.is_response and f.sequence == self.sequence)
        assert not answer.is_error
        return answer.body

    def hello(self, max_payload: int = 4096) -> wire.HelloAnswer:
        body = self.ask(MessageType.HELLO, wire.HelloRequest(max_payload, "caller").pack())
        return wire.HelloAnswer.unpack(body)

    def capture(self, count: int) -> dict[int, bytes]:
        request = wire.CaptureRequest(count).pack()
        first = wire.WindowNumber.unpack(self.ask(MessageType.CAPTURE, request)).window
        windows = {}
        for number in range(first, first + count):
            head = self.wait_for_window(number)
            data = b""
            while len(data) < head.total:
                piece = self.wait_for(lambda f: f.type == MessageType.READOUT)
                data += wire.Fragment.unpack(piece.body).data
            windows[number] = data
        return windows


KINDS = {"pty": PtyServer, "tcp": TcpServer}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def serve(request: pytest.FixtureRequest) -> type[BoardServer]:
    return request.param


def test_a_window_comes_through(serve: type[BoardServer]) -> None:
    with serving(serve(make_board(ratio_map=tile_map()))) as url, Caller(url) as caller:
        caller.hello()
        windows = caller.capture(3)
    assert windows == {n: expected_readout(tile_map(), n) for n in range(3)}


def test_the_host_may_close_and_come_back(serve: type[BoardServer]) -> None:
    with serving(serve(make_board(ratio_map=tile_map()))) as url:
        boot_ids = set()
        for visit in range(3):
            with Caller(url) as caller:
                boot_ids.add(caller.hello().boot_id)
                assert list(caller.capture(1)) == [visit]
        assert len(boot_ids) == 1


def test_a_host_that_leaves_in_mid_stream(serve: type[BoardServer]) -> None:
    """Data on its way to a host that left does not confuse the next host."""
    with serving(serve(make_board(ratio_map=tile_map()))) as url:
        with Caller(url) as caller:
            caller.hello()
            caller.ask(MessageType.STREAM_START, wire.StreamStartRequest(10_000).pack())
            caller.wait_for(lambda frame: frame.type == MessageType.WINDOW)
            caller.port.write(b"\0\x55half a frame")
        with Caller(url) as caller:
            caller.port.write(b"\0")
            caller.hello()
            body = caller.ask(MessageType.STATUS)
            assert wire.StatusAnswer.unpack(body).state == wire.BoardState.IDLE


def test_a_host_that_does_not_read_stops_the_stream_only(serve: type[BoardServer]) -> None:
    """No bytes accumulate: the board exposes what the line takes, and continues once it is read."""
    readers: list[SumReader] = []

    class Counting(SumReader):
        exposed = 0

        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            readers.append(self)

        def read_out(self, scene, first_window=0):  # type: ignore[no-untyped-def]
            self.exposed += 1
            return super().read_out(scene, first_window)

    board = make_board(ratio_map=tile_map(), make_reader=Counting)
    with serving(serve(board)) as url, Caller(url) as caller:
        caller.hello()
        caller.ask(MessageType.STREAM_START, wire.StreamStartRequest(2**31).pack())
        before = -1
        while readers[0].exposed != before:  # ends when the line is full
            before = readers[0].exposed
            time.sleep(0.2)
        caller.wait_for_window(before + 5)
        caller.ask(MessageType.STREAM_STOP)


def test_the_pace_of_slots_is_kept(serve: type[BoardServer]) -> None:
    board = make_board(ratio_map=tile_map(), slot_rate_hz=1600.0)  # 10 ms a window
    with serving(serve(board)) as url, Caller(url) as caller:
        caller.hello()
        caller.ask(MessageType.STREAM_START, wire.StreamStartRequest(5).pack())
        times = [
            wire.WindowDescriptor.unpack(
                caller.wait_for(lambda frame: frame.type == MessageType.WINDOW).body
            ).time_us
            for _ in range(5)
        ]
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert all(step > 0 and step % 10_000 == 0 for step in steps)


def test_a_slow_line_is_slow(serve: type[BoardServer]) -> None:
    board = make_board(ratio_map=tile_map(), max_payload=1024)
    with serving(serve(board, baud=115200)) as url, Caller(url) as caller:
        caller.hello()
        start_s = time.monotonic()
        data = b"".join(caller.capture(4).values())
        took_s = time.monotonic() - start_s
    assert took_s >= 0.95 * len(data) * 10 / 115200


def test_a_second_tcp_host_is_hung_up_on() -> None:
    with serving(TcpServer(make_board(ratio_map=tile_map()))) as url, Caller(url) as caller:
        caller.hello()
        address = url.removeprefix("socket://").split(":")
        with socket.create_connection((address[0], int(address[1])), TIMEOUT_S) as second:
            assert second.recv(1) == b""
        assert len(caller.capture(1)) == 1


def test_a_host_that_leaves_and_comes_back_at_once_is_let_in() -> None:
    server = TcpServer(make_board())
    with serving(server):
        for _ in range(50):
            with socket.create_connection(server.address) as host:
                host.sendall(Frame(MessageType.STATUS, 1).encode())
                host.settimeout(5)
                assert host.recv(1) == b"\0"  # not hung up on
                host.sendall(Frame(MessageType.STREAM_STOP, 2).encode())


def test_a_port_in_use_is_named() -> None:
    with (
        TcpServer(make_board()) as server,
        pytest.raises(TransportError, match=f"port {server.address[1]}"),
    ):
        TcpServer(make_board(), port=server.address[1])


def test_a_link_to_the_device(tmp_path: Path) -> None:
    link = tmp_path / "board"
    link.symlink_to("/nowhere")
    with serving(PtyServer(make_board(), link=link)) as url:
        assert url == str(link)
        with Caller(url) as caller:
            caller.hello()
    assert not link.is_symlink()
    link.write_text("precious")
    with pytest.raises(TransportError, match="not a symbolic link"):
        PtyServer(make_board(), link=link)
    assert link.read_text() == "precious"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_served_board_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "serve.py"
    program.write_text(
        "from tests.support.board_bench import make_board\n"
        "from focalloop.firmware_sim.serving.transport import PtyServer, stop_on_signals\n"
        "with PtyServer(make_board()) as server, stop_on_signals(server):\n"
        "    print(server.url, flush=True)\n"
        "    server.serve_forever()\n"
        "print('bye')\n"
    )
    with subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with Caller(url) as caller:
            caller.hello()
        process.send_signal(number)
        rest, _ = process.communicate(timeout=TIMEOUT_S)
    assert (rest, process.returncode) == ("bye\n", 0)


class TestPacer:
    @pytest.mark.parametrize("baud", [9600, 115200, 921600, 3_000_000])
    def test_exactly_the_rate_passes_while_there_is_something_to_send(self, baud: int) -> None:
        pacer = Pacer(baud)
        start_us = 10**12
        pacer.idle_until(start_us)
        passed, now_us = 0, start_us
        for step_us in [700, 13_000, 1, 250_000, 90] * 40:  # however late the loop wakes
            now_us += step_us
            count = pacer.allowance(now_us)
            pacer.spend(count)
            passed += count
        assert abs(passed - (now_us - start_us) * baud / 10e6) <= 1.01

    def test_a_pause_saves_up_nothing(self) -> None:
        pacer = Pacer(115200)
        pacer.idle_until(5e6)
        assert pacer.allowance(5e6) == 0

    def test_due_is_when_the_allowance_is_there(self) -> None:
        pacer = Pacer(9600)
        pacer.idle_until(1e6)
        due_us = pacer.due_us(1)
        assert pacer.allowance(due_us - 1) == 0
        assert pacer.allowance(due_us + 1) == 1

    def test_without_a_rate_all_may_pass(self) -> None:
        assert Pacer(0).allowance(0) > 10_000
