"""A connection to one board that is restored by itself after the board vanished.

Threads. Requests come from any thread. The connection's own thread, the keeper
(``focalloop-keep``), notices that the link has failed, opens the port again as soon as it can, and
says HELLO; only the very first opening happens in the user's thread. The link's reader and writer
(`focalloop.host.link.io_threads`) pass frames and the time to the listener.

Locks. ``_changed`` guards the state and the present link, and is not held during a callback.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal, Protocol

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.wire import (
    LARGE_MAX_PAYLOAD,
    HelloAnswer,
    MessageType,
    encoded_limit,
)
from focalloop.host.errors import BoardLostError
from focalloop.host.link.hello import handshake
from focalloop.host.link.io_threads import Link, LinkListener
from focalloop.host.link.port import open_port

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 0.25
"""Pause between attempts to open a vanished port: doubled from the first to the longest."""

RETRY_TIMEOUT_S = 1.0
"""Longest handshake after a vanished port has opened again, as the board may be booting."""

SLOW_TIMEOUT_S = 30.0
"""Longest wait for an answer that takes the board long, as for opening a video in an emulator."""

MAX_LOSSES = 5
"""Times that the board may vanish over one request before the request is to blame."""

HANDOVER_TIMEOUT_S = 5.0
"""Longest wait for the keeper to notice a failed link, or to agree on another payload."""

State = Literal["connected", "lost", "closed"]


class ConnectionListener(LinkListener, Protocol):
    """What a connection tells its owner, in addition to what a link tells it."""

    def on_hello(self, link: Link, hello: HelloAnswer) -> None:
        """Bring the board, which has just answered HELLO, to the state that the owner wants.

        Called before any other request goes out over `link`, in the keeper or, at the first
        opening, in the user's thread. This happens whenever a port was opened, and after
        `Connection.agree`; in the second case the board lost nothing, but HELLO has stopped what it
        was doing. The method may wait for answers.
        """

    def on_lost(self, reason: str) -> None:
        """Note that the board has vanished. Called in the keeper."""


class Connection:
    """Requests to the board at a URL, across openings of its port.

    Parameters
    ----------
    url : str
        As for `focalloop.host.link.port.open_port`.
    baud : int
        As for `focalloop.host.link.port.open_port`.
    timeout_s : float
        Longest first handshake, and longest wait for the answer to a request.
    reconnect_timeout_s : float
        How long a request waits for a vanished board.

    Attributes
    ----------
    url : str
        Where the board is.
    state : {'connected', 'lost', 'closed'}
        Whether requests can be sent now, later, or never again.
    reconnects : int
        Times the board came back.
    """

    _listener: ConnectionListener

    def __init__(self, url: str, baud: int, timeout_s: float, reconnect_timeout_s: float) -> None:
        self.url = url
        self.state: State = "lost"
        self.reconnects = 0
        self._baud = baud
        self._timeout_s = timeout_s
        self._reconnect_timeout_s = reconnect_timeout_s
        self._changed = threading.Condition()
        self._due = threading.Event()  # the keeper has something to do
        self._max_payload = self._agreed_payload = LARGE_MAX_PAYLOAD
        self._payload = LARGE_MAX_PAYLOAD  # what HELLO settled on, for both sides
        self._past: Counter[str] = Counter()  # of the links before the present one
        self._link: Link | None = None
        self._lost_s = 0.0
        self._obstacle = ""
        self._keeper = threading.Thread(target=self._keep, name="focalloop-keep", daemon=True)

    def open(self, listener: ConnectionListener) -> None:
        """Open the port and say HELLO; tell `listener` of it, and of all that follows.

        Raises
        ------
        PortError
            The port cannot be opened, or no board is behind it.
        VersionMismatchError
            The board speaks another protocol version.
        """
        self._listener = listener
        self._connect(self._timeout_s)
        self._keeper.start()

    def close(self) -> None:
        """Close the port and stop trying to open it."""
        with self._changed:
            self.state = "closed"
            self._changed.notify_all()
        self._due.set()
        if self._keeper.ident is not None:
            self._keeper.join()
        self._drop_link()

    def link(self) -> Link:
        """Return the present link, waiting for a vanished board.

        Raises
        ------
        BoardLostError
            The board is not back after `reconnect_timeout_s`, or the connection was closed.
        """
        with self._changed:
            while self.state == "lost":
                left_s = self._lost_s + self._reconnect_timeout_s - time.monotonic()
                if left_s <= 0:
                    raise BoardLostError(
                        f"the board at {self.url} vanished and did not come back in "
                        f"{self._reconnect_timeout_s:g} s; check its cable and power "
                        f"(last attempt: {self._obstacle or 'none yet'})"
                    )
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            if self.state == "closed" or self._link is None:
                raise BoardLostError(f"the connection to {self.url} is closed")
            return self._link

    def request(
        self,
        type_: MessageType,
        body: bytes = b"",
        on_answer: Callable[[bytes], object] | None = None,
        *,
        slow: bool = False,
    ) -> bytes:
        """Send a request and wait for its answer, across a loss of the board.

        Parameters
        ----------
        type_ : MessageType
            What is asked for.
        body : bytes
            The packed request.
        on_answer : callable, optional
            Takes the body of the answer first, in the link's reader, before any frame after it.
        slow : bool
            Whether the answer may take `SLOW_TIMEOUT_S`.

        Raises
        ------
        BoardError
            The board refused.
        BoardLostError
            The board did not answer, did not come back in time, or vanishes at each attempt.
        """
        losses = 0
        while True:
            link = self.link()
            try:
                timeout_s = SLOW_TIMEOUT_S if slow else self._timeout_s
                answer = link.submit(type_, body, on_answer, timeout_s=timeout_s, slow=slow)
                return answer.result()
            except BoardLostError:
                losses += 1
                if not self.await_failure(link) or losses == MAX_LOSSES:
                    raise

    def submit(
        self,
        type_: MessageType,
        body: bytes = b"",
        on_answer: Callable[[bytes], object] | None = None,
    ) -> Future[bytes] | None:
        """Send a request without waiting, as `Link.submit`; None while the board is lost."""
        link = self._link
        if link is None or self.state != "connected":
            return None
        return link.submit(type_, body, on_answer, timeout_s=self._timeout_s)

    def await_failure(self, link: Link) -> bool:
        """Wait until the keeper has noticed that `link` failed, so that `link` is a new one.

        Returns
        -------
        bool
            False, at once, where the link works and the board only did not answer.
        """
        if link.failure is None and self._link is link and self.state == "connected":
            return False
        with self._changed:
            self._changed.wait_for(
                lambda: self._link is not link or self.state != "connected", HANDOVER_TIMEOUT_S
            )
        return True

    def poll_status(self) -> Future[bytes] | None:
        """Ask for STATUS now, for `ConnectionListener.on_status`; None while lost."""
        return self.submit(MessageType.STATUS, b"", self._listener.on_status)

    def give_up_link(self, reason: str) -> None:
        """Treat the board as lost, for example because its boot id shows that it was reset."""
        link = self._link
        if link is not None:
            link.fail(reason)

    def agree(self, max_payload: int) -> None:
        """Have both sides send bodies of `max_payload` bytes at most, from the next HELLO on.

        The keeper says that HELLO soon, and the same after every loss of the board.
        """
        self._max_payload = max_payload
        self._due.set()

    def await_agreement(self) -> None:
        """Wait until the latest `agree` has taken effect, or the board is lost."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._agreed_payload == self._max_payload or self.state != "connected",
                HANDOVER_TIMEOUT_S,
            )

    def counters(self) -> Counter[str]:
        """Bytes, frames and repeats, as in `Link.counters`, over every link so far."""
        with self._changed:
            totals = self._past.copy()
            if self._link is not None:
                totals.update(self._link.counters())
            return totals

    @property
    def round_trip_s(self) -> float | None:
        """Smoothed time from a request to its answer over the present link."""
        link = self._link
        return None if link is None else link.round_trip_s

    @property
    def last_byte_s(self) -> float:
        """When the last bytes came in over the present link; long ago while the board is lost."""
        link = self._link
        return float("-inf") if link is None else link.last_byte_s

    def line_s(self, count: int) -> float:
        """Return the time that `count` bytes take at the line's rate, in seconds."""
        return count * 10 / self._baud

    @property
    def frame_s(self) -> float:
        """Time that the longest frame takes at the line's rate, in seconds."""
        return self.line_s(encoded_limit(self._payload))

    def _connect(self, timeout_s: float) -> None:
        with self._changed:
            if self._closed():
                return
            self._agreed_payload = self._max_payload
        port = open_port(self.url, self._baud)
        link = Link(port, self._baud, self._listener, self._link_failed)
        try:
            hello = handshake(link, self.url, timeout_s, self._agreed_payload)
            self._listener.on_hello(link, hello)
        except BaseException:
            link.close()
            raise
        self._payload = min(hello.max_payload, self._agreed_payload)
        with self._changed:
            closed = self._closed()
            if not closed:
                self._link = link
                self.state = "connected"
                self._changed.notify_all()
        if closed:
            link.close()

    def _closed(self) -> bool:
        return self.state == "closed"

    def _link_failed(self, error: BoardLostError) -> None:
        with self._changed:
            self._mark_lost()
        self._due.set()

    def _mark_lost(self) -> None:
        if self.state == "connected":
            self.state = "lost"
            self._lost_s = time.monotonic()
            self._changed.notify_all()

    def _drop_link(self) -> None:
        with self._changed:
            link, self._link = self._link, None
            if link is not None:
                self._past.update(link.counters())
        if link is not None:
            link.close()

    def _keep(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            with self._changed:
                link = self._link
                if self.state == "closed":
                    return
            if link is not None and link.failure is None:
                self._greet_again(link)
                continue
            with self._changed:
                self._mark_lost()  # a link may fail before it was counted as connected
            self._drop_link()
            self._listener.on_lost(str((link and link.failure) or "the port failed"))
            self._reopen()

    def _greet_again(self, link: Link) -> None:
        """Agree on another payload over a link that works."""
        max_payload = self._max_payload
        if max_payload == self._agreed_payload:
            return
        try:
            hello = handshake(link, self.url, self._timeout_s, max_payload)
            self._listener.on_hello(link, hello)
        except FocalloopError as error:
            link.fail(f"it did not accept a new limit of the frame length ({error})")
        else:
            self._payload = min(hello.max_payload, max_payload)
        with self._changed:
            self._agreed_payload = max_payload
            self._changed.notify_all()

    def _reopen(self) -> None:
        pause_s = RETRY_FIRST_S
        while self.state == "lost":
            try:
                self._connect(min(self._timeout_s, RETRY_TIMEOUT_S))
            except (FocalloopError, OSError) as error:
                self._obstacle = str(error)
                with self._changed:
                    self._changed.wait_for(lambda: self.state == "closed", pause_s)
                pause_s = min(RETRY_MAX_S, 2 * pause_s)
            else:
                self.reconnects += 1
