"""A capture folder or a recording, whichever a path names, as one thing to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import WindowKind
from focalloop.host.captures.capture import MANIFEST, Capture
from focalloop.host.errors import CaptureError
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


@dataclass(frozen=True)
class SceneWindows:
    """The windows of a capture or a recording that show a scene.

    Attributes
    ----------
    numbers : tuple of int
        The board's numbers of them.
    ratio_map : RatioMap
        Map of the first; that of others may differ.
    serial : str
        Serial number of the board.
    windows : iterator of Window
        The windows, each read when it is asked for.
    """

    numbers: tuple[int, ...]
    ratio_map: RatioMap
    serial: str
    windows: Iterator[Window]


def scene_windows(
    path: Path, limit: int | None = None, warn: Callable[[str], None] = lambda text: None
) -> SceneWindows:
    """Open the windows of a capture or a recording that show a scene, at most `limit`.

    Parameters and errors are those of `load_windows`; having none, or some of another size, is an
    error too.
    """
    source = Recording(path) if is_recording(path) else Capture.load(path)
    numbers: list[int] = []
    ratio_map: RatioMap | None = None
    for window in _scenes(source, limit):
        found = window.ratio_map
        ratio_map = ratio_map or found
        if (found.shape, found.slots) != (ratio_map.shape, ratio_map.slots):
            raise CaptureError(
                f"{path} changes from {_size(ratio_map)} to {_size(found)} at window "
                f"{window.number}, its {len(numbers) + 1}th: take one board's, by --limit "
                f"{len(numbers)}"
            )
        numbers.append(window.number)
    if isinstance(source, Recording):
        for text in source.damage:
            warn(f"{path.name}: {text}")
    if ratio_map is None:
        raise CaptureError(f"{path} holds no window of a scene to reconstruct")
    board = source.board
    serial = board.get("serial", "") if isinstance(board, dict) else board.serial
    return SceneWindows(tuple(numbers), ratio_map, serial, _scenes(source, limit, close=True))


def _scenes(
    source: Capture | Recording, limit: int | None, *, close: bool = False
) -> Iterator[Window]:
    with source if close and isinstance(source, Recording) else nullcontext():
        yield from islice(
            (window for window in source.windows() if window.kind is WindowKind.SCENE), limit
        )


def _size(ratio_map: RatioMap) -> str:
    height, width = ratio_map.shape
    return f"{ratio_map.slots} slots of {width}x{height} pixels"
