"""Tasks that need the board to themselves, run in the board thread between two streams."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError

Task = Callable[[Board], None]


class BoardTasks:
    """Queue of tasks that wait for the stream to stop.

    Any thread submits. The board thread checks `pending` after each window, stops its stream and
    runs the tasks in the order in which they were submitted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed: Exception | None = None
        self._queue: deque[tuple[Task, Future[None]]] = deque()

    @property
    def pending(self) -> bool:
        """Whether any task is waiting."""
        return bool(self._queue)

    def submit(self, task: Task) -> Future[None]:
        """Queue a task; whatever it raises is the exception of the future."""
        done: Future[None] = Future()
        with self._lock:
            if self._closed is None:
                self._queue.append((task, done))
                return done
        done.set_exception(self._closed)
        return done

    def run_all(self, board: Board) -> None:
        """Run every queued task; one that fails does not keep the next from running.

        Raises
        ------
        BoardLostError
            If the board vanished; the future of the task raises it too.
        """
        while (queued := self._next()) is not None:
            task, done = queued
            try:
                task(board)
            except BoardLostError as error:
                done.set_exception(error)
                raise
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def fail_all(self, error: Exception) -> None:
        """Fail every queued task: there is no board to run it on."""
        while (queued := self._next()) is not None:
            queued[1].set_exception(error)

    def close(self, error: Exception) -> None:
        """Fail every queued task and every task submitted later."""
        with self._lock:
            self._closed = error
        self.fail_all(error)

    def _next(self) -> tuple[Task, Future[None]] | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None
