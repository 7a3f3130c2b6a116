"""The file of a recording: its names, its lock, and the MCAP that is in it."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import IO

from mcap.writer import Writer

from focalloop.host.recording import messages

try:
    import fcntl
except ImportError:  # Windows, which keeps other programs from an open file by itself
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".mcap"
UNFINISHED = ".unfinished"
"""What the name of a recording ends with, after `SUFFIX`, while it is being written."""

SCHEMA_VERSION = 1
_NO_LIMIT = 1 << 62


def unfinished(path: Path) -> Path:
    """Return the name of a recording while it is being written."""
    return path.with_name(path.name + UNFINISHED)


def new_mcap(file: IO[bytes]) -> Writer:
    """Begin an MCAP file with the channels of a recording; its chunks end at each `flush`."""
    mcap = Writer(file, chunk_size=_NO_LIMIT)
    mcap.start(messages.PROFILE, f"focalloop {version('focalloop')}")
    mcap.add_metadata("focalloop", {"schema_version": str(SCHEMA_VERSION)})
    named = {messages.JSON: "jsonschema", messages.BINARY: "x-text"}
    for channel in messages.CHANNELS:
        encoding = named.get(channel.encoding, channel.encoding)
        schema = mcap.register_schema(channel.schema_name, encoding, messages.schema_of(channel))
        mcap.register_channel(channel.topic, channel.encoding, schema)
    return mcap


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


def lock(file: IO[bytes]) -> bool:
    """Lock a file until it is closed, or its program is gone; return whether it could be."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Wait until the names of a folder are on the disk, where the system has such a wait."""
    with suppress(OSError):  # Windows opens no folder, and some network disks sync none
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


class McapFile:
    """A new, locked file without a buffer, so that a write that fails leaves nothing behind it."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("xb", buffering=0)
        lock(self._raw)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._raw.closed

    def write(self, data: bytes) -> int:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[self._raw.write(view) or 0 :]
        return len(data)

    def tell(self) -> int:
        """Return its length."""
        return self._raw.tell()

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def sync(self) -> None:
        """Wait until it is on the disk."""
        os.fsync(self._raw.fileno())

    def cut(self, length: int) -> None:
        """Drop what is beyond a length."""
        self._raw.truncate(length)

    def close(self) -> None:
        """Close it, and let go of its lock."""
        self._raw.close()
