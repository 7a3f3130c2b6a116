"""One opening of a port: two threads that move bytes between it and a :class:`Session`.

The reader never writes and the writer never reads, so that neither a board that is too busy to
take a request nor a host that is too busy to take a readout can stop the other direction.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import serial

from focalloop.firmware_sim.wire import Frame, MessageType
from focalloop.host.errors import BoardLostError
from focalloop.host.link.port import Port
from focalloop.host.link.requests import Session

TICK_S = 0.025
"""How often the link's owner may look after what depends on the time."""


class Link:
    """Requests and answers over an open port, until it fails or is closed.

    Every method may be called from any thread; callbacks run in the link's threads, one at a time,
    and must not wait for an answer.

    Parameters
    ----------
    port : Port
        Open port; the link closes it.
    baud : int
        Line rate in bit/s.
    on_frame : callable
        Takes each frame that the board sent unasked, and the time.
    on_status : callable
        Takes the body of each answer to the link's own STATUS polls.
    on_tick : callable
        Called with the time, about every :data:`TICK_S`.
    on_failure : callable
        Called once if the link fails by itself, with the reason.

    Attributes
    ----------
    session : Session
        To be read for its counters.
    bytes_in, bytes_out : int
        Moved over the port so far.
    """

    def __init__(
        self,
        port: Port,
        baud: int,
        *,
        on_frame: Callable[[Frame, float], None] = lambda frame, now_s: None,
        on_status: Callable[[bytes], None] = lambda body: None,
        on_tick: Callable[[float], None] = lambda now_s: None,
        on_failure: Callable[[BoardLostError], None] = lambda error: None,
    ) -> None:
        self.session = Session(on_frame, on_status, bytes_per_s=baud / 10)
        self.bytes_in = 0
        self.bytes_out = 0
        self._port = port
        self._on_tick = on_tick
        self._on_failure = on_failure
        self._closing = False
        self._failure: BoardLostError | None = None
        self._wake = threading.Condition(threading.RLock())
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
        *,
        patience_s: float = 2.0,
        slow: bool = False,
    ) -> Future[bytes]:
        """Send a request; see :meth:`Session.submit`."""
        with self._wake:
            answer = self.session.submit(type_, body, patience_s=patience_s, slow=slow)
            if self._failure is not None or self._closing:
                self.session.fail(self._failure or BoardLostError("the port was closed"))
            self._wake.notify()
        return answer

    def request(self, type_: MessageType, body: bytes = b"", *, patience_s: float = 2.0) -> bytes:
        """Send a request and wait for its answer; see :meth:`Session.submit`."""
        return self.submit(type_, body, patience_s=patience_s).result()

    def exclusively(self, work: Callable[[], None]) -> None:
        """Do `work` as a callback does: no other runs meanwhile."""
        with self._wake:
            work()

    def keep_alive(self, max_in_flight: int) -> None:
        """After HELLO: keep to the board's window, poll its status, and notice when it dies."""
        with self._wake:
            self.session.max_in_flight = max(1, max_in_flight)
            self.session.keep_alive = True

    @property
    def failure(self) -> BoardLostError | None:
        """Why the link failed, if it did."""
        return self._failure

    def fail(self, reason: str) -> None:
        """Give the link up, as if it had failed by itself."""
        self._fail(BoardLostError(reason))

    def close(self) -> None:
        """Stop both threads and close the port; unanswered requests fail."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        for thread in self._threads:
            thread.join()
        self.session.fail(BoardLostError("the port was closed"))
        self._port.close()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BoardLostError as error:
            self._fail(error)
        except serial.SerialTimeoutException:
            self._fail(BoardLostError("the board takes no bytes any more"))
        except OSError as error:  # serial.SerialException is one
            self._fail(BoardLostError(f"the port is gone ({error})"))
        except Exception as error:  # a fault of ours: nobody must wait for ever because of it
            self._fail(BoardLostError(f"the link stopped by a fault of its own: {error!r}"))
            raise

    def _read(self) -> None:
        while not self._closing:
            data = self._port.read()
            if not data:
                continue
            with self._wake:
                self.bytes_in += len(data)
                now_s = time.monotonic()
                self.session.receive(data, now_s)
                if self.session.due_s() <= now_s:
                    self._wake.notify()

    def _write(self) -> None:
        next_tick_s = 0.0
        while True:
            with self._wake:
                if self._closing or self._failure is not None:
                    return
                now_s = time.monotonic()
                if now_s >= next_tick_s:
                    next_tick_s = now_s + TICK_S
                    self._on_tick(now_s)
                data = self.session.transmit(now_s)
                if not data:
                    due_s = min(next_tick_s, self.session.due_s())
                    self._wake.wait(max(0.0, due_s - time.monotonic()))
                    continue
            self._port.write(data)
            self.bytes_out += len(data)

    def _fail(self, error: BoardLostError) -> None:
        with self._wake:
            if self._failure is not None or self._closing:
                return
            self._failure = error
            self._closing = True
            self.session.fail(error)
            self._wake.notify()
        self._on_failure(error)
