"""Windows under way: starting and stopping them, credit, repairs, and going on after an outage.

Threads. The consumer's thread runs the generators `stream` and `capture`. The link's threads call
`on_frame`, `on_next_window` and `on_tick`, under the link's lock. The connection's keeper calls
`resume`, before anything else is sent over a new link.

Locks. A thread that holds the link's lock may take the reception's, never the other way round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import islice

from focalloop.firmware_sim.wire import (
    ErrorCode,
    Frame,
    HelloAnswer,
    MessageType,
    ResendRequest,
    StreamCreditRequest,
    StreamStartRequest,
    WindowNumber,
)
from focalloop.host.board.lost_windows import LostWindows
from focalloop.host.board.patience import Patience
from focalloop.host.board.reception import MAX_WINDOW_NUMBER, Readout, Reception
from focalloop.host.board.repair import SilenceWatch
from focalloop.host.board.stats import RateMeter
from focalloop.host.errors import (
    BoardBusyError,
    BoardError,
    BoardLostError,
    CaptureInterruptedError,
    FaultyBoardError,
)
from focalloop.host.link.answers import unpacked
from focalloop.host.link.connection import Connection
from focalloop.host.link.io_threads import Link

_TAKE_TIMEOUT_S = 0.25
"""How often a consumer without windows looks whether the board is still there."""

_NUMBERS_LEFT = 1 << 16
"""Window numbers that must be left at the start of a run."""


class StreamControl:
    """At most one stream or capture of a board at a time, and the counters of all of them.

    Parameters
    ----------
    connection : Connection
        The way to the board.
    tell : callable
        Takes sentences for the user.

    Attributes
    ----------
    windows : int
        Windows handed out.
    resends : int
        Times that a part of a window was asked for again.
    goodput : RateMeter
        Meter of the bytes of readouts.
    lost_windows : LostWindows
        The windows that did not arrive.
    """

    def __init__(self, connection: Connection, tell: Callable[[str], None]) -> None:
        self.windows = 0
        self.resends = 0
        self.goodput = RateMeter()
        self.lost_windows = LostWindows(connection.url, tell)
        self._connection = connection
        self._reception: Reception | None = None
        self._streaming = False  # in a stream, credit is given; a capture has a fixed count
        self._grant_due = False  # windows were taken while no link was in use
        self._next_window = 0  # the board has exposed every window below it
        self._silence = SilenceWatch(connection.poll_status)
        self._resend_over: Link | None = None  # a new link that is not in use yet
        self._resumed: Link | None = None  # the link over which the stream went on last

    def stream(
        self, board: HelloAnswer, credit: int, count: int | None
    ) -> Generator[Readout, None, None]:
        """Yield `count` readouts of a stream in order; closing the generator stops the stream.

        Parameters
        ----------
        board : HelloAnswer
            Tells how large a readout can be, and how many windows the board holds.
        credit : int
            Windows that may be on their way or waiting.
        count : int or None
            Windows wanted; None for a stream without end.

        Raises
        ------
        BoardBusyError
            A stream or capture is running already.
        """
        credit = max(1, min(credit, board.held_windows))
        with self._receiving(board, credit, count) as reception:
            self._streaming = True
            start = StreamStartRequest(reception.credit)
            self._start(reception, MessageType.STREAM_START, start.pack())
            yield from islice(self._take(reception, board), count)

    def capture(
        self, board: HelloAnswer, type_: MessageType, body: bytes, count: int
    ) -> Generator[Readout, None, None]:
        """Readouts of the `count` windows that a request makes, in order.

        There are fewer if some were lost on the line, or if the board vanished meanwhile.

        Raises
        ------
        BoardBusyError
            A stream or capture is running already.
        """
        with (
            self._receiving(board, count, count) as reception,
            suppress(CaptureInterruptedError),
        ):
            self._start(reception, type_, body)
            yield from self._take(reception, board, count)

    def stop(self) -> None:
        """Stop what is running, if anything is; the board is idle after it."""
        reception, self._reception = self._reception, None
        if reception is None:
            return
        self._streaming = False
        self.lost_windows.tell(time.monotonic())
        with suppress(BoardLostError, BoardError):
            if self._connection.state == "connected":
                self._connection.link().request(MessageType.STREAM_STOP)
            elif self._resumed is not None:  # it may stream already, over a link not in use yet
                self._resumed.request(MessageType.STREAM_STOP)

    def resume(self, link: Link, rebooted: bool) -> None:
        """Go on over `link` after HELLO, which has stopped the board."""
        self._resumed = link  # first: either `stop` sees it, or the reception is seen to be gone
        reception = self._reception
        if reception is None or not reception.begun:
            return  # the thread that waits for the start's answer sends the start again
        if not self._streaming:
            reception.fail(CaptureInterruptedError("the board vanished during a capture"))
            return
        answer = link.request(MessageType.STREAM_START, StreamStartRequest(0).pack())
        first = _first_window(MessageType.STREAM_START, answer)

        def go_on() -> None:
            if rebooted:
                self.lost_windows.add(reception.begin(first))
                return
            self._next_window = first
            self._resend_over = link
            reception.on_nothing_under_way(first)
            self._resend_over = None

        link.exclusively(go_on)
        link.request(MessageType.STREAM_CREDIT, StreamCreditRequest(reception.limit).pack())
        if self._reception is not reception:  # its consumer ended it meanwhile, without a link
            link.request(MessageType.STREAM_STOP)

    def on_frame(self, frame: Frame, board: HelloAnswer, now_s: float) -> None:
        """Take a WINDOW or READOUT frame."""
        self.on_data(now_s)
        if self._reception is not None:
            self.goodput.add(len(frame.body), now_s)
            self._reception.on_frame(frame, board)

    def on_data(self, now_s: float) -> None:
        """Note that a part of a window or scene arrived; earlier parts will not arrive after it."""
        self._silence.data_arrived(now_s)

    def on_next_window(self, number: int, now_s: float) -> None:
        """Take what a STATUS answer says: the board has exposed every window below `number`."""
        self._next_window = number
        self._silence.answered(now_s)

    def on_tick(self, now_s: float) -> None:
        """Do what depends on the time: report losses, and ask for what is missing after silence."""
        self.lost_windows.tell_when_due(now_s)
        if self._connection.state != "connected":
            return
        reception, last_byte_s = self._reception, self._connection.last_byte_s
        if reception is not None and self._silence.nothing_under_way(last_byte_s, now_s):
            reception.on_nothing_under_way(self._next_window)

    @contextmanager
    def _receiving(self, board: HelloAnswer, credit: int, count: int | None) -> Iterator[Reception]:
        if self._reception is not None:
            raise BoardBusyError("a stream or capture of this board is running: end it first")
        reception = Reception(_readout_bytes(board), self._resend, credit, count)
        self._reception = reception
        try:
            yield reception
        finally:
            self.stop()

    def _start(self, reception: Reception, type_: MessageType, body: bytes) -> None:
        """Send a request whose answer is the number of the first window."""

        def begin(answer: bytes) -> None:
            self.lost_windows.add(reception.begin(_first_window(type_, answer)))
            self.on_data(time.monotonic())

        self._connection.request(type_, body, begin)

    def _take(
        self, reception: Reception, board: HelloAnswer, expected: int | None = None
    ) -> Iterator[Readout]:
        """Yield readouts in order, without end, or until `expected` windows arrived or are lost."""
        patience = Patience(self._connection, board, _readout_bytes(board))
        taken = 0
        while expected is None or taken + reception.lost < expected:
            readout = reception.take(_TAKE_TIMEOUT_S)
            if readout is None:
                if self._connection.state == "connected":
                    if self._grant_due:
                        self._grant(reception)
                    patience.waited(
                        _TAKE_TIMEOUT_S, reception.news, reception.next, reception.problem
                    )
                self._connection.link()  # raises once the board is gone for too long
                continue
            patience.window_came()
            taken += 1
            self.windows += 1
            self._grant(reception)
            yield readout

    def _grant(self, reception: Reception) -> None:
        if self._streaming:
            request = StreamCreditRequest(reception.limit)
            answer = self._connection.submit(MessageType.STREAM_CREDIT, request.pack())
            self._grant_due = answer is None

    def _resend(self, request: ResendRequest) -> None:
        over = self._resend_over or self._connection
        answer = over.submit(MessageType.RESEND, request.pack())
        if answer is None:
            reception = self._reception
            if reception is not None:
                reception.on_answer(request)  # none will come: ask anew when something arrives
            return
        self.resends += 1
        answer.add_done_callback(lambda done: self._resend_answered(request, done))

    def _resend_answered(self, request: ResendRequest, answer: Future[bytes]) -> None:
        error = answer.exception()
        reception = self._reception
        if reception is None:
            return
        reception.on_answer(request)
        if isinstance(error, BoardError) and error.code == ErrorCode.WINDOW_GONE:
            if reception.on_gone(request.window):
                self.lost_windows.add([request.window])
            self._grant(reception)  # credit must not wait for a window that never comes


def _readout_bytes(board: HelloAnswer) -> int:
    """Return the size of the board's largest readout."""
    return 2 * board.height * board.width * max(board.level_set)


def _first_window(request: MessageType, answer: bytes) -> int:
    """Return the number of the first window from the answer to a request for windows."""
    first = unpacked(WindowNumber, request, answer).window
    if first > MAX_WINDOW_NUMBER - _NUMBERS_LEFT:
        raise FaultyBoardError(
            f"the board says that its next window is {first}, after which there are too few "
            f"numbers: reset the board"
        )
    return first
