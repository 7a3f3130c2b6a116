"""Writing of files and folders, whole or not at all; all packages write this way."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from focalloop.firmware_sim.errors import FocalloopError


class WriteError(FocalloopError):
    """A file or folder cannot be written; what was there before is still there."""


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
        If the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; it becomes `path` if the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Folder to make; it must not exist yet. Missing parents are made too.

    Yields
    ------
    Path
        An empty folder beside `path`.

    Raises
    ------
    WriteError
        If `path` exists, or its parent is not writable, or the disk is full.
    """
    path = Path(path)
    if path.exists():
        raise WriteError(f"{path} exists already: choose another folder or remove it")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise WriteError(
            f"cannot make the folder {path} ({error.strerror}): choose another place"
        ) from error
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
