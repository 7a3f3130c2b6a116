"""A capture folder or a recording, whichever a path names, as one thing to work with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from focalloop.firmware_sim.files import exists
from focalloop.host.captures.capture import MANIFEST, Capture
from focalloop.host.recording.recording import Recording, is_recording


def holds_windows(path: Path) -> bool:
    """Return whether a path names a capture or a recording, rather than clips or images."""
    return is_recording(path) or exists(path / MANIFEST)


def load_windows(path: Path, warn: Callable[[str], None] = lambda text: None) -> Capture:
    """Open a capture, or a recording as a capture.

    Parameters
    ----------
    path : Path
        A capture folder, or a recording.
    warn : callable, optional
        Takes a sentence on each part of a recording that is missing or damaged, and left out.

    Raises
    ------
    CaptureError
        It is neither, or cannot be used.
    """
    if not is_recording(path):
        return Capture.load(path)
    with Recording(path) as recording:
        capture = recording.capture()
        for text in recording.damage:
            warn(f"{path.name}: {text}")
    return capture
