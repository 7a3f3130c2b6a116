"""Progress where nobody sees a bar, such as in a log: a line every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from rich.progress import Progress, Task

PERIOD_S = 8.0
"""Between two lines; less than ten seconds, after which a command seems to hang."""


class ProgressLines(Progress):
    """Tells in a line how far the newest unfinished task is, as long as the context is entered.

    Parameters
    ----------
    print_line : callable
        Takes a line.
    percent : bool
        Tell the share that is done instead of the counts.
    """

    def __init__(self, print_line: Callable[[str], None], percent: bool) -> None:
        super().__init__(disable=True)
        self._print_line = print_line
        self._percent = percent
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to print lines."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._report, name="progress", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Print no more lines."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _report(self) -> None:
        while not self._ended.wait(PERIOD_S):
            tasks = self.tasks
            if tasks:
                open_ = [task for task in tasks if not task.finished] or tasks
                self._print_line(self._line(open_[-1]))

    def _line(self, task: Task) -> str:
        if task.total is None:
            done = ""
        elif self._percent:
            done = f"{task.percentage:.0f} %, "
        else:
            done = f"{task.completed:.0f} of {task.total:.0f}, "
        line = f"{task.description}: {done}{_clock(task.elapsed or 0.0)} so far"
        left_s = task.time_remaining
        return line if left_s is None or task.finished else f"{line}, about {_clock(left_s)} left"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
