"""Runs the service, and shuts it down in order on each signal that asks for it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from focalloop.host.service.bodies import BODY_TIMEOUT_S

HEAD_TIMEOUT_S = 10.0
"""Time for the head of a request, from its first byte or, for the first one, from connecting."""

_REST_TIMEOUT_S = BODY_TIMEOUT_S + 5.0
"""Time for a body that nobody waits for, since its request has been refused already."""

_MAX_VIEWER_MESSAGE_BYTES = 4096

_STOP_SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if name in signal.Signals.__members__
)
"""Those of them that this system has."""


class _Connection(H11Protocol):
    """A connection that is closed where a request begins and does not arrive in time.

    uvicorn itself closes connections only between requests.
    """

    _overdue: asyncio.TimerHandle | None = None
    _awaited: str | None = None
    """The part of a request that is under way: its head, its body, or None."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for("head")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        self._wait_for(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for(None)
        super().connection_lost(exc)

    def _look(self) -> None:
        state = self.conn.their_state
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._wait_for(None)
        elif state is h11.SEND_BODY:
            self._wait_for("body")
        else:
            begun = state is h11.IDLE and self.conn.trailing_data[0]
            self._wait_for("head" if begun else None)

    def _wait_for(self, part: str | None) -> None:
        if part == self._awaited:
            return
        if self._overdue is not None:
            self._overdue.cancel()
        timeout_s = HEAD_TIMEOUT_S if part == "head" else _REST_TIMEOUT_S
        self._overdue = self.loop.call_later(timeout_s, self.transport.close) if part else None
        self._awaited = part


class _Server(uvicorn.Server):
    """A server that shuts down in order on `_STOP_SIGNALS`, and then returns."""

    on_hangup: Callable[[], None] | None = None
    """What SIGHUP does instead."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own version raises the signal again at the end, which would kill the process
        # before it has stopped its emulator.
        in_main = (
            threading.current_thread() is threading.main_thread()
        )  # no other thread receives signals
        asked = _STOP_SIGNALS if in_main else ()
        before = {number: signal.signal(number, self._handle) for number in asked}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.on_hangup is not None and signal.Signals(number).name == "SIGHUP":
            self.on_hangup()
        else:
            self.handle_exit(number, frame)


class Service:
    """An application that answers on a socket.

    Parameters
    ----------
    app : FastAPI
        From `focalloop.host.service.api.create_app`.
    sock : socket.socket
        From `focalloop.host.service.binding.listen`.
    on_hangup : callable, optional
        What SIGHUP does, instead of ending the process; called in the main thread.
    """

    def __init__(
        self, app: FastAPI, sock: socket.socket, on_hangup: Callable[[], None] | None = None
    ) -> None:
        self._sock = sock
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Connection,
                log_level="warning",
                access_log=False,
                lifespan="on",
                ws_per_message_deflate=False,  # planes of a noisy sensor do not compress
                ws_max_size=_MAX_VIEWER_MESSAGE_BYTES,
                timeout_graceful_shutdown=1,
                server_header=False,
            )
        )
        self._server.on_hangup = on_hangup

    def run(self) -> None:
        """Answer requests until a signal asks the process to end or `stop` is called."""
        with self._server.capture_signals():  # from here on, not from when the loop runs
            self._server.run(sockets=[self._sock])

    def stop(self) -> None:
        """Make `run` return; may be called from any thread."""
        self._server.should_exit = True
