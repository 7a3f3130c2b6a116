"""Ctrl-C and its like in a long command: it ends between two steps, and keeps what is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

INTERRUPTING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
)
"""Signals that end a long command as Ctrl-C does."""


class Interruption:
    """Ends its block at the first Ctrl-C, but no step within it; a second Ctrl-C ends everything.

    SIGTERM and SIGHUP, by which a supervisor or a closing terminal ends a program, count as Ctrl-C.

    Attributes
    ----------
    wanted : bool
        Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._in_step = False
        self._at_once = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._interrupt) for number in INTERRUPTING
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt and not self._at_once

    @contextmanager
    def step(self) -> Iterator[None]:
        """Finish the block before Ctrl-C ends anything."""
        self._in_step = True
        try:
            yield
        finally:
            self._in_step = False
        if self.wanted:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._at_once = self.wanted
        self.wanted = True
        if self._at_once or not self._in_step:
            raise KeyboardInterrupt


class StoppedError(Exception):
    """Ctrl-C has ended a command; the text says what was kept.

    Not a KeyboardInterrupt, of which Typer makes an exit without a word.
    """


@contextmanager
def all_or_nothing(done: Callable[[], str]) -> Iterator[None]:
    """Say at Ctrl-C that nothing is kept, in a command of which a part would be of no use.

    Parameters
    ----------
    done : callable
        Returns how far the command has come, such as "7 of 40 windows".
    """
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(
            f"stopped at {done()}: none is kept, as the file is the same for the same options only "
            "when it is complete"
        ) from None
