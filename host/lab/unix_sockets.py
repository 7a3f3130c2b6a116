"""The Unix sockets in the state folder of a lab, which are for its user alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from focalloop.firmware_sim.errors import FocalloopError

MAX_SOCKET_PATH = 100
"""Characters that the path of a Unix socket may have, on every system."""


class SocketPathError(FocalloopError):
    """The path of a socket is longer than the system allows."""


def worker_socket(folder: Path, board: str) -> Path:
    """Return the socket of a board's worker.

    Raises
    ------
    SocketPathError
        Its path is too long.
    """
    return _checked(folder / f"{board}.sock")


def pool_socket(folder: Path) -> Path:
    """Return the socket of the pool, whose name is that of no board; raises as `worker_socket`."""
    return _checked(folder / "pool.socket")


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen on a socket while the block lasts."""
    path.unlink(missing_ok=True)  # of a process that was killed
    before = os.umask(0o177)  # for its user alone
    try:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
    finally:
        os.umask(before)
    with sock:
        sock.listen(128)
        try:
            yield sock
        finally:
            path.unlink(missing_ok=True)


def _checked(path: Path) -> Path:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise SocketPathError(
            f"{path} is too long for the name of a socket: give a shorter --state"
        )
    return path
