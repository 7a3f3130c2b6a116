"""A connection to one board that comes back by itself after the board vanished."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib.metadata import version
from typing import Literal

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.wire import (
    LARGE_MAX_PAYLOAD,
    PROTOCOL_VERSION,
    ErrorCode,
    Frame,
    HelloAnswer,
    HelloRequest,
    MessageType,
    WireError,
)
from focalloop.host.errors import (
    BoardError,
    BoardLostError,
    NoAnswerError,
    NotABoardError,
    VersionMismatchError,
)
from focalloop.host.link.link import Link
from focalloop.host.link.port import Port

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 0.25
"""Pause between attempts to open a vanished port: doubled from the first to the longest."""

RETRY_TIMEOUT_S = 1.0
"""Patience with a handshake after a vanished port opened again: the board may be booting."""

SLOW_TIMEOUT_S = 30.0
"""Patience with requests that a board does much for, such as an emulator opening a video."""

State = Literal["connected", "lost", "closed"]


def handshake(
    link: Link, url: str, timeout_s: float, max_payload: int = LARGE_MAX_PAYLOAD
) -> HelloAnswer:
    """Say HELLO over a link, taking bodies of `max_payload` bytes, and return what the board is.

    Raises
    ------
    NotABoardError
        No answer that makes sense came in `timeout_s`.
    VersionMismatchError
        The board speaks another protocol version.
    """
    hello = HelloRequest(max_payload, f"focalloop {version('focalloop')}")
    try:
        board = HelloAnswer.unpack(
            link.request(MessageType.HELLO, hello.pack(), patience_s=timeout_s)
        )
    except NoAnswerError:
        if link.bytes_in == 0:
            heard = "it is silent; check the board's power and firmware, and that this is its port"
        else:
            heard = (
                f"it sent {link.bytes_in} bytes that answer nothing; "
                "check the baud rate, and that this is the board's port"
            )
        raise NotABoardError(f"no board answers at {url}: {heard}") from None
    except BoardLostError as error:
        raise NotABoardError(
            f"{url} hung up before it said hello: {error}; close other programs that use it"
        ) from None
    except WireError as error:
        raise NotABoardError(f"what answers at {url} is no board: {error}") from error
    except BoardError as error:
        if error.code != ErrorCode.VERSION_MISMATCH:
            raise
        raise VersionMismatchError(
            f"the board at {url} speaks another protocol version than this program "
            f"({PROTOCOL_VERSION}): {error.text}; update the board's firmware or focalloop"
        ) from None
    if board.protocol != PROTOCOL_VERSION:
        raise VersionMismatchError(
            f"the board at {url} speaks protocol version {board.protocol} and this program "
            f"{PROTOCOL_VERSION}; update the older of the two"
        )
    link.keep_alive(board.max_in_flight)
    return board


class Connection:
    """Requests to a board at a URL, across openings of its port.

    A thread of its own waits for the link to fail, opens the port again as soon as it can, and
    calls `on_back` before anybody else's request goes out.

    Parameters
    ----------
    url, baud : str or int
        As for :class:`focalloop.host.link.port.Port`.
    timeout_s : float
        Patience with the first handshake and with every request.
    reconnect_timeout_s : float
        How long a request waits for a vanished board.
    on_frame, on_status, on_tick : callable
        As for :class:`focalloop.host.link.link.Link`.
    on_lost : callable
        Called with the reason when the board vanishes.
    on_back : callable
        Called with the link and HELLO, to bring the board's state up to date: after it came back,
        and after :meth:`agree`, where HELLO has only stopped what the board did.

    Attributes
    ----------
    state : {'connected', 'lost', 'closed'}
    reconnects : int
        Times the board came back.
    """

    def __init__(
        self,
        url: str,
        baud: int,
        timeout_s: float,
        reconnect_timeout_s: float,
        *,
        on_frame: Callable[[Frame, float], None],
        on_status: Callable[[bytes], None],
        on_tick: Callable[[float], None],
        on_lost: Callable[[str], None],
        on_back: Callable[[Link, HelloAnswer], None],
    ) -> None:
        self.state: State = "lost"
        self.reconnects = 0
        self._url = url
        self._baud = baud
        self._timeout_s = timeout_s
        self._reconnect_timeout_s = reconnect_timeout_s
        self._on_frame = on_frame
        self._on_status = on_status
        self._on_tick = on_tick
        self._on_lost = on_lost
        self._on_back = on_back
        self._changed = threading.Condition()
        self._due = threading.Event()  # the keeper has something to do
        self._max_payload = self._agreed_payload = LARGE_MAX_PAYLOAD
        self._past = dict.fromkeys(_COUNTERS, 0)
        self._link: Link | None = None
        self._lost_s = 0.0
        self._obstacle = ""
        self._keeper = threading.Thread(target=self._keep, name="focalloop-keep", daemon=True)

    def open(self) -> None:
        """Open the port and greet the board; raises what went wrong."""
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
        """Return the live link, waiting for a vanished board.

        Raises
        ------
        BoardLostError
            It is not back after `reconnect_timeout_s`, or the connection was closed.
        """
        with self._changed:
            while self.state == "lost":
                left_s = self._lost_s + self._reconnect_timeout_s - time.monotonic()
                if left_s <= 0:
                    raise BoardLostError(
                        f"the board at {self._url} vanished and did not come back in "
                        f"{self._reconnect_timeout_s:g} s; check its cable and power "
                        f"(last attempt: {self._obstacle or 'none yet'})"
                    )
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            if self.state == "closed" or self._link is None:
                raise BoardLostError(f"the connection to {self._url} is closed")
            return self._link

    def request(
        self,
        type_: MessageType,
        body: bytes = b"",
        on_answer: Callable[[bytes], None] = lambda body: None,
        *,
        slow: bool = False,
    ) -> bytes:
        """Send a request and wait for its answer, across a loss of the board.

        `on_answer` takes the answer in the link's thread, before any frame that follows it. The
        answer to a `slow` request may take :data:`SLOW_TIMEOUT_S`.

        Raises
        ------
        BoardError
            The board refused.
        BoardLostError
            The board did not answer, or is not back in time.
        """
        while True:
            link = self.link()
            try:
                patience_s = SLOW_TIMEOUT_S if slow else self._timeout_s
                answer = link.submit(type_, body, patience_s=patience_s, slow=slow)
                answer.add_done_callback(
                    lambda done: None if done.exception() else on_answer(done.result())
                )
                return answer.result()
            except BoardLostError:
                if not self.await_failure(link):
                    raise

    def submit(self, type_: MessageType, body: bytes = b"") -> Future[bytes] | None:
        """Send a request without waiting; None while the board is lost."""
        link = self._link if self.state == "connected" else None
        return None if link is None else link.submit(type_, body, patience_s=self._timeout_s)

    def await_failure(self, link: Link) -> bool:
        """Whether a request was lost because `link` failed, so that :meth:`link` has an heir.

        False where the link stands, and the board just did not answer.
        """
        if link.failure is None and self._link is link and self.state == "connected":
            return False
        with self._changed:
            self._changed.wait_for(lambda: self._link is not link or self.state != "connected", 5)
        return True

    def give_up_link(self, reason: str) -> None:
        """Treat the board as lost, as when its boot id shows that it was reset."""
        link = self._link
        if link is not None:
            link.fail(reason)

    def agree(self, max_payload: int) -> None:
        """Have the board send, and take, bodies of `max_payload` bytes at most, soon.

        The keeper says HELLO anew, now and after every loss of the board.
        """
        self._max_payload = max_payload
        self._due.set()

    def await_agreement(self) -> None:
        """Wait until the board has answered to the latest :meth:`agree`, or is lost."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._agreed_payload == self._max_payload or self.state != "connected", 5
            )

    def counters(self) -> dict[str, int]:
        """Bytes, frames and repeats over every link so far."""
        with self._changed:
            totals = dict(self._past)
            if self._link is not None:
                _add(totals, self._link)
            return totals

    def round_trip_s(self) -> float | None:
        """Smoothed time from a request to its answer on the present link."""
        link = self._link
        return None if link is None else link.session.round_trip_s

    def quiet_s(self) -> float:
        """Time since the last byte came in; endless while the board is lost."""
        link = self._link
        return float("inf") if link is None else link.session.quiet_s(time.monotonic())

    def _connect(self, timeout_s: float) -> None:
        with self._changed:
            if self._closed():
                return
            self._agreed_payload = self._max_payload
        link = Link(
            Port(self._url, self._baud),
            self._baud,
            on_frame=self._on_frame,
            on_status=self._on_status,
            on_tick=self._on_tick,
            on_failure=self._link_failed,
        )
        try:
            self._on_back(link, handshake(link, self._url, timeout_s, self._agreed_payload))
        except BaseException:
            link.close()
            raise
        with self._changed:
            if self._closed():
                link.close()
                return
            self._link = link
            self.state = "connected"
            self._changed.notify_all()

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
                _add(self._past, link)
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
            self._on_lost(str((link and link.failure) or "the port failed"))
            self._reopen()

    def _greet_again(self, link: Link) -> None:
        """Agree on another payload over a link that stands."""
        max_payload = self._max_payload
        if max_payload == self._agreed_payload:
            return
        try:
            self._on_back(link, handshake(link, self._url, self._timeout_s, max_payload))
        except FocalloopError as error:
            link.fail(f"it did not agree on shorter frames ({error})")
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


def _add(totals: dict[str, int], link: Link) -> None:
    for name, count in _COUNTERS.items():
        totals[name] += count(link)


_COUNTERS: dict[str, Callable[[Link], int]] = {
    "bytes_in": lambda link: link.bytes_in,
    "bytes_out": lambda link: link.bytes_out,
    "frames_good": lambda link: link.session.decoder.good,
    "frames_bad": lambda link: link.session.decoder.bad,
    "repeats": lambda link: link.session.repeats,
}
