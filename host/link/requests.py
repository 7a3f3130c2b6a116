"""The host's half of the request protocol, without any I/O: bytes in, bytes out, times given.

`focalloop.host.link.io_threads.Link` calls everything here, under its lock. The other half
is `focalloop.firmware_sim.virtual_board.board.VirtualBoard`.

A request keeps its sequence number and its very bytes however often it is sent, so that the board
runs it once. The board answers in order, so a request is repeated at once when a later one is
answered. Otherwise it is repeated after a time that adapts to the round trips seen, as in RFC 6298,
but grows more slowly at each repeat: requests are lost to noise here, not to a congested queue.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from focalloop.firmware_sim.wire import (
    DEAD_AFTER_S,
    DEFAULT_MAX_PAYLOAD,
    LARGE_MAX_PAYLOAD,
    MAX_IN_FLIGHT,
    STATUS_INTERVAL_S,
    ErrorAnswer,
    Frame,
    FrameDecoder,
    MessageType,
    WireError,
    encoded_limit,
)
from focalloop.host.errors import BoardError, BoardLostError, NoAnswerError

REPEAT_MIN_S, REPEAT_MAX_S = 0.1, 1.0
"""Bounds of the time before a request is repeated: longer than the latency of a USB adapter (16 ms)
plus scheduling, and at most the silence after which the board counts as dead."""

FIRST_REPEAT_S = 0.3
"""Time before a repeat until a first round trip has been measured."""

MAX_GAP_S = 0.1
"""Longest time from one call of a `RequestProtocol` to the next that counts as silence or delay of
the board. For the rest this program did not run: the computer slept, or was too busy."""

REPEAT_GROWTH = 1.5
"""Factor on that time at each repeat, as the board may only be slow."""


@dataclass
class _Request:
    """A request that is waiting to be sent or to be answered."""

    type: MessageType
    sequence: int
    encoded: bytes
    timeout_s: float
    slow: bool
    answer: Future[bytes] = field(default_factory=Future)
    first_sent_s: float = 0.0
    turn_s: float = 0.0
    """When the board could begin to work on it: the request had left, and all earlier ones had been
    answered."""
    repeat_at_s: float = 0.0
    times_sent: int = 0
    first_place: int = 0
    last_place: int = 0
    """Places of its first and its latest copy among all the frames sent."""


class RequestProtocol:
    """Requests to one board over one opening of its port.

    Not thread-safe: the caller holds a lock around every call.

    Parameters
    ----------
    on_frame : callable
        Takes each frame that the board sent unasked, and the time.
    on_status : callable
        Takes the body of each answer to the STATUS requests that are sent when the line is idle.
    bytes_per_s : float
        Line rate, which tells how long a request takes to leave.

    Attributes
    ----------
    decoder : FrameDecoder
        Counts good and bad frames.
    repeats : int
        Requests sent again.
    max_in_flight : int
        Requests that may be sent and unanswered at a time; set from HELLO.
    keep_alive : bool
        Whether to ask for STATUS when idle, and to call the board dead when it stays silent. Off
        until HELLO has been answered.
    round_trip_s : float or None
        Smoothed time from a request to its answer.
    last_byte_s : float
        When the last bytes came in; 0 before the first.
    """

    def __init__(
        self,
        on_frame: Callable[[Frame, float], None],
        on_status: Callable[[bytes], None] = lambda body: None,
        *,
        bytes_per_s: float = 92160.0,
    ) -> None:
        self.decoder = FrameDecoder(LARGE_MAX_PAYLOAD)
        self.repeats = 0
        self.max_in_flight = MAX_IN_FLIGHT
        self.keep_alive = False
        self.round_trip_s: float | None = None
        self.last_byte_s = 0.0
        self._on_frame = on_frame
        self._on_status = on_status
        self._bytes_per_s = bytes_per_s
        self._variation_s = 0.0
        self._repeat_s = FIRST_REPEAT_S
        # A random start: a late answer to an earlier program's request must not match one of ours.
        self._sequence = random.randrange(0x10000)
        self._waiting: deque[_Request] = deque()
        self._in_flight: dict[int, _Request] = {}
        self._heard_s: float | None = None
        self._place = 0
        self._line_free_s = 0.0  # when all bytes given to the line will have left, by its rate
        self._asked_s = 0.0  # when the latest new request will have left; silence counts from then
        self._called_s: float | None = None  # the latest call with the time
        self._noise_bytes = 0  # since the last good frame

    def submit(
        self,
        type_: MessageType,
        body: bytes = b"",
        *,
        timeout_s: float = 2.0,
        slow: bool = False,
    ) -> Future[bytes]:
        """Queue a request.

        Parameters
        ----------
        type_ : MessageType
            What is asked for.
        body : bytes
            The packed request.
        timeout_s : float
            Time after which the request fails, counted from its turn. That is when it has left, as
            computed from the line's rate, and all earlier requests have been answered.
        slow : bool
            Whether the board may be silent until it answers, without being called dead.

        Returns
        -------
        Future of bytes
            The answer's body, or an error: `BoardError` for a refusal, `NoAnswerError` after
            `timeout_s`, `BoardLostError` if the link has failed.
        """
        self._sequence = (self._sequence + 1) & 0xFFFF
        encoded = Frame(type_, self._sequence, body).encode()
        # The answer may have to wait behind a long frame.
        answer_s = 2 * DEFAULT_MAX_PAYLOAD / self._bytes_per_s
        request = _Request(type_, self._sequence, encoded, timeout_s + answer_s, slow)
        self._waiting.append(request)
        return request.answer

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the line, and hand out the answers and unasked frames in them."""
        self._excuse_absence(now_s)
        self.last_byte_s = now_s
        self._noise_bytes += len(data)
        for frame in self.decoder.feed(data):
            self._heard_s = now_s
            self._noise_bytes = 0
            if frame.is_response:
                self._answer(frame, now_s)
            else:
                self._on_frame(frame, now_s)

    def transmit(self, now_s: float) -> bytes:
        """Return the bytes of the next frame that is due, or nothing.

        Raises
        ------
        BoardLostError
            The board has been silent for too long.
        """
        if self._heard_s is None:
            self._heard_s = now_s
        self._excuse_absence(now_s)
        self._keep_alive(now_s)
        for request in list(self._in_flight.values()):
            if request.answer.cancelled():
                del self._in_flight[request.sequence]
            elif now_s - request.turn_s > request.timeout_s:
                del self._in_flight[request.sequence]
                _fail(request, _no_answer(request))
            elif now_s >= request.repeat_at_s:
                self.repeats += 1
                self._repeat_s = min(REPEAT_MAX_S, REPEAT_GROWTH * self._repeat_s)
                return self._send(request, now_s)
        while self._waiting and len(self._in_flight) < self.max_in_flight:
            request = self._waiting.popleft()
            if request.answer.cancelled():
                continue
            request.first_sent_s = now_s
            self._in_flight[request.sequence] = request
            encoded = self._send(request, now_s)
            request.first_place = self._place
            self._asked_s = request.turn_s = self._line_free_s
            return encoded
        return b""

    def due_s(self) -> float:
        """Return when `transmit` next has something to do, if nothing is received."""
        if self._waiting and len(self._in_flight) < self.max_in_flight:
            return 0.0
        times = [request.repeat_at_s for request in self._in_flight.values()]
        if self.keep_alive and self._heard_s is not None:
            times.append(self._heard_s + STATUS_INTERVAL_S)
        return min(times, default=float("inf"))

    def fail(self, error: BoardLostError) -> None:
        """Let every unanswered request fail with `error`."""
        unanswered = [*self._in_flight.values(), *self._waiting]
        self._in_flight.clear()
        self._waiting.clear()
        for request in unanswered:
            _fail(request, error)

    def _send(self, request: _Request, now_s: float) -> bytes:
        self._place += 1
        request.times_sent += 1
        request.last_place = self._place
        sending_s = len(request.encoded) / self._bytes_per_s
        self._line_free_s = max(self._line_free_s, now_s) + sending_s
        request.repeat_at_s = self._line_free_s + self._repeat_s
        return request.encoded

    def _answer(self, frame: Frame, now_s: float) -> None:
        request = self._in_flight.get(frame.sequence)
        if request is None or request.type != frame.type:
            return  # a second answer, to a repeat
        del self._in_flight[frame.sequence]
        for other in self._in_flight.values():  # the board works in order
            if other.first_place > request.first_place:
                other.turn_s = max(other.turn_s, now_s)
            elif other.last_place < request.first_place:  # it or its answer was lost
                other.repeat_at_s = now_s
        # An answer to a repeated request tells no round trip (Karn's algorithm).
        if request.times_sent == 1 and not request.slow:
            self._learn(now_s - request.first_sent_s)
        if not frame.is_error:
            _succeed(request, frame.body)
            return
        try:
            refusal = ErrorAnswer.unpack(frame.body)
        except WireError:
            refusal = ErrorAnswer(0, "(an unreadable explanation)")
        _fail(request, BoardError(request.type.name, refusal.code, refusal.text))

    def _learn(self, sample_s: float) -> None:
        if self.round_trip_s is None:
            self.round_trip_s, self._variation_s = sample_s, sample_s / 2
        else:
            error_s = sample_s - self.round_trip_s
            self._variation_s += (abs(error_s) - self._variation_s) / 4
            self.round_trip_s += error_s / 8
        wanted_s = self.round_trip_s + 4 * self._variation_s
        self._repeat_s = min(REPEAT_MAX_S, max(REPEAT_MIN_S, wanted_s))

    def _excuse_absence(self, now_s: float) -> None:
        """Count time in which this program did not run neither as silence nor as delay."""
        absent_s = 0.0 if self._called_s is None else now_s - self._called_s - MAX_GAP_S
        self._called_s = now_s
        if absent_s <= 0:
            return

        def excused(since_s: float) -> float:
            return max(since_s, min(since_s + absent_s, now_s))

        self._asked_s = excused(max(self._alive_s(), self._asked_s))
        for request in self._in_flight.values():
            request.first_sent_s = excused(request.first_sent_s)
            request.turn_s = excused(request.turn_s)

    def _alive_s(self) -> float:
        """Return when the board gave its latest sign of life."""
        heard_s = self._heard_s or 0.0
        # The bytes of a long frame on a slow line are signs of life too, up to the longest frame.
        busy = self._noise_bytes <= 2 * encoded_limit(LARGE_MAX_PAYLOAD)
        return max(heard_s, self.last_byte_s) if busy else heard_s

    def _keep_alive(self, now_s: float) -> None:
        if not self.keep_alive:
            return
        if any(request.slow for request in self._in_flight.values()):
            return
        # A request that is still leaving cannot have been answered, and a slow board is not dead.
        # Nor is one that has not been asked anything.
        alive_s = self._alive_s()
        silent_s = now_s - max(alive_s, self._asked_s)
        if self._in_flight and silent_s > max(DEAD_AFTER_S, 2 * (self.round_trip_s or 0.0)):
            raise BoardLostError(f"the board has been silent for {now_s - alive_s:.1f} s")
        if now_s - alive_s > STATUS_INTERVAL_S and not self._in_flight and not self._waiting:
            self.submit(MessageType.STATUS).add_done_callback(self._status_answered)

    def _status_answered(self, answer: Future[bytes]) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._on_status(answer.result())


def _no_answer(request: _Request) -> NoAnswerError:
    return NoAnswerError(
        f"the board did not answer {request.type.name} in {request.timeout_s:.1f} s "
        f"(sent {request.times_sent} times)"
    )


def _succeed(request: _Request, body: bytes) -> None:
    with suppress(InvalidStateError):  # the asker has cancelled it
        request.answer.set_result(body)


def _fail(request: _Request, error: Exception) -> None:
    with suppress(InvalidStateError):  # the asker has cancelled it
        request.answer.set_exception(error)
