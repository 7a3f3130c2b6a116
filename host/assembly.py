"""Putting readouts together from fragments, and noticing what is missing.

No I/O and no clock: frames go in, whole readouts come out in the order of their numbers, and
what has to be asked for again is told to a callback.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable

from firmware_sim.wire import Fragment, ResendRequest, WindowDescriptor

AHEAD = 256
"""Windows beyond the next one that are believed; no board's credit goes that far."""


class Pieces:
    """Bytes of one object, arriving in pieces, in any order and any of them more than once.

    Parameters
    ----------
    limit : int
        Longest object believed, in bytes; a piece beyond it is ignored.

    Attributes
    ----------
    total : int or None
        Length of the object, once known.
    front : int
        End of the furthest piece that came.
    """

    def __init__(self, limit: int) -> None:
        self.total: int | None = None
        self.front = 0
        self._limit = limit
        self._data = bytearray()
        self._starts: list[int] = []  # held ranges: sorted, disjoint, not touching
        self._stops: list[int] = []

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        if self.total is None:
            return False
        return self.total == 0 or (self._starts == [0] and self._stops[0] >= self.total)

    @property
    def data(self) -> bytearray:
        """The object, once complete; no copy."""
        return self._data

    def expect(self, total: int) -> None:
        """Say how long the object is."""
        self.total = total
        if len(self._data) != total:
            kept = self._data[:total]
            self._data = bytearray(total)
            self._data[: len(kept)] = kept

    def put(self, offset: int, data: bytes) -> None:
        """Take one piece."""
        stop = offset + len(data)
        if stop > (self._limit if self.total is None else self.total):
            return
        if stop > len(self._data):
            self._data.extend(bytes(stop - len(self._data)))
        self._data[offset:stop] = data
        self.front = max(self.front, stop)
        if self._stops and self._stops[-1] == offset:  # the common case: in order
            self._stops[-1] = stop
            return
        first = bisect_left(self._stops, offset)
        last = first
        while last < len(self._starts) and self._starts[last] <= stop:
            last += 1
        if first < last:
            offset = min(offset, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [offset]
        self._stops[first:last] = [stop]

    def holes(self) -> list[tuple[int, int]]:
        """Offset and length of every missing range, up to the end where it is known."""
        begins = [0, *self._stops]
        ends = [*self._starts, self.front if self.total is None else self.total]
        return [(a, b - a) for a, b in zip(begins, ends, strict=True) if b > a]


class _Window:
    """A window that is not complete yet."""

    def __init__(self, limit: int) -> None:
        self.descriptor: WindowDescriptor | None = None
        self.pieces = Pieces(limit)
        self.asked = 0
        """Bytes before this offset have arrived or been asked for again."""


class Assembler:
    """Readouts of consecutive windows.

    A gap shows at once by what comes after it: a later fragment, or a later window. What is lost
    at the very end shows by silence, which the owner reports to :meth:`quiet`.

    Parameters
    ----------
    limit : int
        Longest readout believed, in bytes.
    resend : callable
        Asks the board for part of a window again.

    Attributes
    ----------
    next : int or None
        Number of the window that is handed out next; None before :meth:`begin`, when every frame
        is ignored.
    lost : int
        Windows given up.
    """

    def __init__(self, limit: int, resend: Callable[[ResendRequest], None]) -> None:
        self.next: int | None = None
        self.lost = 0
        self._limit = limit
        self._resend = resend
        self._windows: dict[int, _Window] = {}
        self._ready: deque[tuple[WindowDescriptor, bytearray]] = deque()

    def begin(self, first: int) -> None:
        """Forget unfinished windows and go on with number `first`."""
        self._windows.clear()
        self.next = first

    def add_descriptor(self, descriptor: WindowDescriptor) -> bool:
        """Take a window's announcement; whether it was news."""
        window = self._window(descriptor.window)
        if window is None or window.descriptor is not None:
            return False
        if descriptor.total > self._limit:
            return False
        window.descriptor = descriptor
        window.pieces.expect(descriptor.total)
        self._hand_out()
        return True

    def add_fragment(self, fragment: Fragment) -> None:
        """Take a part of a readout."""
        window = self._window(fragment.window)
        if window is None:
            return
        front = window.pieces.front
        if fragment.offset > max(front, window.asked):
            start = max(front, window.asked)
            self._resend(ResendRequest(fragment.window, start, fragment.offset - start))
            window.asked = fragment.offset
        window.pieces.put(fragment.offset, fragment.data)
        if window.pieces.complete:
            self._hand_out()

    def quiet(self, next_window: int) -> None:
        """Ask again for everything missing, as nothing is on its way any more.

        Parameters
        ----------
        next_window : int
            The board has exposed every window below this number.
        """
        if self.next is None:
            return
        begun = max(self._windows, default=self.next - 1)
        for number in range(self.next, min(max(begun + 1, next_window), self.next + AHEAD)):
            window = self._windows.setdefault(number, _Window(self._limit))
            if window.descriptor is None:
                self._resend(ResendRequest(number))
                continue
            for offset, length in window.pieces.holes():
                self._resend(ResendRequest(number, offset, length))

    def give_up(self, number: int) -> None:
        """Mark a window lost: the board does not hold it any more."""
        window = self._windows.get(number)
        if self.next is None or number < self.next or (window and window.pieces.complete):
            return
        self.lost += 1
        self._windows[number] = _LOST
        self._hand_out()

    def take(self) -> list[tuple[WindowDescriptor, bytearray]]:
        """Complete readouts since the last call, in order of their numbers."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def _window(self, number: int) -> _Window | None:
        """Entry of a window that frames are still wanted for; asks for earlier ones' ends."""
        if self.next is None or not self.next <= number < self.next + AHEAD:
            return None
        for earlier in range(self.next, number):
            self._ask_for_end(earlier)
        window = self._windows.setdefault(number, _Window(self._limit))
        return None if window is _LOST else window

    def _ask_for_end(self, number: int) -> None:
        window = self._windows.setdefault(number, _Window(self._limit))
        if window is _LOST or window.pieces.complete:
            return
        if window.descriptor is None:
            if not window.asked:
                self._resend(ResendRequest(number))
            window.asked = self._limit
            return
        start = max(window.pieces.front, window.asked)
        if start < window.descriptor.total:
            self._resend(ResendRequest(number, start, window.descriptor.total - start))
            window.asked = window.descriptor.total

    def _hand_out(self) -> None:
        while self.next is not None:
            window = self._windows.get(self.next)
            if window is None or not (window is _LOST or window.pieces.complete):
                return
            del self._windows[self.next]
            self.next += 1
            if window.descriptor is not None:
                self._ready.append((window.descriptor, window.pieces.data))


_LOST = _Window(0)
"""Stands for a window that was given up."""
