"""Work that needs a board to itself, done in a session's board thread between two streams."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError

Work = Callable[[Board], None]


class Errands:
    """What waits for the stream to stop.

    Anybody asks; the board thread looks after each window, stops its stream, and runs them in the
    order asked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed: Exception | None = None
        self._queue: deque[tuple[Work, Future[None]]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether somebody has asked for something."""
        return bool(self._queue)

    def ask(self, work: Work) -> Future[None]:
        """Have `work` done; what it raises comes out of the future."""
        done: Future[None] = Future()
        with self._lock:
            if self._closed is None:
                self._queue.append((work, done))
                return done
        done.set_exception(self._closed)
        return done

    def run(self, board: Board) -> None:
        """Do all that waits; whatever fails is for who asked, and the next goes on.

        Raises
        ------
        BoardLostError
            If the board vanished; who asked gets it too.
        """
        while (errand := self._next()) is not None:
            work, done = errand
            try:
                work(board)
            except BoardLostError as error:
                done.set_exception(error)
                raise
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def drop(self, error: Exception) -> None:
        """Let all that waits fail: there is no board for it."""
        while (errand := self._next()) is not None:
            errand[1].set_exception(error)

    def close(self, error: Exception) -> None:
        """Let all that waits fail, and all that is asked from now on: nobody runs it."""
        with self._lock:
            self._closed = error
        self.drop(error)

    def _next(self) -> tuple[Work, Future[Any]] | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None
