"""The scene behind each window of an emulated board, to compare its reconstructions with.

A board that this program started shows a clip that can be read here too, by the same code, and a
window says how many were exposed before it. That is much less work than bringing the scene over the
line, as for every other board, where it takes the time of windows: a board that is being recorded
brings none. The clip is read by a thread of its own, and used once it has been
found to be the board's: a file may have been replaced after the board read it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, BoardLostError

if TYPE_CHECKING:
    from focalloop.firmware_sim.scenes.scene import SceneSource

_END_S = 5.0
"""Longest wait for the end of a clip that is being read."""

Truth = NDArray[np.uint8] | None
"""Slots of a scene, (n, H, W), 255 is white; None where it is not known."""


class Truths:
    """Scenes of the windows of one board after another.

    Parameters
    ----------
    open_clip : callable or None
        Opens the clip that the board shows, where it is known here.
    """

    def __init__(self, open_clip: Callable[[], SceneSource] | None) -> None:
        self._open_clip = open_clip
        self.begin()

    def begin(self) -> None:
        """Note that the board has just been started, and has read its clip."""
        self._clip = None if self._open_clip is None else _Clip(self._open_clip)

    def close(self) -> None:
        """Wait for a clip that is being read, for a while.

        A thread inside OpenCV when Python ends would abort the program.
        """
        if self._clip is not None:
            self._clip.wait(_END_S)

    def of(self, board: Board, window: Window, step: int, *, recorded: bool = False) -> Truth:
        """Return every `step`-th slot behind a window that has just arrived, if it is known.

        Where the board is being `recorded`, only a clip that is known here tells.
        """
        if not board.info.features & Feature.SCENE:
            return None
        clip = self._clip
        known = None if clip is None else clip.window(window)
        if recorded and (clip is None or not clip.checked):
            return None
        if clip is None or known is None:
            return _over_the_line(board, window, step)
        if not clip.checked:
            sent = _over_the_line(board, window, 1)
            if sent is None:
                return None
            if not np.array_equal(sent, known):
                self._clip = None
            clip.checked, known = True, sent
        return known[::step]


class _Clip:
    """A clip that is read in the background from when it is first asked for a window.

    Attributes
    ----------
    checked : bool
        Whether it has been compared with what the board sent.
    """

    def __init__(self, open_: Callable[[], SceneSource]) -> None:
        self._open = open_
        self.checked = False
        self._scene: SceneSource | None = None
        # An end of the session does not wait for ever.
        self._reading = threading.Thread(target=self._read, name="focalloop-clip", daemon=True)

    def window(self, window: Window) -> Truth:
        """Return what is behind a window of the board, if the clip has been read."""
        if self._scene is not None:
            return self._scene.window(window.number + window.skipped)
        if self._reading.ident is None:
            self._reading.start()
        return None

    def wait(self, timeout_s: float) -> None:
        """Wait until the clip has been read, if that has begun."""
        if self._reading.ident is not None:
            self._reading.join(timeout_s)

    def _read(self) -> None:
        with suppress(FocalloopError, OSError):  # it is gone; the board has it
            self._scene = self._open()


def _over_the_line(board: Board, window: Window, step: int) -> Truth:
    with suppress(BoardError, BoardLostError):
        return board.scene(window.number, 0, step)
    return None
