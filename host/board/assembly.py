"""Putting readouts together from fragments, and noticing what is missing.

No I/O and no clock: frames go in, whole readouts come out in the order of their numbers, and
what has to be asked for again is told to a callback.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from focalloop.firmware_sim.wire import Fragment, ResendRequest, WindowDescriptor

AHEAD = 256
"""Windows beyond the next one that are believed; no board's credit goes that far."""

MOST_REPAIRS = 128
"""Repairs asked for at a time; what is missing beyond is asked for when the line falls silent."""

NOTHING_OF_IT = 2**32 - 1
"""Offset beyond any readout: asks for the descriptor alone."""


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

    def holes(self, start: int = 0, stop: int | None = None) -> list[tuple[int, int]]:
        """Offset and length of every missing range from `start` to `stop`.

        Without `stop`, to the end where that is known, and else to :attr:`front`.
        """
        if stop is None:
            stop = self.front if self.total is None else self.total
        edges = zip([0, *self._stops], [*self._starts, max(stop, self.front)], strict=True)
        clipped = ((max(begin, start), min(end, stop)) for begin, end in edges)
        return [(begin, end - begin) for begin, end in clipped if end > begin]


class _Window:
    """A window that is not complete yet."""

    def __init__(self, limit: int) -> None:
        self.descriptor: WindowDescriptor | None = None
        self.pieces = Pieces(limit)


@dataclass(eq=False)
class _Repair:
    """Something asked for again."""

    request: ResendRequest
    answered: bool = False
    """The board sends it before anything new, and before what it answers to later."""

    def brings(self, number: int, offset: int) -> bool:
        """Whether a fragment is part of it."""
        start, length = self.request.offset, self.request.length
        within = start <= offset and (not length or offset < start + length)
        return within and number == self.request.window


class Assembler:
    """Readouts of consecutive windows.

    A line keeps the order of what it does not lose. So a gap shows at once by what comes after it:
    a later fragment, or a later window. And as a board sends what was asked for again in the order
    asked, and before anything new, a repair that was lost too shows by what comes after its turn.
    What is lost at the very end shows by silence, which the owner reports to :meth:`quiet`.

    Parameters
    ----------
    limit : int
        Longest readout believed, in bytes.
    resend : callable
        Asks the board for part of a window again; its answer is told to :meth:`answered`.

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
        self._edge = (0, 0)  # window and offset: all before has come or been asked for again
        self._repairs: list[_Repair] = []
        self._ready: deque[tuple[WindowDescriptor, bytearray]] = deque()

    def begin(self, first: int) -> list[int]:
        """Forget unfinished windows and go on with number `first`.

        Returns
        -------
        list of int
            Numbers of the windows that had begun to come, or should have, and are lost by this.
        """
        begun = [] if self.next is None else range(self.next, self._begun)
        lost = [number for number in begun if self._windows.get(number) is not _LOST]
        self.lost += len(lost)
        self._windows.clear()
        self._repairs.clear()
        self.next = first
        self._edge = (first, 0)
        return lost

    def add_descriptor(self, descriptor: WindowDescriptor) -> bool:
        """Take a window's announcement; whether it was news."""
        number = descriptor.window
        if descriptor.total > self._limit or not self._expected(number):
            return False
        if number > self._edge[0]:
            self._reached(number, 0)
        window = self._window(number)
        if window is _LOST or window.descriptor is not None:
            return False
        window.descriptor = descriptor
        window.pieces.expect(descriptor.total)
        self._hand_out()
        return True

    def add_fragment(self, fragment: Fragment) -> None:
        """Take a part of a readout."""
        number, offset = fragment.window, fragment.offset
        if offset + len(fragment.data) > self._limit or not self._expected(number):
            return
        window = self._window(number)
        if (number, offset) >= self._edge:
            begins = number > self._edge[0] or self._edge[1] == 0
            self._reached(number, offset)
            self._edge = (number, offset + len(fragment.data))
            if begins and window.descriptor is None:
                self._ask(ResendRequest(number, NOTHING_OF_IT))
        elif self._repairs:
            for place, repair in enumerate(self._repairs):
                if repair.brings(number, offset):
                    self._ask_late(place)
                    break
        if window is _LOST:
            return
        window.pieces.put(offset, fragment.data)
        if window.pieces.complete:
            self._hand_out()

    def answered(self, request: ResendRequest) -> None:
        """Note that the board sends next what was asked for, or did not take the request."""
        for repair in self._repairs:
            if repair.request is request:
                repair.answered = True

    def quiet(self, next_window: int) -> None:
        """Ask again for everything missing, as nothing is on its way any more.

        Parameters
        ----------
        next_window : int
            The board has exposed every window below this number.
        """
        if self.next is None:
            return
        stop = min(max(self._begun, next_window), self.next + AHEAD)
        self._repairs.clear()
        for number in range(self.next, stop):
            self._ask_for(number, 0, None)
        self._edge = max(self._edge, (stop, 0))

    def give_up(self, number: int) -> bool:
        """Mark a window lost: the board does not hold it any more. Whether that is news."""
        window = self._windows.get(number)
        if not self._expected(number) or window is _LOST or (window and window.pieces.complete):
            return False
        self.lost += 1
        self._windows[number] = _LOST
        self._hand_out()
        return True

    def take(self) -> list[tuple[WindowDescriptor, bytearray]]:
        """Complete readouts since the last call, in order of their numbers."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    @property
    def _begun(self) -> int:
        """Windows numbered below this have come, in part at least, or been asked for."""
        number, offset = self._edge
        return number + (offset > 0 or number in self._windows)

    def _expected(self, number: int) -> bool:
        return self.next is not None and self.next <= number < self.next + AHEAD

    def _window(self, number: int) -> _Window:
        window = self._windows.get(number)
        if window is None:
            window = self._windows[number] = _Window(self._limit)
        return window

    def _reached(self, number: int, offset: int) -> None:
        """Something new has come: ask for what lies between, and for repairs that are lost."""
        self._ask_late(len(self._repairs))
        assert self.next is not None
        first, start = max(self._edge, (self.next, 0))
        for between in range(first, number):
            self._ask_for(between, start, None)
            start = 0
        if offset > start:
            self._ask(ResendRequest(number, start, offset - start))
        self._edge = (number, offset)

    def _ask_late(self, count: int) -> None:
        """Ask anew for what is missing of the first `count` repairs: their turn is over."""
        if count == 0:
            return
        due, later = self._repairs[:count], self._repairs[count:]
        self._repairs = [repair for repair in due if not repair.answered] + later
        for repair in due:
            request = repair.request
            if repair.answered and self._expected(request.window):
                stop = request.offset + request.length if request.length else None
                self._ask_for(request.window, request.offset, stop)

    def _ask_for(self, number: int, start: int, stop: int | None) -> None:
        """Ask for what is missing of a window, to its end if no `stop` is given."""
        window = self._window(number)
        if window is _LOST:
            return
        pieces = window.pieces
        if stop is None and window.descriptor is None:
            if start != NOTHING_OF_IT:
                for offset, length in pieces.holes(start):
                    self._ask(ResendRequest(number, offset, length))
                start = max(start, pieces.front)
            self._ask(ResendRequest(number, start))
            return
        for offset, length in pieces.holes(start, stop):
            self._ask(ResendRequest(number, offset, length))

    def _ask(self, request: ResendRequest) -> None:
        if len(self._repairs) < MOST_REPAIRS:
            self._repairs.append(_Repair(request))
            self._resend(request)

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
