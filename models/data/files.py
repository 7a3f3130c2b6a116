"""Write files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from firmware_sim.errors import FocalloopError


class WriteError(FocalloopError):
    """A file cannot be written; what was there before is still there."""


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name, then rename it to `path`.

    Raises
    ------
    WriteError
        If the folder is missing or not writable, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise WriteError(f"{path} cannot be written: {error.strerror}") from None
