"""A board behind Debian's ser2net, over the telnet protocol of RFC 2217."""

import shutil
import socket
import subprocess
from contextlib import suppress

import pytest

from focalloop import Board
from focalloop.host.errors import PortError
from tests.support.served import assert_exact, free_port, make_map, on_pty
from tests.support.waiting import wait_until

SER2NET = shutil.which("ser2net", path="/usr/sbin:/usr/bin:/sbin:/bin")

pytestmark = [
    pytest.mark.skipif(SER2NET is None, reason="ser2net is not installed"),
    pytest.mark.filterwarnings("ignore:set(Daemon|Name)\\(\\) is deprecated:DeprecationWarning"),
]
"""pyserial's client of the protocol is older than the names of today."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Where ser2net offers the board."""
    with on_pty() as server:
        port = free_port()
        config = tmp_path_factory.mktemp("ser2net") / "ser2net.yaml"
        config.write_text(
            "connection: &board\n"
            f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
            f"  connector: serialdev,{server.url},921600n81,local\n"
        )
        process = subprocess.Popen([SER2NET, "-n", "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(port))
            yield f"rfc2217://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def listens(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_windows_come_through_exactly(served):
    with Board.open(f"{served}?ign_set_control") as board:  # a pty has no control lines
        board.upload(make_map(1))
        windows = board.capture(6)
    assert [window.number - windows[0].number for window in windows] == list(range(6))
    for window in windows:
        assert_exact(window)
        assert window.ratio_map == make_map(1)


def test_a_port_without_control_lines_is_told_as_that(served):
    with pytest.raises(PortError, match=r"append \?ign_set_control to its URL"):
        Board.open(served)
