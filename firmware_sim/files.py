"""Writing of files and folders, whole or not at all; all packages write this way.

An unfinished file or folder has a name of its own, next to the final one. Its writer removes it if
writing fails or is interrupted; if the writer was killed, the next one that writes to that folder
does.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from focalloop.firmware_sim.errors import FocalloopError

_PARTIAL = re.compile(r"\..*\.([0-9]+)-([0-9a-f]{8})-[0-9a-f]{8}\.partial(\..*)?", re.DOTALL)
"""Names of unfinished files, with the process and machine that write them, and a random number."""

_SCRATCH = re.compile(r"focalloop-([0-9]+)-([0-9a-f]{8})-.*")
"""Names of temporary folders: the process that made it, and its machine."""

_OWNER = ".writer"
"""File in an unfinished folder, with ``PID-MACHINE`` of the process that writes it."""

_UNOWNED_S = 10.0
"""How long a folder may be without its `_OWNER`, which is written right after it is made."""


class WriteError(FocalloopError):
    """A file or folder cannot be written; what was there before is still there."""


def exists(path: str | Path) -> bool:
    """Return whether there is a file or folder; False for what cannot be a name."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def can_be_file(path: Path) -> bool:
    """Return whether a file may be put at `path`: there is none, or nothing that is not one.

    Root could put one in the place of a device, for all programs to stumble over.
    """
    return (not exists(path) or path.is_file()) and path.absolute().parent != Path("/dev")


def media_name(path: str | Path) -> str:
    """Name a file to FFmpeg, which takes what precedes a colon in a bare name for a protocol."""
    return f"file:{path}"


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name to write to; it becomes `path` if the block ends without an error.

    Parameters
    ----------
    path : str or Path
        File to write. Its old content stays until the new content is complete and on the disk.

    Yields
    ------
    Path
        A name in the same folder with the same suffix, at which no file exists yet.

    Raises
    ------
    WriteError
        If the folder is missing or not writable, the disk is full, or `path` is a device, a pipe or
        a folder.
    """
    path = _possible(path)
    if not can_be_file(path):
        raise WriteError(f"cannot write {path}: it is a device, a pipe or a folder")
    _clear_stale(path.parent)
    name = f".{path.stem[:80]}.{_this_process()}-{secrets.token_hex(4)}.partial{path.suffix}"
    partial = path.with_name(name)
    try:
        yield partial
        with partial.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to fill; it becomes `path` if the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Folder to make; nobody else may be writing it. Missing parents are made too.
    replace : bool, optional
        Put it in the place of a folder that exists, which is an error by default.

    Yields
    ------
    Path
        An empty folder beside `path`, but for a hidden file.

    Raises
    ------
    WriteError
        If `path` exists or is being written, or its parent is not writable, or the disk is full.
    """
    path = _possible(path)
    if exists(path) and not replace:
        raise WriteError(f"{path} exists already: choose another folder or remove it")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _clear_stale(path.parent)
        partial.mkdir()
    except FileExistsError as error:
        if not partial.is_dir():
            raise WriteError(f"cannot make the folder {path}: choose another place") from error
        raise WriteError(
            f"{path} is being written by another program: choose another folder, or wait until "
            f"{partial} is gone"
        ) from None
    except OSError as error:
        raise WriteError(
            f"cannot make the folder {path} ({error.strerror}): choose another place"
        ) from error
    try:
        (partial / _OWNER).write_text(_this_process(), encoding="ascii")
        yield partial
        if exists(path):  # a folder that is not empty cannot be replaced in one step
            old = partial.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
            path.replace(old)
            partial.replace(path)
            (old / _OWNER).write_text(_this_process(), encoding="ascii")  # not needed from here on
            shutil.rmtree(old, ignore_errors=True)
        else:
            partial.replace(path)
        (path / _OWNER).unlink()
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder of the system, which is removed together with those left behind.

    A process that was killed leaves its own, which may hold a whole capture.

    Raises
    ------
    WriteError
        It cannot be made.
    """
    place = Path(tempfile.gettempdir())
    with suppress(OSError):
        for entry in place.iterdir():
            match = _SCRATCH.fullmatch(entry.name)
            if match and _is_dead(match[1], match[2]):
                shutil.rmtree(entry, ignore_errors=True)  # another user's stays
    try:
        made = tempfile.TemporaryDirectory(prefix=f"focalloop-{_this_process()}-")
    except OSError as error:
        raise WriteError(f"cannot make a folder in {place}: {error.strerror or error}") from None
    with made as folder:
        yield Path(folder)


def _possible(path: str | Path) -> Path:
    try:
        possible = b"\0" not in os.fsencode(path) and Path(path).name
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise WriteError(f"{str(path)!r} is not the name of a file or folder: give another")
    return Path(path)


def _this_process() -> str:
    return f"{os.getpid()}-{zlib.crc32(_machine().encode()):08x}"


def _machine() -> str:
    """Name what a process id counts in: containers of one machine may share folders, not these."""
    try:
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # it has no such namespaces
        return socket.gethostname()


def _clear_stale(folder: Path) -> None:
    """Remove what processes of this machine left unfinished in a folder when they were killed."""
    with suppress(OSError):
        for entry in folder.iterdir():
            if not (entry.name.startswith(".") and ".partial" in entry.name):
                continue
            with suppress(OSError, ValueError):
                if entry.is_dir() and entry.name.endswith(".partial"):
                    if _left_behind(entry):
                        shutil.rmtree(entry, ignore_errors=True)
                elif (match := _PARTIAL.fullmatch(entry.name)) and _is_dead(match[1], match[2]):
                    entry.unlink(missing_ok=True)


def _left_behind(partial: Path) -> bool:
    try:
        process, _, machine = (partial / _OWNER).read_text("ascii").partition("-")
    except FileNotFoundError:
        # Of a process that was killed right at the start or end, or of one before 0.3.
        return time.time() - partial.stat().st_mtime > _UNOWNED_S and not any(partial.iterdir())
    return _is_dead(process, machine)


def _is_dead(process: str, machine: str) -> bool:
    """Return whether a process has ended, as far as this machine knows."""
    if machine != _this_process().partition("-")[2] or os.name == "nt":
        return False  # signal 0 would end a process on Windows
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
