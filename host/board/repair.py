"""When to ask for a part of a window again (RESEND).

A line keeps the order of what it does not lose, so whatever arrives after a gap reveals it at once:
a later fragment, or a later window (`Repairs`). Nothing arrives after a loss at the very end; that
one is revealed by silence (`SilenceWatch`).

No I/O, no clock and no lock: `focalloop.host.board.assembly` calls `Repairs`, under the
lock of its reception, and `focalloop.host.board.streaming` calls `SilenceWatch`, in the
link's threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from focalloop.firmware_sim.wire import ResendRequest

MAX_REPAIRS = 128
"""Repairs under way at a time; further missing parts are asked for once the line is silent."""

DESCRIPTOR_ONLY = 2**32 - 1
"""Offset beyond any readout: asks for a window's descriptor without its bytes."""

QUIET_S = 0.05
"""Length of a silence after which the board is asked for its status, and of one after the answer
for repairs to begin."""

CHATTER_S = 0.5
"""Time without data after which a line counts as silent, whatever else it carries: answers and logs
may come without end. Longer than `QUIET_S`, as data may be waiting behind them."""


@dataclass(eq=False)
class _Repair:
    """A part of a window that was asked for again and may not have come yet."""

    request: ResendRequest
    answered: bool = False
    """The board has answered the request, so it sends this part before anything new, and before the
    parts whose requests it answers later."""

    def covers(self, number: int, offset: int) -> bool:
        """Whether a fragment is part of it."""
        start, length = self.request.offset, self.request.length
        within = start <= offset and (not length or offset < start + length)
        return within and number == self.request.window


class Repairs:
    """Asks for what is missing as soon as something that was sent later arrives.

    A board sends repairs in the order in which they were asked for, and before anything new. So
    whatever arrives after the turn of a repair also reveals that the repair was lost.

    Parameters
    ----------
    missing : callable
        Takes a window's number and two offsets (the second None: the end of the window); returns
        the requests for what has not arrived between them.
    resend : callable
        Sends a request to the board; the caller then passes the answer to `answered`.

    Attributes
    ----------
    edge : (int, int)
        Window and offset: everything before has arrived or has been asked for again.
    """

    def __init__(
        self,
        missing: Callable[[int, int, int | None], list[ResendRequest]],
        resend: Callable[[ResendRequest], None],
    ) -> None:
        self.edge = (0, 0)
        self._missing = missing
        self._resend = resend
        self._under_way: list[_Repair] = []

    def __len__(self) -> int:
        """Repairs under way."""
        return len(self._under_way)

    def begin(self, first: int) -> None:
        """Forget all repairs; window `first` comes next."""
        self._under_way.clear()
        self.edge = (first, 0)

    def descriptor_arrived(self, number: int) -> None:
        """Ask for what should have come before this descriptor."""
        if number > self.edge[0]:
            self._advance(number, 0)

    def fragment_arrived(self, number: int, offset: int, length: int, described: bool) -> None:
        """Ask for what should have come before this fragment.

        Parameters
        ----------
        number, offset, length : int
            Window, place in it and size of the fragment.
        described : bool
            Whether the descriptor of its window has arrived.
        """
        if (number, offset) >= self.edge:
            opens_window = number > self.edge[0] or self.edge[1] == 0
            self._advance(number, offset)
            self.edge = (number, offset + length)
            if opens_window and not described:
                self._ask(ResendRequest(number, DESCRIPTOR_ONLY))
            return
        for place, repair in enumerate(self._under_way):
            if repair.covers(number, offset):
                self._ask_for_overdue(place)
                return

    def answered(self, request: ResendRequest) -> None:
        """Note the board's answer to a request: it sends that next, or has refused it."""
        for repair in self._under_way:
            if repair.request is request:
                repair.answered = True

    def nothing_under_way(self, first: int, stop: int) -> None:
        """Ask for everything missing of the windows from `first` to below `stop`."""
        self._under_way.clear()
        for number in range(first, stop):
            self._ask_for_missing(number)
        self.edge = max(self.edge, (stop, 0))

    def _advance(self, number: int, offset: int) -> None:
        """Note that something new arrived: all repairs are over, and what it skipped is lost."""
        self._ask_for_overdue(len(self._under_way))
        first, start = self.edge
        for skipped in range(first, number):
            self._ask_for_missing(skipped, start)
            start = 0
        if offset > start:
            self._ask(ResendRequest(number, start, offset - start))
        self.edge = (number, offset)

    def _ask_for_overdue(self, count: int) -> None:
        """Ask again for what is missing of the first `count` repairs, whose turn is over."""
        overdue, later = self._under_way[:count], self._under_way[count:]
        self._under_way = [repair for repair in overdue if not repair.answered] + later
        for repair in overdue:
            if repair.answered:
                offset, length = repair.request.offset, repair.request.length
                stop = offset + length if length else None
                self._ask_for_missing(repair.request.window, offset, stop)

    def _ask_for_missing(self, number: int, start: int = 0, stop: int | None = None) -> None:
        for request in self._missing(number, start, stop):
            self._ask(request)

    def _ask(self, request: ResendRequest) -> None:
        if len(self._under_way) < MAX_REPAIRS:
            self._under_way.append(_Repair(request))
            self._resend(request)


class SilenceWatch:
    """Finds out whether any data is still on its way, once none comes.

    One silence may be a pause of the board or of this computer, after which the data arrives by
    itself, so the board is asked a question. Its answer cannot overtake data, so if silence follows
    the answer as well, no data is on its way.

    A line is silent when nothing comes, or when no data has come for `CHATTER_S`: other threads may
    ask questions all the time, and a board may log, so bytes alone are no sign of data to come.

    Parameters
    ----------
    ask : callable
        Asks the board for its status; returns a future of the answer, or None while the board is
        lost. The caller reports the answer to `answered`.
    """

    def __init__(self, ask: Callable[[], Future[Any] | None]) -> None:
        self._ask = ask
        self._question: Future[Any] | None = None
        self._answered_s = 0.0
        self._data_s = float("inf")

    def data_arrived(self, now_s: float) -> None:
        """Note that data came, a part of a window or scene, or that it can come from now on."""
        self._data_s = now_s

    def answered(self, now_s: float) -> None:
        """Note that the board has just answered a request for its status."""
        self._answered_s = now_s

    def nothing_under_way(self, last_byte_s: float, now_s: float) -> bool:
        """Whether nothing more will come by itself; may ask the board. Call it repeatedly.

        Parameters
        ----------
        last_byte_s : float
            When the last bytes came in.
        now_s : float
            The time now.
        """
        silent_from_s = min(last_byte_s, self._data_s + CHATTER_S)
        quiet_s = now_s - max(silent_from_s, self._answered_s)
        if quiet_s <= QUIET_S or (self._question and not self._question.done()):
            return False
        if silent_from_s <= self._answered_s:
            self._answered_s = 0.0
            self._data_s = now_s  # what is asked for now needs its time too
            return True
        self._question = self._ask()
        return False
