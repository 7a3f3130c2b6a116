"""Ports that cannot be opened: one sentence says why, and what to do."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest
import serial

from focalloop.host.board.client import Board
from focalloop.host.errors import PortError
from tests.support.served import free_port, on_pty


def test_a_missing_port_is_named():
    with pytest.raises(PortError, match=r"no port /dev/ttyNONE.*focalloop ports"):
        Board.open("/dev/ttyNONE")


def test_nothing_listening_on_a_tcp_port():
    with pytest.raises(PortError, match="nothing listens"):
        Board.open(f"socket://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("url", ["nonsense://x", "socket://nohost", "socket://:x", "/dev/null", ""])
def test_anything_but_a_port_is_refused_in_one_sentence(url):
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


def test_a_port_without_permission_says_how_to_get_it(monkeypatch):
    def refuse(url, **options):
        raise serial.SerialException(errno.EACCES, f"could not open port {url}")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(PortError, match="dialout"):
        Board.open("/dev/ttyACM0")


@pytest.mark.parametrize("name", ["serial.py", "serial/__init__.py"])
@pytest.mark.parametrize("call", ["Port('/dev/ttyACM0', 921600)", "serial_devices()"])
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
