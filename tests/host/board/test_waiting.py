"""Boards that are not there yet."""

import json
import subprocess
import threading
import time

import pytest

from focalloop.host.board.client import Board
from focalloop.host.board.waiting import open_when_there
from focalloop.host.errors import PortError, PortMissingError
from tests.support.running import FOCALLOOP, START_TIMEOUT_S
from tests.support.served import free_port, on_pty


@pytest.fixture(params=["a TCP port", "a link to a device"])
def place(request, tmp_path):
    """Options of `emulate`, and the URL at which its board will be."""
    if request.param == "a TCP port":
        port = free_port()
        return ("--tcp", str(port)), f"socket://127.0.0.1:{port}"
    return ("--link", str(tmp_path / "board")), str(tmp_path / "board")


def test_a_command_waits_for_an_emulator_that_starts(place):
    options, url = place
    client = subprocess.Popen(
        [*FOCALLOOP, "upload", "tile-2of16", "--port", url, "--wait", "60", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "waiting up to 60 s" in client.stderr.readline()
    emulator = subprocess.Popen([*FOCALLOOP, "emulate", "--size", "64x48", *options])
    try:
        out, errors = client.communicate(timeout=START_TIMEOUT_S)
        assert client.returncode == 0, errors
        assert json.loads(out)["port"] == url
        assert "waiting" not in errors  # said once
    finally:
        emulator.terminate()
        emulator.wait()


def test_the_wait_ends_with_the_reason():
    heard = []
    began_s = time.monotonic()
    with pytest.raises(PortMissingError, match="nothing listens"):
        open_when_there(lambda: Board.open(f"socket://127.0.0.1:{free_port()}"), 0.5, heard.append)
    assert time.monotonic() - began_s >= 0.5
    assert len(heard) == 1


@pytest.mark.parametrize("url", ["/dev/null", "socket://nowhere", "nonsense://x"])
def test_what_will_not_come_is_not_waited_for(url):
    with pytest.raises(PortError):
        open_when_there(lambda: Board.open(url), 60, pytest.fail)


def test_a_port_in_use_is_not_waited_for():
    with on_pty() as server, Board.open(server.url), pytest.raises(PortError, match="in use"):
        open_when_there(lambda: Board.open(server.url), 60, pytest.fail)


def test_the_wait_can_be_ended():
    ending = threading.Event()
    ending.set()
    with pytest.raises(PortMissingError):
        open_when_there(lambda: Board.open("/dev/ttyNONE"), 60, print, ending.wait)
