"""Running the service: a free port, and an end on every signal that asks for one."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from firmware_sim.errors import FocalloopError
from host.service.gate import is_loopback

DEFAULT_PORT = 8000
_PORTS_TRIED = 20
_LARGEST_VIEWER_MESSAGE = 4096


class ServiceError(FocalloopError):
    """The service cannot be started as asked."""


def listen(host: str, port: int | None) -> socket.socket:
    """Open the socket that the service will answer on.

    Parameters
    ----------
    host
        Name or address to bind to.
    port
        Port; 0 for any free one; None for `DEFAULT_PORT` or, where that is taken, the next free.

    Raises
    ------
    ServiceError
        If the port is taken, not permitted, or the address is not of this machine.
    """
    tried = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED)
    taken = OSError("no port was tried")
    for number in tried:
        try:
            info = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            return socket.create_server(info[4][:2], family=info[0])
        except OSError as error:
            taken = error
    where = f"{host}:{port}" if port is not None else f"{host}:{tried[0]}-{tried[-1]}"
    raise ServiceError(
        f"cannot serve on {where}: {taken.strerror or taken}; give another --http-host or "
        "--http-port, or --http-port 0 for any free port"
    )


def check_exposure(host: str, token: str | None) -> None:
    """Refuse to serve beyond this machine without a token.

    Raises
    ------
    ServiceError
        If `host` is not a loopback address and there is no token.
    """
    if not is_loopback(host) and not token:
        raise ServiceError(
            f"serving on {host} lets others in: give --token SECRET as well, or serve on 127.0.0.1"
        )


def host_names(host: str) -> tuple[str, ...] | None:
    """Names the Host header may carry where the service binds to `host`; None for any.

    On loopback another name means that a foreign page was made to resolve to this machine.
    """
    if not is_loopback(host):
        return None
    bound = f"[{host}]" if ":" in host else host
    return tuple(dict.fromkeys((bound, "localhost", "127.0.0.1", "[::1]")))


def address_of(sock: socket.socket) -> str:
    """URL of the page behind a listening socket."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """A server that ends in order on SIGINT, SIGTERM and SIGHUP, and lets its caller clean up."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own version raises the signal again at the end, which kills the process before
        # the emulator it started is stopped.
        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
    app
        From `host.service.create_app`.
    sock
        From `listen`.
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
