"""What the readers of clips have in common: an error in one line, and the limit of memory."""

from __future__ import annotations

from pathlib import Path

from focalloop.firmware_sim.errors import SceneError


def check_bytes(path: Path, count: int, max_bytes: int) -> None:
    """Refuse clips of `count` bytes, before they are decoded, if `max_bytes` is less.

    Raises
    ------
    SceneError
        The clips need more memory than that.
    """
    if count > max_bytes:
        raise SceneError(
            f"{path} needs more than {max_bytes >> 30} GiB of memory as clips: "
            "give fewer or smaller ones"
        )


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
