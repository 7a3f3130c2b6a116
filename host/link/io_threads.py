"""The two threads that move bytes between an open port and the request protocol.

The reader (``focalloop-read``) never writes and the writer (``focalloop-write``) never reads, so
that neither a board that is too busy to take a request nor a host that is too busy to take a
readout can stop the other direction. Both hold the link's lock while they run the protocol and the
callbacks; they release it to read from the port and to write to it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from focalloop.firmware_sim.wire import Frame, MessageType
from focalloop.host.errors import BoardLostError
from focalloop.host.link.port import Port
from focalloop.host.link.requests import RequestProtocol

TICK_S = 0.025
"""Time between two calls of `LinkListener.on_tick`."""


class LinkListener(Protocol):
    """What a link tells its owner, under its lock, one call at a time.

    No method may wait for an answer: the thread that calls it is the one that brings answers.
    """

    def on_frame(self, frame: Frame, now_s: float) -> None:
        """Take a frame that the board sent unasked. Called in the reader."""

    def on_status(self, body: bytes) -> None:
        """Take the answer to a STATUS request of the link's own. Called in the reader."""

    def on_tick(self, now_s: float) -> None:
        """Do what depends on the time. Called in the writer, about every `TICK_S`."""


class Link:
    """Requests and answers over an open port, until it fails or is closed.

    Every method may be called from any thread.

    Parameters
    ----------
    port : Port
        Open port; the link closes it.
    baud : int
        Line rate in bit/s.
    listener : LinkListener
        Who is told of frames, statuses and the passing of time.
    on_failure : callable
        Called once if the link fails by itself, with the reason, in the thread that noticed.

    Attributes
    ----------
    bytes_in : int
        Received so far.
    """

    def __init__(
        self,
        port: Port,
        baud: int,
        listener: LinkListener,
        on_failure: Callable[[BoardLostError], None],
    ) -> None:
        self.bytes_in = 0
        self._bytes_out = 0
        self._port = port
        self._protocol = RequestProtocol(
            listener.on_frame, listener.on_status, bytes_per_s=baud / 10
        )
        self._on_tick = listener.on_tick
        self._on_failure = on_failure
        self._closing = False
        self._failure: BoardLostError | None = None
        self._lock = threading.RLock()  # a callback may submit requests
        self._due = threading.Condition(self._lock)  # the writer has something to do
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=name, daemon=True)
            for loop, name in ((self._read, "focalloop-read"), (self._write, "focalloop-write"))
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        type_: MessageType,
        body: bytes = b"",
        on_answer: Callable[[bytes], object] | None = None,
        *,
        timeout_s: float = 2.0,
        slow: bool = False,
    ) -> Future[bytes]:
        """Send a request without waiting.

        Parameters
        ----------
        type_, body, timeout_s, slow : MessageType, bytes, float, bool
            As for `RequestProtocol.submit`, which also says what the result holds.
        on_answer : callable, optional
            Takes the body of the answer, in the reader, before any frame that follows it. What it
            raises is what the result raises: the board may have answered anything.
        """
        with self._lock:
            answer = self._protocol.submit(type_, body, timeout_s=timeout_s, slow=slow)
            if on_answer is not None:
                answer = _taken(answer, on_answer)
            if self._failure is not None or self._closing:
                self._protocol.fail(self._failure or BoardLostError("the port was closed"))
            self._due.notify()
        return answer

    def request(self, type_: MessageType, body: bytes = b"", *, timeout_s: float = 2.0) -> bytes:
        """Send a request and wait for its answer; see `RequestProtocol.submit`."""
        return self.submit(type_, body, timeout_s=timeout_s).result()

    def exclusively(self, work: Callable[[], None]) -> None:
        """Do `work` under the link's lock, as a callback does."""
        with self._lock:
            work()

    def keep_alive(self, max_in_flight: int) -> None:
        """Keep to the board's limits, poll its status, and notice when it dies; after HELLO."""
        with self._lock:
            self._protocol.max_in_flight = max(1, max_in_flight)
            self._protocol.keep_alive = True

    def counters(self) -> Counter[str]:
        """Bytes and frames moved so far, and requests repeated."""
        return Counter(
            bytes_in=self.bytes_in,
            bytes_out=self._bytes_out,
            frames_good=self._protocol.decoder.good,
            frames_bad=self._protocol.decoder.bad,
            repeats=self._protocol.repeats,
        )

    @property
    def round_trip_s(self) -> float | None:
        """Smoothed time from a request to its answer."""
        return self._protocol.round_trip_s

    @property
    def last_byte_s(self) -> float:
        """When the last bytes came in; 0 before the first."""
        return self._protocol.last_byte_s

    @property
    def failure(self) -> BoardLostError | None:
        """Why the link failed, if it did."""
        return self._failure

    def fail(self, reason: str) -> None:
        """Give the link up, as if it had failed by itself."""
        self._fail(BoardLostError(reason))

    def close(self) -> None:
        """Stop both threads and close the port; unanswered requests fail."""
        with self._lock:
            self._closing = True
            self._due.notify()
        for thread in self._threads:
            thread.join()
        self._protocol.fail(BoardLostError("the port was closed"))
        self._port.close()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BoardLostError as error:
            self._fail(error)
        except OSError as error:
            self._fail(BoardLostError(f"the port is gone ({error})"))
        except Exception as error:  # a bug of ours: nobody must wait for ever because of it
            self._fail(BoardLostError(f"the link stopped because of an error here: {error!r}"))
            raise

    def _read(self) -> None:
        while not self._closing:
            data = self._port.read()
            if not data:
                continue
            with self._lock:
                self.bytes_in += len(data)
                now_s = time.monotonic()
                self._protocol.receive(data, now_s)
                if self._protocol.due_s() <= now_s:
                    self._due.notify()

    def _write(self) -> None:
        next_tick_s = 0.0
        while True:
            with self._lock:
                if self._closing or self._failure is not None:
                    return
                now_s = time.monotonic()
                if now_s >= next_tick_s:
                    next_tick_s = now_s + TICK_S
                    self._on_tick(now_s)
                data = self._protocol.transmit(now_s)
                if not data:
                    due_s = min(next_tick_s, self._protocol.due_s())
                    self._due.wait(max(0.0, due_s - time.monotonic()))
                    continue
            try:
                self._port.write(data)
            except TimeoutError:
                raise BoardLostError("the board takes no bytes any more") from None
            self._bytes_out += len(data)

    def _fail(self, error: BoardLostError) -> None:
        with self._lock:
            if self._failure is not None or self._closing:
                return
            self._failure = error
            self._closing = True
            self._protocol.fail(error)
            self._due.notify()
        self._on_failure(error)


def _taken(answer: Future[bytes], take: Callable[[bytes], object]) -> Future[bytes]:
    """Return a future like `answer`, but only after `take`, and with the error of that."""
    taken: Future[bytes] = Future()

    def hand_over(done: Future[bytes]) -> None:
        try:
            body = done.result()
            take(body)
        except Exception as error:
            taken.set_exception(error)
        else:
            taken.set_result(body)

    answer.add_done_callback(hand_over)
    return taken
