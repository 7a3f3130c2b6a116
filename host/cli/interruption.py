"""Ctrl-C in a long command: it ends between two steps, so that what is whole can be kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Ends its block at the first Ctrl-C, but no step within it; a second Ctrl-C ends everything.

    Attributes
    ----------
    wanted : bool
        Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._in_step = False
        self._at_once = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
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
