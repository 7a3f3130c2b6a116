"""What benchmarks of the preview share: commands that run meanwhile, and a viewer on the socket."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

_CREDIT = '{"credit": 1, "step": 4}'


class CommandEndedError(Exception):
    """A command ended before it had printed its JSON document."""


@contextmanager
def running(*words: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Run a ``focalloop`` command that ends at Ctrl-C; yield its JSON document and process id.

    Ctrl-C on the terminal does not reach it: the benchmark may still have something to measure.

    Raises
    ------
    CommandEndedError
        It did not start; the text names the command, which says why.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "focalloop", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            text = ""
            for line in process.stdout:
                text += line
                if line == "}\n":
                    break
            else:
                raise CommandEndedError(f"`focalloop {' '.join(words)}` did not start")
            yield json.loads(text), process.pid
        finally:
            process.send_signal(signal.SIGINT)


class Viewer:
    """Takes every picture, as a page does, and reports it drawn at once.

    Parameters
    ----------
    connection : ClientConnection
        Open socket of the preview.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._socket = connection
        connection.send(_CREDIT)

    def take(self, duration_s: float) -> int:
        """Take pictures for a while; return how many came."""
        pictures, end_s = 0, time.perf_counter() + duration_s
        while time.perf_counter() < end_s:
            message = self._socket.recv()  # states come four times per second, also in an outage
            if isinstance(message, bytes):
                pictures += 1
                self._socket.send(_CREDIT)
                window = int.from_bytes(message[12:16], "little")
                self._socket.send(json.dumps({"drawn": window}))
        return pictures


class DeadViewer:
    """Asks for pictures and reads nothing, as a page does whose machine sleeps.

    Parameters
    ----------
    url : str
        Address of the page.
    """

    def __init__(self, url: str) -> None:
        uri = parse_uri(_address(url))
        self._protocol = ClientProtocol(uri)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((uri.host, uri.port))
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while self._protocol.state is State.CONNECTING:  # the answer, which is all that it reads
            self._protocol.receive_data(self._socket.recv(1))

    def ask(self) -> None:
        """Grant credit for another picture."""
        self._protocol.send_text(_CREDIT.encode())
        self._flush()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._socket.sendall(data)


@contextmanager
def viewer(url: str) -> Iterator[Viewer]:
    """Look at the page at `url`."""
    with connect(_address(url), max_size=None, compression=None) as connection:
        yield Viewer(connection)


@contextmanager
def idle_viewer(url: str) -> Iterator[None]:
    """Look at no picture of the page at `url`, as behind another tab; states are received."""

    def receive() -> None:
        with suppress(ConnectionClosed):
            while True:
                connection.recv()

    with connect(_address(url), max_size=None, compression=None) as connection:
        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield
        finally:
            connection.close()
            thread.join()


def _address(url: str) -> str:
    """Return the address of the preview socket of the page at `url`."""
    return url.replace("http", "ws", 1) + "ws/preview"
