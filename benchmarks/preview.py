"""What benchmarks of the preview share: commands that run meanwhile, and a viewer on the socket."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

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
    socket : ClientConnection
        Open socket of the preview.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        socket.send(_CREDIT)

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


@contextmanager
def viewer(url: str) -> Iterator[Viewer]:
    """Look at the page at `url`."""
    address = url.replace("http", "ws", 1) + "ws/preview"
    with connect(address, max_size=None, compression=None) as socket:
        yield Viewer(socket)
