"""Runs the service, and shuts it down in order on each signal that asks for it."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

_MAX_VIEWER_MESSAGE_BYTES = 4096


class _Server(uvicorn.Server):
    """A server that shuts down in order on SIGINT, SIGTERM and SIGHUP, and then returns."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own version raises the signal again at the end, which would kill the process
        # before it has stopped its emulator.
        in_main = (
            threading.current_thread() is threading.main_thread()
        )  # no other thread receives signals
        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if in_main else ()
        before = {number: signal.signal(number, self.handle_exit) for number in asked}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Service:
    """An application that answers on a socket.

    Parameters
    ----------
    app : FastAPI
        From `focalloop.host.service.api.create_app`.
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
                ws_per_message_deflate=False,  # planes of a noisy sensor do not compress
                ws_max_size=_MAX_VIEWER_MESSAGE_BYTES,
                timeout_graceful_shutdown=1,
                server_header=False,
            )
        )

    def run(self) -> None:
        """Answer requests until a signal asks the process to end or `stop` is called."""
        self._server.run(sockets=[self._sock])

    def stop(self) -> None:
        """Make `run` return; may be called from any thread."""
        self._server.should_exit = True
