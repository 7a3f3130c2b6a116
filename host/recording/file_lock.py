"""A lock on a recording that is being written, which ends with its program however that ends."""

from __future__ import annotations

from io import FileIO

try:
    import fcntl
except ImportError:  # Windows, which keeps other programs from an open file by itself
    fcntl = None  # type: ignore[assignment]


def lock(file: FileIO) -> None:
    """Lock a file until it is closed, or its program is gone."""
    if fcntl is not None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(file: FileIO) -> bool:
    """Return whether another program, or another part of this one, holds the lock of a file."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file.fileno(), fcntl.LOCK_UN)
    return False
