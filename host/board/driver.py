"""What this program knows of one board, kept true while the board comes and goes.

:class:`focalloop.host.board.client.Board` is the door; here is what must survive behind it: the
board's identity, its ratio map, its clock, and the windows under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.wire import (
    LARGE_MAX_PAYLOAD,
    MAP_HASH_PREFIX_BYTES,
    NO_HASH,
    ErrorCode,
    Fragment,
    Frame,
    HelloAnswer,
    Log,
    LogLevel,
    MessageType,
    ResendRequest,
    SceneRequest,
    StatusAnswer,
    StreamCreditRequest,
    StreamStartRequest,
    TimeSyncAnswer,
    TimeSyncRequest,
    WindowNumber,
    WireError,
)
from focalloop.host.board.clock import BoardClock
from focalloop.host.board.lost_windows import LostWindows
from focalloop.host.board.reception import Readout, Reception
from focalloop.host.board.scene_fetcher import SceneFetcher
from focalloop.host.board.stats import LinkStats, RateMeter
from focalloop.host.board.upload import Progress, fitted, upload
from focalloop.host.errors import (
    BoardBusyError,
    BoardError,
    BoardLostError,
    CaptureInterruptedError,
    UnknownMapError,
)
from focalloop.host.link.connection import Connection
from focalloop.host.link.frame_size import FrameSize
from focalloop.host.link.link import Link

QUIET_S = 0.05
"""Silence after which a board that streams is asked whether it is there: if it answers, and is
silent again for as long, what is missing of a window will not come by itself."""

CLOCK_INTERVAL_S = 5.0
"""Time between two exchanges of clocks."""

UPLOAD_ATTEMPTS = 3
"""Times that an upload is begun before a board's refusal is final."""

_WAIT_S = 0.25
"""How often a consumer without windows looks whether the board is still there."""


