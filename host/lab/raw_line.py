"""The raw line of a board as a TCP port, for one client at a time, in the place of its session."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.link.port import DEFAULT_BAUD, Port, open_port

_log = logging.getLogger("focalloop.lab")
_CHUNK_BYTES = 64 * 1024
_SEND_TIMEOUT_S = 5.0
"""Longest time that a client may take nothing before it counts as gone."""


class LineBusyError(FocalloopError):
    """The raw line is open already, or the board cannot give it now."""


class RawLine:
    """Lends the line of a board to clients on a TCP port, one at a time.

    Each client finds the board as after opening its port. A second client beside the first, or one
    at another address than was asked for, is hung up on at once.

    Parameters
    ----------
    lend : callable
        Lets a function have the board's port, as `LiveSession.lend` does.
    """

    def __init__(self, lend: Callable[[Callable[[str], None]], Future[None]]) -> None:
        self._lend = lend
        self._lock = threading.RLock()  # a future that has failed calls back at once
        self._lent: Future[None] | None = None
        self._listener: socket.socket | None = None
        self._wake = -1

    @property
    def address(self) -> tuple[str, int] | None:
        """Where the line is open; None if it is not."""
        listener = self._listener
        return None if listener is None else listener.getsockname()[:2]

    def open(self, host: str, port: int, peer: str | None) -> tuple[str, int]:
        """Listen for a client, as soon as the session has given the board up; return where.

        Parameters
        ----------
        host, port : str and int
            Address to listen at; port 0 for any free one.
        peer : str or None
            Address of the only machine that is let in; None for any.

        Raises
        ------
        LineBusyError
            It is open already, or the address cannot be listened at.
        """
        with self._lock:
            if self._lent is not None and not self._lent.done():
                raise LineBusyError("the raw line of this board is open already: close it first")
            try:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                listener = socket.create_server((host, port), family=family)
            except OSError as error:
                raise LineBusyError(
                    f"the raw line cannot be opened at {host}:{port} ({error.strerror}): give the "
                    "board another line_port"
                ) from None
            ended, self._wake = os.pipe()
            self._listener = listener
            self._lent = self._lend(lambda url: _serve(url, listener, ended, peer))
            address: tuple[str, int] = listener.getsockname()[:2]
            self._lent.add_done_callback(lambda lent: self._closed(lent, listener, ended))
            return address

    def close(self) -> None:
        """Hang up, and give the board back; harmless where the line is not open."""
        with self._lock:
            lent = self._lent
            self._hang_up()
        if lent is not None:
            with suppress(Exception):  # it was told already
                lent.result()

    def _hang_up(self) -> None:
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def _closed(self, lent: Future[None], listener: socket.socket, ended: int) -> None:
        with self._lock:
            self._hang_up()
            self._listener = None
        listener.close()
        os.close(ended)
        if lent.exception() is not None:
            _log.warning("the raw line was closed: %s", lent.exception())


def _serve(url: str, listener: socket.socket, ended: int, peer: str | None) -> None:
    """Serve clients until `ended` is closed at its other end."""
    while True:
        ready = _ready(listener, ended)
        if ended in ready:
            return
        client, address = listener.accept()
        with client:
            if peer is not None and address[0] != peer:
                continue
            try:
                port = open_port(url, DEFAULT_BAUD)
            except FocalloopError as error:
                _log.warning("a client of the raw line was hung up on: %s", error)
                continue
            with closing(port):
                _relay(port, client, listener, ended)


def _relay(port: Port, client: socket.socket, listener: socket.socket, ended: int) -> None:
    """Move bytes both ways until one side hangs up or `ended` is closed."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(_SEND_TIMEOUT_S)
    over = threading.Event()

    def up() -> None:
        try:
            while not over.is_set():
                if data := port.read():
                    client.sendall(data)
        except OSError:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # wakes the other direction

    reader = threading.Thread(target=up, name="focalloop-line", daemon=True)
    reader.start()
    try:
        while True:
            ready = _ready(client, listener, ended)
            if ended in ready:
                return
            if client not in ready:  # so that the next one may come as soon as this one has gone
                listener.accept()[0].close()
            else:
                data = client.recv(_CHUNK_BYTES)
                if not data:
                    return
                port.write(data)
    except OSError:
        return
    finally:
        over.set()
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        reader.join()


def _ready(*sources: socket.socket | int) -> list[socket.socket | int]:
    """Wait until something can be read from some of these; return which."""
    ready: list[socket.socket | int] = select.select(sources, [], [])[0]
    return ready
