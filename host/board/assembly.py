"""Readouts put together from descriptors and fragments, which may be lost, repeated or late.

No I/O, no clock and no lock: parts go in, whole readouts come out in the order of their numbers.
`focalloop.host.board.reception` calls this under its lock; what has to be asked for again, and
when, is decided in `focalloop.host.board.repair`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable

from focalloop.firmware_sim.wire import Fragment, ResendRequest, WindowDescriptor
from focalloop.host.board.repair import DESCRIPTOR_ONLY, Repairs

MAX_WINDOWS_AHEAD = 256
"""Windows from the next one on that are accepted, unless told otherwise: no board holds as many."""


class Pieces:
    """Bytes of one object, arriving in pieces, in any order and any of them more than once.

    Parameters
    ----------
    limit : int
        Largest object accepted, in bytes; a piece beyond it is ignored.

    Attributes
    ----------
    total : int or None
        Length of the object in bytes, once known.
    front : int
        End of the furthest piece received.
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
        """Whether every byte has come."""
        if self.total is None:
            return False
        return self.total == 0 or (self._starts == [0] and self._stops[0] >= self.total)

    @property
    def data(self) -> bytearray:
        """The object, once complete; no copy."""
        return self._data

    def expect(self, total: int) -> None:
        """Set the length of the object."""
        self.total = total
        if len(self._data) != total:
            kept = self._data[:total]
            self._data = bytearray(total)
            self._data[: len(kept)] = kept

    def put(self, offset: int, data: bytes) -> bool:
        """Take a piece; return whether any of it is new."""
        stop = offset + len(data)
        if stop > (self._limit if self.total is None else self.total):
            return False
        if stop > len(self._data):
            self._data.extend(bytes(stop - len(self._data)))
        self._data[offset:stop] = data
        self.front = max(self.front, stop)
        if self._stops and self._stops[-1] == offset:  # the common case: in order
            self._stops[-1] = stop
            return True
        first = bisect_left(self._stops, offset)
        if (
            first < len(self._stops)
            and self._starts[first] <= offset
            and stop <= self._stops[first]
        ):
            return False
        last = first
        while last < len(self._starts) and self._starts[last] <= stop:
            last += 1
        if first < last:
            offset = min(offset, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [offset]
        self._stops[first:last] = [stop]
        return True

    def holes(self, start: int = 0, stop: int | None = None) -> list[tuple[int, int]]:
        """Return offset and length of every missing range from `start` to `stop`.

        Without `stop`: to the end of the object if that is known, otherwise to `front`.
        """
        if stop is None:
            stop = self.front if self.total is None else self.total
        edges = zip([0, *self._stops], [*self._starts, max(stop, self.front)], strict=True)
        clipped = ((max(begin, start), min(end, stop)) for begin, end in edges)
        return [(begin, end - begin) for begin, end in clipped if end > begin]


class _Window:
    """A window of which some part was received."""

    def __init__(self, limit: int) -> None:
        self.descriptor: WindowDescriptor | None = None
        self.pieces = Pieces(limit)


class Assembler:
    """Readouts of consecutive windows.

    Parameters
    ----------
    limit : int
        Largest readout accepted, in bytes.
    resend : callable
        Asks the board for part of a window again; the caller then passes the answer to `answered`.
    ahead : int
        Windows from the next one on that are accepted: those that the board may send. It bounds the
        memory too.

    Attributes
    ----------
    next : int or None
        Number of the window that is handed out next; None before `begin`, when every frame
        is ignored.
    news : int
        Parts of windows received, without repetitions.
    lost : int
        Windows given up.
    """

    def __init__(
        self, limit: int, resend: Callable[[ResendRequest], None], ahead: int = MAX_WINDOWS_AHEAD
    ) -> None:
        self.next: int | None = None
        self.lost = 0
        self.news = 0
        self._ahead = ahead
        self._limit = limit
        self._repairs = Repairs(self._missing, resend)
        self._windows: dict[int, _Window] = {}
        self._ready: deque[tuple[WindowDescriptor, bytearray]] = deque()

    def begin(self, first: int) -> list[int]:
        """Forget unfinished windows and go on with number `first`.

        Returns
        -------
        list of int
            Windows given up: those that had partly arrived, or that should have.
        """
        begun = [] if self.next is None else range(self.next, self._begun)
        lost = [number for number in begun if self._windows.get(number) is not _LOST]
        self.lost += len(lost)
        self._windows.clear()
        self._repairs.begin(first)
        self.next = first
        return lost

    def add_descriptor(self, descriptor: WindowDescriptor) -> bool:
        """Take a window's descriptor; return True if it is the first of this window."""
        number = descriptor.window
        if descriptor.total > self._limit or not self._expects(number):
            return False
        self._repairs.descriptor_arrived(number)
        window = self._window(number)
        if window is _LOST or window.descriptor is not None:
            return False
        window.descriptor = descriptor
        self.news += 1
        window.pieces.expect(descriptor.total)
        self._hand_out()
        return True

    def add_fragment(self, fragment: Fragment) -> None:
        """Take a part of a readout."""
        number, offset, length = fragment.window, fragment.offset, len(fragment.data)
        if offset + length > self._limit or not self._expects(number):
            return
        window = self._window(number)
        described = window.descriptor is not None
        self._repairs.fragment_arrived(number, offset, length, described)
        if window is _LOST:
            return
        self.news += window.pieces.put(offset, fragment.data)
        if window.pieces.complete:
            self._hand_out()

    def answered(self, request: ResendRequest) -> None:
        """Note the board's answer to a request: it sends that next, or has refused it."""
        self._repairs.answered(request)

    def nothing_under_way(self, next_window: int) -> None:
        """Ask for everything missing, as nothing more will come by itself.

        Parameters
        ----------
        next_window : int
            The board has exposed every window below this number.
        """
        if self.next is not None:
            stop = min(max(self._begun, next_window), self.next + self._ahead)
            self._repairs.nothing_under_way(self.next, stop)

    def give_up(self, number: int) -> bool:
        """Mark a window lost that the board no longer holds; return True if it was not yet."""
        window = self._windows.get(number)
        if not self._expects(number) or window is _LOST or (window and window.pieces.complete):
            return False
        self.lost += 1
        self._windows[number] = _LOST
        self._hand_out()
        return True

    def take(self) -> list[tuple[WindowDescriptor, bytearray]]:
        """Return the readouts completed since the last call, in order of their numbers."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    @property
    def _begun(self) -> int:
        """Windows below this number were received, at least in part, or asked for again."""
        number, offset = self._repairs.edge
        return number + (offset > 0 or number in self._windows)

    def _expects(self, number: int) -> bool:
        return self.next is not None and self.next <= number < self.next + self._ahead

    def _window(self, number: int) -> _Window:
        window = self._windows.get(number)
        if window is None:
            window = self._windows[number] = _Window(self._limit)
        return window

    def _missing(self, number: int, start: int, stop: int | None) -> list[ResendRequest]:
        """Return requests for the missing parts of a window, to its end if `stop` is None."""
        window = self._windows.get(number, _UNSEEN)
        if window is _LOST or not self._expects(number):
            return []
        holes = window.pieces.holes(start, stop)
        requests = [ResendRequest(number, offset, length) for offset, length in holes]
        if stop is None and window.descriptor is None:
            rest = start if start == DESCRIPTOR_ONLY else max(start, window.pieces.front)
            requests.append(ResendRequest(number, rest))
        return requests

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

_UNSEEN = _Window(0)
"""Stands for a window of which nothing was received."""