class Driver:
    """One board's state on this side of the line.

    Parameters
    ----------
    url, baud, timeout_s, reconnect_timeout_s : str or int or float
        As for :class:`focalloop.host.link.connection.Connection`.
    tell : callable
        Takes sentences for the user.
    on_log : callable
        Takes severity and text of the board's own log.

    Attributes
    ----------
    info : HelloAnswer
        What the board is.
    connection : Connection
        The way to it.
    clock : BoardClock
        Its clock.
    ratio_map : RatioMap or None
        Map that this program has it run.
    """

    info: HelloAnswer

    def __init__(
        self,
        url: str,
        baud: int,
        timeout_s: float,
        reconnect_timeout_s: float,
        tell: Callable[[str], None],
        on_log: Callable[[LogLevel, str], None],
    ) -> None:
        self.url = url
        self.clock = BoardClock()
        self.ratio_map: RatioMap | None = None
        self._tell = tell
        self._on_log = on_log
        self._boot_id: int | None = None  # of the boot that is as this program left it
        self._clock_due_s = 0.0
        self._maps: dict[bytes, tuple[RatioMap, ReadPlan]] = {}
        self._next_window = 0
        self._reception: Reception | None = None
        self._streaming = False
        self._line: Link | None = None
        self._frames = FrameSize(LARGE_MAX_PAYLOAD)
        self._asking: Link | None = None  # a fresh link over which repairs are asked for
        self._probe: Future[bytes] | None = None
        self._probed_s = 0.0
        self._goodput = RateMeter()
        self._resends = self._lost = self._windows = 0
        self._lost_windows = LostWindows(url, tell)
        self._scenes = SceneFetcher()
        self._upload_lock = threading.Lock()
        self.connection = Connection(
            url,
            baud,
            timeout_s,
            reconnect_timeout_s,
            on_frame=self._on_frame,
            on_status=self._on_status,
            on_tick=self._on_tick,
            on_lost=self._on_lost,
            on_back=self._greet,
        )

    def close(self) -> None:
        """Stop what the board does for this program, and close the port."""
        self._end_reception()
        self.connection.close()

    @property
    def stats(self) -> LinkStats:
        """Counters over every opening of the port."""
        reception = self._reception
        counters = self.connection.counters()
        return LinkStats(
            **counters,
            resends=self._resends,
            windows=self._windows,
            lost=self._lost + (0 if reception is None else reception.lost),
            lost_windows=self._lost_windows.numbers,
            reconnects=self.connection.reconnects,
            goodput_bytes_per_s=self._goodput.per_s(time.monotonic()),
            frame_bytes=self._frames.wanted,
            round_trip_s=self.connection.round_trip_s(),
            clock_offset_s=self.clock.offset_s,
        )

    def status(self) -> StatusAnswer:
        """Ask how the board is."""
        return StatusAnswer.unpack(self.connection.request(MessageType.STATUS))

    def reset(self) -> None:
        """Restart the board and wait until it is as it was."""
        link = self.connection.link()
        link.request(MessageType.RESET)
        link.fail("it was told to reset")
        self.connection.await_failure(link)
        self.connection.link()

    def upload(self, ratio_map: RatioMap, progress: Progress | None) -> RatioMap:
        """Make the board run `ratio_map`, across losses of the link; return it as it runs."""
        with self._upload_lock:
            wanted = fitted(ratio_map, self.info)
            self.know(wanted)
            refusals = 0
            while True:
                link = self.connection.link()
                try:
                    self._upload_over(link, wanted, progress)
                except BoardError as error:
                    # A reset in mid-upload, or damage that a CRC-32 missed: begin again.
                    again = error.code in (ErrorCode.UPLOAD_NOT_BEGUN, ErrorCode.HASH_MISMATCH)
                    refusals += 1
                    if not again or refusals == UPLOAD_ATTEMPTS:
                        raise
                except BoardLostError:
                    # Where the link stands, shorter chunks may come through.
                    if not self.connection.await_failure(link):
                        if not self._frames.shorten():
                            raise
                        self._agree()
                        self.connection.await_agreement()
                else:
                    self.ratio_map = wanted
                    return wanted

    def know(self, ratio_map: RatioMap) -> None:
        """Remember a map, so that windows read under it can be understood."""
        prefix = ratio_map.hash()[:MAP_HASH_PREFIX_BYTES]
        if prefix not in self._maps:
            self._maps[prefix] = ratio_map, ReadPlan.of(ratio_map)

    def known(self, prefix: bytes) -> tuple[RatioMap, ReadPlan]:
        """Map and plan by the first bytes of the map's hash."""
        if prefix not in self._maps:
            raise UnknownMapError(
                f"the board runs a ratio map that was not given here ({prefix.hex()}...): upload "
                "the map to use; nothing is sent if it is this one"
            )
        return self._maps[prefix]

    @contextmanager
    def reception(self, credit: int, count: int | None = None) -> Iterator[Reception]:
        """Receive windows while the context lasts; the board is idle after it."""
        if self._reception is not None:
            raise BoardBusyError("a stream or capture of this board is running: end it first")
        limit = 2 * self.info.height * self.info.width * max(self.info.level_set)
        reception = self._reception = Reception(limit, self._resend, credit, count)
        try:
            yield reception
        finally:
            self._end_reception()

    def start_stream(self, reception: Reception) -> None:
        """Have the board stream into `reception`."""
        active = self.status().map_hash
        if active == NO_HASH:
            raise UnknownMapError("the board has no ratio map yet: upload one")
        self.known(active[:MAP_HASH_PREFIX_BYTES])
        self._streaming = True
        self.start(reception, MessageType.STREAM_START, StreamStartRequest(reception.credit).pack())

    def start(self, reception: Reception, type_: MessageType, body: bytes) -> None:
        """Send a request whose answer is the number of the first window, into `reception`."""

        def begin(answer: bytes) -> None:
            reception.begin(WindowNumber.unpack(answer).window)

        self.connection.request(type_, body, begin)

    def take(self, reception: Reception, expected: int | None = None) -> Iterator[Readout]:
        """Readouts in order, without end, or until `expected` windows have come or are lost."""
        taken = 0
        while expected is None or taken + reception.lost < expected:
            readout = reception.take(_WAIT_S)
            if readout is None:
                self.connection.link()  # raises once the board is gone for too long
                continue
            taken += 1
            self._windows += 1
            self._grant(reception)
            yield readout

    def scene(self, request: SceneRequest) -> bytearray:
        """Fetch the scene behind a held window."""
        limit = self.info.slots * self.info.height * self.info.width
        return self._scenes.fetch(self.connection, request, limit)

    def clock_answered(self, sent_s: float, body: bytes) -> float:
        """Learn from an answer to TIME_SYNC; return board time minus host time in seconds."""
        board_s = TimeSyncAnswer.unpack(body).board_us * 1e-6
        return self.clock.exchanged(sent_s, board_s, time.monotonic())

    def _upload_over(self, link: Link, ratio_map: RatioMap, progress: Progress | None) -> None:
        status = StatusAnswer.unpack(link.request(MessageType.STATUS))
        if status.map_hash != ratio_map.hash():
            upload(link.submit, ratio_map, self.info.max_in_flight, progress)

    def _grant(self, reception: Reception) -> None:
        if self._streaming:
            request = StreamCreditRequest(reception.limit)
            self.connection.submit(MessageType.STREAM_CREDIT, request.pack())

    def _end_reception(self) -> None:
        reception, self._reception = self._reception, None
        if reception is None:
            return
        self._lost += reception.lost
        self._streaming = False
        self._lost_windows.tell(time.monotonic())
        if self.connection.state == "connected":
            with suppress(BoardLostError, BoardError):
                self.connection.link().request(MessageType.STREAM_STOP)

    # What follows runs in the threads of the connection.

    def _greet(self, link: Link, hello: HelloAnswer) -> None:
        """Bring a board that just answered HELLO to where this program left it."""
        same_line, self._line = link is self._line, link
        first_time = self._boot_id is None
        rebooted = hello.boot_id != self._boot_id
        if not first_time and (hello.shape, hello.serial) != (self.info.shape, self.info.serial):
            raise BoardLostError(f"another board, {hello.name} {hello.serial}, is there now")
        self.info = hello
        self._frames.begin(*self._frame_counts())
        if rebooted:
            self.clock = BoardClock()
            self._frames.limit(min(LARGE_MAX_PAYLOAD, hello.max_payload))
        if rebooted or not same_line:
            for _ in range(3):
                self._sync_clock(link).result()
            if self.ratio_map is not None:
                self._upload_over(link, self.ratio_map, None)
        if self._reception is not None:
            self._resume(link, self._reception, rebooted)
        if not first_time and (rebooted or not same_line):
            what = "was reset; it has its ratio map again" if rebooted else "is back"
            self._tell(f"the board at {self.url} {what}")
        self._boot_id = hello.boot_id  # not before all is done: a loss meanwhile begins it anew

    def _resume(self, link: Link, reception: Reception, rebooted: bool) -> None:
        if not reception.begun:
            return  # whoever waits for the answer to the start sends that again
        if not self._streaming:
            reception.fail(CaptureInterruptedError("the board vanished during a capture"))
            return
        answer = link.request(MessageType.STREAM_START, StreamStartRequest(0).pack())
        first = WindowNumber.unpack(answer).window
        if rebooted:
            self._lost_windows.add(reception.begin(first))
        else:  # HELLO made the board drop what it had not sent
            self._next_window = first
            link.exclusively(lambda: self._ask_over(link, reception))
        link.request(MessageType.STREAM_CREDIT, StreamCreditRequest(reception.limit).pack())

    def _ask_over(self, link: Link, reception: Reception) -> None:
        self._asking = link
        reception.on_quiet(self._next_window)
        self._asking = None

    def _on_lost(self, reason: str) -> None:
        self._tell(f"lost the board at {self.url}: {reason}; trying to reach it again")

    def _on_frame(self, frame: Frame, now_s: float) -> None:
        with suppress(WireError):  # a body that does not hold says nothing; the gap will show
            match frame.type:
                case MessageType.READOUT | MessageType.WINDOW:
                    if self._reception is not None:
                        self._goodput.add(len(frame.body), now_s)
                        self._reception.on_frame(frame, self.info)
                case MessageType.SCENE_DATA:
                    self._scenes.on_fragment(Fragment.unpack(frame.body))
                case MessageType.LOG:
                    line = Log.unpack(frame.body)
                    self._on_log(line.level, line.text)

    def _on_status(self, body: bytes) -> None:
        with suppress(WireError):
            status = StatusAnswer.unpack(body)
            if status.boot_id != self.info.boot_id:
                self.connection.give_up_link("it was reset")
                return
            self._next_window = status.next_window
            self._probed_s = time.monotonic()

    def _on_tick(self, now_s: float) -> None:
        self._lost_windows.tell_in_time(now_s)
        if self.connection.state != "connected":
            return
        if self._reception is not None and self.connection.quiet_s() > QUIET_S:
            self._ask_what_is_missing(self._reception)
        if now_s >= self._clock_due_s:
            self._sync_clock(self.connection.link())
        # Not during an upload: its chunks have the length that was agreed when it began.
        if not self._upload_lock.locked() and self._frames.judge(*self._frame_counts()):
            self._agree()

    def _frame_counts(self) -> tuple[int, int, int]:
        counters = self.connection.counters()
        return counters["bytes_in"], counters["frames_good"], counters["frames_bad"]

    def _agree(self) -> None:
        """Have frames of the length that is wanted now."""
        self._tell(f"the line to {self.url} is used with frames of {self._frames.wanted} bytes now")
        self.connection.agree(self._frames.wanted)

    def _ask_what_is_missing(self, reception: Reception) -> None:
        """On a silent line: see that the board is there, and if it has no more to say, ask.

        A first silence may be a pause of the board or of this program, after which all comes by
        itself. Silence after the answer to a question is not: an answer overtakes nothing.
        """
        if self._probe is not None and not self._probe.done():
            return
        last_heard_s = time.monotonic() - self.connection.quiet_s()
        if last_heard_s <= self._probed_s:
            self._probed_s = 0.0
            reception.on_quiet(self._next_window)
            return
        self._probe = self.connection.submit(MessageType.STATUS)
        if self._probe is not None:
            self._probe.add_done_callback(
                lambda done: None if done.exception() else self._on_status(done.result())
            )

    def _sync_clock(self, link: Link) -> Future[bytes]:
        sent_s = time.monotonic()
        self._clock_due_s = sent_s + CLOCK_INTERVAL_S
        answer = link.submit(MessageType.TIME_SYNC, TimeSyncRequest(int(sent_s * 1e6)).pack())
        answer.add_done_callback(
            lambda done: None if done.exception() else self.clock_answered(sent_s, done.result())
        )
        return answer

    def _resend(self, request: ResendRequest) -> None:
        through = self._asking or self.connection
        answer = through.submit(MessageType.RESEND, request.pack())
        if answer is None:
            reception = self._reception
            if reception is not None:
                reception.on_answer(request)  # nobody will: ask anew when something comes
            return
        self._resends += 1
        answer.add_done_callback(lambda done: self._resend_answered(request, done))

    def _resend_answered(self, request: ResendRequest, answer: Future[bytes]) -> None:
        error = answer.exception()
        reception = self._reception
        if reception is None:
            return
        reception.on_answer(request)
        if isinstance(error, BoardError) and error.code == ErrorCode.WINDOW_GONE:
            if reception.on_gone(request.window):
                self._lost_windows.add([request.window])
            self._grant(reception)  # credit must not wait for a window that never comes
