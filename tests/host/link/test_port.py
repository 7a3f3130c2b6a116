"""Ports that cannot be opened: one sentence says why, and what to do."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
import serial
from serial import rfc2217

from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError, PortError
from focalloop.host.link.port import open_port
from tests.support.served import assert_exact, free_port, make_map, on_pty
from tests.support.waiting import wait_until


def test_a_missing_port_is_named():
    with pytest.raises(PortError, match=r"no port /dev/ttyNONE.*focalloop ports"):
        Board.open("/dev/ttyNONE")


def test_nothing_listening_on_a_tcp_port():
    with pytest.raises(PortError, match="nothing listens"):
        Board.open(f"socket://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://x", "/dev/null", "", ".", "spy://", "spy:///dev/ttyNONE",
        "spy://socket://localhost", "alt:///dev/ttyNONE?class=None", "hwgrep://(", "hwgrep://nothing",
        "loop://?logging=x", "socket://localhost:1?logging=x", "cp2110://x", "rfc2217://localhost:1",
    ],
)  # fmt: skip
def test_anything_but_a_port_is_refused_in_one_sentence(url):
    with pytest.raises(PortError) as refused:
        Board.open(url)
    assert str(refused.value).isprintable()
    assert url in str(refused.value)
    pythons = ("Errno", "Error", "NoneType", "not supported", "debug|info", "<", "class:")
    assert not any(word in str(refused.value) for word in pythons)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
@pytest.mark.parametrize("address", ["", "localhost", ":9", "h:x", "h:-1", "h:99999", "[::"])
def test_an_address_without_host_or_port_says_how_it_is_written(scheme, address):
    with pytest.raises(PortError, match=f"not an address: write {scheme}://HOST:PORT"):
        Board.open(f"{scheme}://{address}")


def test_an_unknown_host_is_named():
    with pytest.raises(PortError, match="no host of the name in socket"):
        Board.open("socket://nohost.invalid:9")


def test_a_spy_sees_what_is_received(tmp_path):
    log = tmp_path / "log"
    with on_pty() as server, Board.open(f"spy://{server.url}?file={log}") as board:
        board.status()
    logged = log.read_text()
    assert " TX " in logged
    assert re.search(r" RX   [0-9A-F]{4}  00 ", logged)


class Device(serial.Serial):
    """A pseudo-terminal as a serial device, which has modem lines."""

    cts = dsr = ri = cd = True

    def _update_rts_state(self):
        pass

    def _update_dtr_state(self):
        pass


class Rfc2217Server:
    """A serial port in the network, as in pyserial's own example: one client."""

    def __init__(self, device):
        self.device = Device(device, timeout=0.02)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.client = None
        while True:
            try:
                self.client, _ = self.listener.accept()
            except OSError:
                return
            self.serve()

    def serve(self):
        manager = rfc2217.PortManager(self.device, self)
        self.client.settimeout(0.02)
        with self.client, suppress(OSError):
            while True:
                with suppress(TimeoutError):
                    data = self.client.recv(4096)
                    if not data:
                        return
                    self.device.write(b"".join(manager.filter(data)))
                data = self.device.read(self.device.in_waiting or 1)
                self.client.sendall(b"".join(manager.escape(data)))

    def write(self, data):
        self.client.sendall(data)

    def close(self):
        self.listener.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's own
def test_a_board_behind_a_network_port_with_rfc2217():
    with on_pty() as server:
        network = Rfc2217Server(server.url)
        try:
            with Board.open(network.url) as board:
                board.upload(make_map())
                (window,) = board.capture()
                assert_exact(window)
        finally:
            network.close()


def test_a_handler_that_fails_in_mid_session_is_a_lost_board(monkeypatch):
    with (
        on_pty() as server,
        Board.open(
            f"spy://{server.url}?file=/dev/null",
            reconnect_timeout_s=0.5,
            on_event=lambda text: None,
        ) as board,
    ):

        def fail(self, size=1):
            raise KeyError("a bug")

        monkeypatch.setattr("serial.urlhandler.protocol_spy.Serial.read", fail)
        wait_until(lambda: board.state == "lost")
        with pytest.raises(BoardLostError, match="did not come back"):
            board.status()


def test_a_busy_port_says_so():
    with (
        on_pty() as server,
        Board.open(server.url),
        pytest.raises(PortError, match="in use by another program"),
    ):
        Board.open(server.url)


def test_a_port_without_permission_says_how_to_get_it(monkeypatch):
    def refuse(url, **options):
        raise serial.SerialException(errno.EACCES, f"could not open port {url}")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(PortError, match="dialout"):
        Board.open("/dev/ttyACM0")


@pytest.mark.parametrize("name", ["serial.py", "serial/__init__.py"])
@pytest.mark.parametrize("call", ["open_port('/dev/ttyACM0', 921600)", "serial_devices()"])
def test_a_file_that_hides_pyserial_is_named_and_not_run(tmp_path, name, call):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('a script of the user')")
    program = f"from focalloop.host.link.port import *; {call}"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    error = ran.stderr.splitlines()[-1]
    assert error.startswith("focalloop.host.errors.PortError")
    assert f"{file} hides the library pyserial" in error
    assert "rename that file" in error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("FileNotFoundError(2, 'The system cannot find the file specified.', None, 2)", "no port"),
        ("PermissionError(13, 'Access is denied.', None, 5)", "in use by another program"),
    ],
)
def test_what_windows_says_is_understood(monkeypatch, error, says):
    def refuse(url, **options):
        raise serial.SerialException(f"could not open port '{url}': {error}")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(PortError, match=says):
        Board.open("COM3")


def test_a_host_that_takes_no_bytes_is_noticed(monkeypatch):
    monkeypatch.setattr("focalloop.host.link.port.WRITE_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = open_port(f"socket://127.0.0.1:{listener.getsockname()[1]}", 0)
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"in")
            assert port.read() == b"in"
            assert port.read() == b""
            with pytest.raises(TimeoutError):
                port.write(bytes(64 << 20))
        with pytest.raises(OSError, match=r"hung up|reset"):
            port.read()
        port.close()
