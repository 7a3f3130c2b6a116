"""Fetching the scene of a window that an emulated board holds, to compare a reconstruction with.

The user's thread fetches; the link's reader brings the fragments.
"""

from __future__ import annotations

import threading
import time

from focalloop.firmware_sim.wire import Fragment, MessageType, SceneAnswer, SceneRequest
from focalloop.host.board.assembly import Pieces
from focalloop.host.errors import BoardLostError, FaultyBoardError
from focalloop.host.link.answers import unpacked
from focalloop.host.link.connection import Connection

QUIET_S = 0.2
"""Time without a new part of a scene after which the rest is asked for again, in addition to two
frames' time on the line; doubled with each attempt."""

FETCH_S = 2.0
"""Longest time for one scene, in addition to twice the time of its bytes on the line."""


class SceneFetcher:
    """Asks for scenes, one at a time, and gathers their fragments.

    Parameters
    ----------
    connection : Connection
        To ask over; whoever listens to it hands every fragment of a scene to `on_fragment`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wanted: _Scene | None = None
        self._newest_window = -1
        self._lock = threading.Lock()

    def fetch(self, request: SceneRequest, size: int) -> bytearray:
        """Return the scene behind a window.

        Parameters
        ----------
        request : SceneRequest
            Names the window and the slots.
        size : int
            Length of its slots in bytes.

        Raises
        ------
        BoardLostError
            The scene did not arrive whole in time, or the board is gone.
        BoardError
            The board refused.
        FaultyBoardError
            The board announces a scene of another size.
        """
        quiet_s = QUIET_S + 2 * self._connection.frame_s
        with self._lock:
            deadline_s = time.monotonic() + FETCH_S + 2 * self._connection.line_s(size)
            scene = self._wanted = _Scene(request.window, size)
            try:
                while time.monotonic() < deadline_s:
                    body = self._connection.request(
                        MessageType.SCENE, request.pack(), scene.answered
                    )
                    total = unpacked(SceneAnswer, MessageType.SCENE, body).total
                    if total != size:
                        raise FaultyBoardError(
                            f"the board announces {total} bytes for the scene of window "
                            f"{request.window}, which has {size}: its firmware is faulty"
                        )
                    if not scene.wait(quiet_s, deadline_s):
                        quiet_s *= 2
                    if scene.pieces.complete:
                        return scene.pieces.data
            finally:
                self._wanted = None
        raise BoardLostError(f"the scene of window {request.window} did not arrive whole in time")

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment of a scene; it is dropped if nobody waits for that scene."""
        wanted = self._wanted
        if wanted is not None and wanted.window == fragment.window:
            wanted.put(fragment)

    def on_reset(self) -> None:
        """Forget which windows have begun, as the board counts from 0 again."""
        self._newest_window = -1

    def on_window(self, number: int) -> None:
        """Note that a window begins: a board sends scenes that were asked for before it."""
        if number <= self._newest_window:
            return
        self._newest_window = number
        wanted = self._wanted
        if wanted is not None:
            wanted.overtaken()


class _Scene:
    """A scene on its way, over one or more attempts.

    Other traffic does not show that more of the scene will come, because the board is asked for its
    status all the time while a window is missing. So silence is counted from the last new part of
    the scene. Most attempts end without a silence: with the last byte of the scene, or when
    something arrives that the board sends after it.
    """

    def __init__(self, window: int, size: int) -> None:
        self.window = window
        self.pieces = Pieces(size)
        self.pieces.expect(size)
        self._size = size
        self._ended = True  # until the board has answered, no attempt is under way
        self._news_s = 0.0
        self._arrived = threading.Condition()

    def answered(self, body: bytes) -> None:
        """Begin an attempt, now that the board has agreed to it; parts of earlier ones are kept."""
        with self._arrived:
            self._ended = False

    def overtaken(self) -> None:
        """Note something that the board sends after the scene."""
        with self._arrived:
            self._ended = True
            self._arrived.notify()

    def put(self, fragment: Fragment) -> None:
        """Take a fragment."""
        with self._arrived:
            if self.pieces.put(fragment.offset, fragment.data):
                self._news_s = time.monotonic()
            self._ended |= fragment.offset + len(fragment.data) == self._size
            if self._ended or self.pieces.complete:
                self._arrived.notify()

    def wait(self, quiet_s: float, deadline_s: float) -> bool:
        """Wait for the end of an attempt: False if nothing new came for `quiet_s`, or time is up.

        The scene is complete after it, or parts of it were lost.
        """
        with self._arrived:
            self._news_s = time.monotonic()
            while not (self._ended or self.pieces.complete):
                left_s = min(self._news_s + quiet_s, deadline_s) - time.monotonic()
                if left_s <= 0:
                    return False
                self._arrived.wait(left_s)
            return True
