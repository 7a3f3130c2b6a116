"""Running the service, with an end in order on every signal that asks for one."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

_LARGEST_VIEWER_MESSAGE = 4096


class _Server(uvicorn.Server):
    """A server that ends in order on SIGINT, SIGTERM and SIGHUP, and lets its caller clean up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own version raises the signal again at the end, which kills the process before
        # the emulator it started is stopped.
        in_main = threading.current_thread() is threading.main_thread()  # others take no signals
        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if in_main else ()
        before = {number: signal.signal(number, self.handle_exit) for number in asked}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Service:
    """An application answering on a socket.

    Parameters
    ----------
    app : FastAPI
        From `focalloop.host.service.create_app`.
    sock : socket.socket
        From `focalloop.host.service.binding.listen`.
    """

    def __init__(self, app: FastAPI, sock: socket.socket) -> None:
        self._sock = sock
        self._server = _Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws_per_message_deflate=False,  # planes of a noisy sensor do not shrink
                ws_max_size=_LARGEST_VIEWER_MESSAGE,
                timeout_graceful_shutdown=1,
                server_header=False,
            )
        )

    def run(self) -> None:
        """Answer until the process is asked to end, or `stop` is called."""
        self._server.run(sockets=[self._sock])

    def stop(self) -> None:
        """Let `run` return, from any thread."""
        self._server.should_exit = True
