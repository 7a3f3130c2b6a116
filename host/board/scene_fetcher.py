"""The scene behind a window that an emulated board holds: the truth beside a preview.

The user's thread fetches; the link's reader brings the fragments.
"""

from __future__ import annotations

import threading
import time

from focalloop.firmware_sim.wire import Fragment, MessageType, SceneAnswer, SceneRequest
from focalloop.host.board.assembly import Pieces
from focalloop.host.errors import BoardLostError
from focalloop.host.link.connection import Connection

QUIET_S = 0.2
"""Silence after which the rest of a scene will not come."""

MAX_ATTEMPTS = 3
"""Times that a scene is asked for before this fails."""


class SceneFetcher:
    """Asks for scenes, one at a time, and gathers their fragments.

    Parameters
    ----------
    connection : Connection
        To ask over; whoever listens to it hands every fragment of a scene to `on_fragment`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wanted: tuple[int, Pieces, threading.Condition] | None = None
        self._lock = threading.Lock()

    def fetch(self, request: SceneRequest, largest: int) -> bytearray:
        """Return the scene behind a window.

        Parameters
        ----------
        request : SceneRequest
            Names the window and the slots.
        largest : int
            Size of the largest possible scene, in bytes.

        Raises
        ------
        BoardLostError
            The scene did not arrive whole in `MAX_ATTEMPTS` attempts, or the board is gone.
        BoardError
            The board refused.
        """
        with self._lock:
            pieces, arrived = Pieces(largest), threading.Condition()
            self._wanted = request.window, pieces, arrived
            try:
                for _ in range(MAX_ATTEMPTS):
                    answer = self._connection.request(MessageType.SCENE, request.pack())
                    with arrived:
                        pieces.expect(SceneAnswer.unpack(answer).total)
                        while not pieces.complete and not self._line_is_quiet():
                            arrived.wait(QUIET_S)
                        if pieces.complete:
                            return pieces.data
            finally:
                self._wanted = None
        raise BoardLostError(
            f"the scene of window {request.window} did not arrive whole in {MAX_ATTEMPTS} attempts"
        )

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment of a scene; it is dropped if nobody waits for that scene."""
        wanted = self._wanted
        if wanted is not None and wanted[0] == fragment.window:
            _, pieces, arrived = wanted
            with arrived:
                pieces.put(fragment.offset, fragment.data)
                if pieces.complete:
                    arrived.notify()

    def _line_is_quiet(self) -> bool:
        return time.monotonic() - self._connection.last_byte_s >= QUIET_S
