"""The scene behind a held window, fetched from an emulator: the truth that a preview shows."""

from __future__ import annotations

import threading

from focalloop.firmware_sim.wire import Fragment, MessageType, SceneAnswer, SceneRequest
from focalloop.host.board.assembly import Pieces
from focalloop.host.errors import BoardLostError
from focalloop.host.link.connection import Connection

QUIET_S = 0.2
"""Silence after which the rest of a scene will not come."""

ATTEMPTS = 3
"""Times that a scene is asked for before it counts as undeliverable."""


class SceneFetcher:
    """Asks for scenes, one at a time, and gathers their fragments."""

    def __init__(self) -> None:
        self._wanted: tuple[int, Pieces, threading.Condition] | None = None
        self._lock = threading.Lock()

    def fetch(self, connection: Connection, request: SceneRequest, limit: int) -> bytearray:
        """Return the scene that is asked for.

        Parameters
        ----------
        connection : Connection
            To ask over; who reads from it hands every fragment of a scene to `on_fragment`.
        request : SceneRequest
            Names the window.
        limit : int
            Most bytes that a scene can have.

        Raises
        ------
        BoardLostError
            If it did not arrive whole in `ATTEMPTS` attempts, or the board is gone.
        BoardError
            If the board refuses.
        """
        with self._lock:
            pieces, arrived = Pieces(limit), threading.Condition()
            self._wanted = request.window, pieces, arrived
            try:
                for _ in range(ATTEMPTS):
                    answer = connection.request(MessageType.SCENE, request.pack())
                    with arrived:
                        pieces.expect(SceneAnswer.unpack(answer).total)
                        while not pieces.complete and connection.quiet_s() < QUIET_S:
                            arrived.wait(QUIET_S)
                        if pieces.complete:
                            return pieces.data
            finally:
                self._wanted = None
        raise BoardLostError(
            f"the scene of window {request.window} did not arrive whole in {ATTEMPTS} attempts"
        )

    def on_fragment(self, fragment: Fragment) -> None:
        """Take a fragment of a scene; those of scenes that nobody waits for are dropped."""
        wanted = self._wanted
        if wanted is not None and wanted[0] == fragment.window:
            _, pieces, arrived = wanted
            with arrived:
                pieces.put(fragment.offset, fragment.data)
                if pieces.complete:
                    arrived.notify()
