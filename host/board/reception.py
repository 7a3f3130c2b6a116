"""Readouts on their way from the link's threads, where they arrive, to the consumer's thread.

The reader puts frames in and the consumer takes readouts out; one lock guards all of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.wire import (
    Fragment,
    Frame,
    HelloAnswer,
    MessageType,
    ResendRequest,
    WindowDescriptor,
    WireError,
)
from focalloop.host.board.assembly import Assembler
from focalloop.host.errors import CaptureError

MAX_WINDOW_NUMBER = 2**32 - 1
"""Window numbers stay below this; a board that reaches it must be reset."""


@dataclass(frozen=True)
class Readout:
    """A whole readout as it came off the line.

    Attributes
    ----------
    descriptor : WindowDescriptor
        Number, time, map and kind of the window.
    data : bytearray
        Packed samples, in the order of the read plan.
    board : HelloAnswer
        What the board was when it sent them.
    """

    descriptor: WindowDescriptor
    data: bytearray
    board: HelloAnswer

    def codes(self, count: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return the samples, of which the read plan has `count`, as wide as HELLO says.

        Raises
        ------
        CaptureError
            The readout has another length, so the two sides do not use the same plan.
        """
        one_byte = self.board.bits <= 8
        if len(self.data) != count * (1 if one_byte else 2):
            raise CaptureError(
                f"window {self.descriptor.window} has {len(self.data)} bytes, but its ratio map "
                f"asks for {count} samples of {self.board.bits} bits: board and host disagree, so "
                "update the older of the two"
            )
        if one_byte:
            return np.frombuffer(self.data, np.uint8)
        return np.frombuffer(self.data, "<u2").astype(np.uint16, copy=False)


class Reception:
    """One stream or capture being received, for one consumer.

    Never more than `credit` windows are on their way or waiting: `limit` grows as readouts
    are taken.

    Parameters
    ----------
    largest : int
        Largest readout accepted, in bytes.
    resend : callable
        Asks the board for part of a window again; called under the lock.
    credit : int
        Windows that may be on their way or waiting.
    count : int, optional
        Windows wanted in all; without it, no end.

    Attributes
    ----------
    problem : str
        What was wrong with the last frame that could not be used; empty if none was.
    """

    def __init__(
        self,
        largest: int,
        resend: Callable[[ResendRequest], None],
        credit: int,
        count: int | None = None,
    ) -> None:
        self.problem = ""
        self._assembler = Assembler(largest, resend, credit)
        self._largest = largest
        self._credit = credit
        self._left = count
        self._boards: dict[int, HelloAnswer] = {}
        self._readouts: deque[Readout] = deque()
        self._error: Exception | None = None
        self._arrived = threading.Condition()

    @property
    def lost(self) -> int:
        """Windows given up."""
        return self._assembler.lost

    @property
    def next(self) -> int:
        """Number of the window that comes next; 0 before that is known."""
        return self._assembler.next or 0

    @property
    def news(self) -> int:
        """New parts of windows received so far."""
        return self._assembler.news

    @property
    def begun(self) -> bool:
        """Whether the first window's number is known."""
        return self._assembler.next is not None

    @property
    def credit(self) -> int:
        """Windows that may be on their way or waiting; fewer at the end of a counted capture."""
        return self._credit if self._left is None else min(self._credit, self._left)

    @property
    def limit(self) -> int:
        """The board may send the windows below this number."""
        with self._arrived:
            return min(self.next - len(self._readouts) + self.credit, MAX_WINDOW_NUMBER)

    def begin(self, first: int) -> list[int]:
        """Expect windows from number `first` on; return the numbers of the windows skipped."""
        with self._arrived:
            self._boards.clear()
            return self._assembler.begin(first)

    def fail(self, error: Exception) -> None:
        """Let the consumer's `take` raise `error`."""
        with self._arrived:
            self._error = error
            self._arrived.notify()

    def on_frame(self, frame: Frame, board: HelloAnswer) -> None:
        """Take a WINDOW or READOUT frame from a board that is now as `board` says.

        A malformed frame is dropped, which leaves a gap; if it is never filled, `problem` says why.
        """
        with self._arrived:
            try:
                if frame.type == MessageType.WINDOW:
                    descriptor = WindowDescriptor.unpack(frame.body)
                    if descriptor.total > self._largest:
                        self.problem = (
                            f"its descriptor announces {descriptor.total} bytes, of at most "
                            f"{self._largest}"
                        )
                    if self._assembler.add_descriptor(descriptor):
                        self._boards[descriptor.window] = board
                else:
                    self._assembler.add_fragment(Fragment.unpack(frame.body))
            except WireError as error:
                self.problem = str(error)
            self._collect()

    def on_nothing_under_way(self, next_window: int) -> None:
        """Ask for all that is missing of the windows below `next_window`, as it will not come."""
        with self._arrived:
            self._assembler.nothing_under_way(next_window)

    def on_answer(self, request: ResendRequest) -> None:
        """Note that the board has answered a RESEND request."""
        with self._arrived:
            self._assembler.answered(request)

    def on_gone(self, number: int) -> bool:
        """Give up a window that the board no longer holds; return True if it was not lost yet."""
        with self._arrived:
            lost = self._assembler.give_up(number)
            self._collect()
            return lost

    def take(self, timeout_s: float) -> Readout | None:
        """Return the next readout, or None if none is complete within `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        with self._arrived:
            while not self._readouts:
                if self._error is not None:
                    raise self._error
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._arrived.wait(left_s)
            if self._left is not None:
                self._left -= 1
            return self._readouts.popleft()

    def _collect(self) -> None:
        for descriptor, data in self._assembler.take():
            board = self._boards.pop(descriptor.window)
            self._readouts.append(Readout(descriptor, data, board))
            self._arrived.notify()
