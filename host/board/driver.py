"""What this program knows of one board, kept true while the board comes and goes.

`focalloop.host.board.client.Board` is the public interface. The driver behind it keeps what must
survive a loss of the board: its identity, its map, its clock and the length of its frames.
`focalloop.host.board.streaming` handles windows under way.

Threads. Methods without ``on_`` are called from any of the user's threads. The connection calls
``on_hello`` and ``on_lost`` in its keeper, and the link calls ``on_frame``, ``on_status`` and
``on_tick`` in its reader and writer, under its lock. One lock of the driver's own keeps uploads
apart.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from numbers import Integral

from numpy.typing import ArrayLike

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import (
    GRID_OVERHEAD,
    LARGE_MAX_PAYLOAD,
    NO_HASH,
    ConfigureRequest,
    ErrorCode,
    Fragment,
    Frame,
    GridRequest,
    HelloAnswer,
    Log,
    LogLevel,
    MessageType,
    SceneRequest,
    StatusAnswer,
    TimeSyncAnswer,
    TimeSyncRequest,
    WindowDescriptor,
    WindowNumber,
    WireError,
)
from focalloop.host.board.clock import MAX_UPTIME_US, BoardClock
from focalloop.host.board.known_maps import KnownMaps
from focalloop.host.board.lost_windows import UNKNOWN_GRID
from focalloop.host.board.reception import MAX_WINDOW_NUMBER, Readout
from focalloop.host.board.scene_fetcher import SceneFetcher
from focalloop.host.board.stats import LinkStats
from focalloop.host.board.streaming import StreamControl
from focalloop.host.board.upload import Progress, fitted, fitted_adaptive, upload
from focalloop.host.errors import BoardError, BoardLostError, FaultyBoardError, UnknownMapError
from focalloop.host.link.answers import unpacked
from focalloop.host.link.connection import MAX_LOSSES, Connection, ConnectionListener
from focalloop.host.link.frame_size import FrameSize
from focalloop.host.link.hello import check_hello
from focalloop.host.link.io_threads import Link

CLOCK_INTERVAL_S = 5.0
"""Time between two exchanges of clocks."""

MAX_UPLOAD_ATTEMPTS = 3
"""Times that an upload is begun before a board's refusal is final."""


class Driver(ConnectionListener):
    """One board's state on this side of the line.

    Parameters
    ----------
    connection : Connection
        The way to the board; opened with this driver as its listener.
    tell : callable
        Takes sentences for the user.
    on_log : callable
        Takes severity and text of the board's own log.

    Attributes
    ----------
    connection : Connection
        The way to the board.
    info : HelloAnswer
        What the board is.
    clock : BoardClock
        Its clock.
    maps : KnownMaps
        Maps under which its windows can be read.
    running : RatioMap, AdaptiveMap or None
        Map that it runs for this program: the one uploaded last, or one found on the board.
    """

    info: HelloAnswer

    def __init__(
        self,
        connection: Connection,
        tell: Callable[[str], None],
        on_log: Callable[[LogLevel, str], None],
    ) -> None:
        self.connection = connection
        self.clock = BoardClock()
        self.running: RatioMap | AdaptiveMap | None = None
        self._tell = tell
        self._on_log = on_log
        self._streams = StreamControl(connection, tell)
        self._scenes = SceneFetcher(connection)
        self.maps = KnownMaps()
        self._frame_size = FrameSize(LARGE_MAX_PAYLOAD)
        self._upload_lock = threading.Lock()
        self._clock_due_s = 0.0
        self._resetting = False  # what follows from that is no news to the user
        self._boot_id: int | None = None  # of the boot that is as this program left it
        self._greeted: Link | None = None  # over which HELLO was said last

    def close(self) -> None:
        """Stop what the board does for this program, and close the port."""
        self._streams.stop()
        self.connection.close()

    @property
    def adaptive_map(self) -> AdaptiveMap | None:
        """The adaptive map that the board runs, if it runs one."""
        running = self.running
        return running if isinstance(running, AdaptiveMap) else None

    @property
    def ratio_map(self) -> RatioMap | None:
        """The ratio map that the board runs; of an adaptive map, its resting map."""
        running = self.running
        return running.resting if isinstance(running, AdaptiveMap) else running

    @property
    def stats(self) -> LinkStats:
        """Counters over every opening of the port."""
        streams = self._streams
        return LinkStats(
            **self.connection.counters(),
            resends=streams.resends,
            windows=streams.windows,
            lost=streams.lost_windows.count,
            lost_windows=streams.lost_windows.numbers,
            reconnects=self.connection.reconnects,
            goodput_bytes_per_s=streams.goodput.per_s(time.monotonic()),
            frame_bytes=self._frame_size.wanted,
            round_trip_s=self.connection.round_trip_s,
            clock_offset_s=self.clock.offset_s,
        )

    def status(self) -> StatusAnswer:
        """Ask the board for its status."""
        body = self.connection.request(MessageType.STATUS)
        return unpacked(StatusAnswer, MessageType.STATUS, body)

    def configure(self, request: ConfigureRequest) -> HelloAnswer:
        """Change settings of an emulated board; return what it is now."""
        body = self.connection.request(MessageType.CONFIGURE, request.pack(), slow=True)
        hello = unpacked(HelloAnswer, MessageType.CONFIGURE, body)
        check_hello(hello, self.connection.url)
        if _identity(hello) != _identity(self.info):
            raise FaultyBoardError(
                f"the board at {self.connection.url} answers CONFIGURE as if it were another board:"
                " its firmware is faulty"
            )
        self.info = hello
        return hello

    def reset(self) -> None:
        """Restart the board and wait until it is as it was."""
        link = self.connection.link()
        self._resetting = True  # before the request: the loss may be noticed before its answer
        try:
            link.request(MessageType.RESET)
            link.fail("it was told to reset")
            self.connection.await_failure(link)
            self.connection.link()
        finally:
            self._resetting = False

    def upload(self, new: RatioMap, progress: Progress | None) -> RatioMap:
        """Make the board run a ratio map, across losses of the link; return it as it runs."""
        with self._upload_lock:
            wanted = fitted(new, self.info)
            self.maps.add(wanted)
            self._upload(wanted, progress)
            self._frame_size.need(0)
            return wanted

    def upload_adaptive(self, new: AdaptiveMap, progress: Progress | None) -> AdaptiveMap:
        """Make the board run an adaptive map, as `upload` does, and frames hold its grids."""
        with self._upload_lock:
            wanted = fitted_adaptive(new, self.info)
            self.maps.add(wanted.resting)
            if self._frame_size.need(GRID_OVERHEAD + math.prod(wanted.grid_shape)):
                self._agree_on_frame_size()
                self.connection.await_agreement()
            self._upload(wanted, progress)
            return wanted

    def set_grid(self, window: int, grid: ArrayLike | None) -> int:
        """Compose the maps of windows from `window` on; return the next window to be begun."""
        adaptive_map = self.adaptive_map
        if adaptive_map is None:
            raise UnknownMapError("the board runs no adaptive map: upload one, then set its grids")
        if not (isinstance(window, Integral) and 0 <= window <= MAX_WINDOW_NUMBER):
            raise RatioMapError(
                f"a grid applies from a window numbered 0 to {MAX_WINDOW_NUMBER} on, not {window!r}"
            )
        packed = b"" if grid is None else self.maps.add_grid(adaptive_map, grid)
        # Over the link in use: after a loss of the board its windows may have other numbers.
        request = GridRequest(window, packed)
        answer = self.connection.submit(MessageType.GRID, request.pack())
        if answer is None:
            raise BoardLostError(
                f"the board at {self.connection.url} is lost: set the grid again once it is back"
            )
        return unpacked(WindowNumber, MessageType.GRID, answer.result()).window

    def lose(self, window: int) -> None:
        """Note that a window arrived, but under a grid that this program does not know."""
        self._streams.lost_windows.add([window], UNKNOWN_GRID)

    def _upload(self, wanted: RatioMap | AdaptiveMap, progress: Progress | None) -> None:
        refusals = losses = furthest = 0

        def advance(done: int, total: int) -> None:
            nonlocal losses, furthest
            if done > furthest:
                losses, furthest = 0, done
            if progress is not None:
                progress(done, total)

        while True:
            link = self.connection.link()
            try:
                self._upload_over(link, wanted, advance)
            except BoardError as error:
                # A reset during the upload, or damage that a CRC-32 missed: begin again.
                again = error.code in (ErrorCode.UPLOAD_NOT_BEGUN, ErrorCode.HASH_MISMATCH)
                refusals += 1
                if not again or refusals == MAX_UPLOAD_ATTEMPTS:
                    raise
            except BoardLostError:
                losses += 1
                if losses == MAX_LOSSES:
                    raise
                # Where the link still works, shorter chunks may come through.
                if not self.connection.await_failure(link):
                    if not self._frame_size.shorten():
                        raise
                    self._agree_on_frame_size()
                    self.connection.await_agreement()
            else:
                self.running = wanted
                return

    def stream(self, credit: int, count: int | None) -> Generator[Readout, None, None]:
        """Readouts of a stream; see `StreamControl.stream`."""
        active = self.status().map_hash
        if active == NO_HASH:
            raise UnknownMapError("the board has no ratio map yet: upload one")
        if self.running is None or self.running.hash() != active:
            ratio_map, _ = self.maps.find(active, self.info)
            if self.running is None:
                self.running = ratio_map  # a board that loses it during the stream gets it again
        return self._streams.stream(self.info, credit, count)

    def capture(
        self, type_: MessageType, body: bytes, count: int
    ) -> Generator[Readout, None, None]:
        """Readouts of a counted capture; see `StreamControl.capture`."""
        return self._streams.capture(self.info, type_, body, count)

    def scene(self, request: SceneRequest) -> bytearray:
        """Fetch the scene behind a window that the board holds."""
        slots = len(range(request.first_slot, self.info.slots, max(1, request.step)))
        return self._scenes.fetch(request, slots * self.info.height * self.info.width)

    def time_sync(self) -> float:
        """Compare clocks; return board time minus ``time.monotonic`` in seconds."""
        sent_s = time.monotonic()
        answer = self.connection.request(MessageType.TIME_SYNC, _time_sync(sent_s))
        return self._clock_answered(sent_s, answer)

    def on_hello(self, link: Link, hello: HelloAnswer) -> None:
        """Bring a board that just answered HELLO to where this program left it."""
        new_link = link is not self._greeted
        self._greeted = link
        first_time = self._boot_id is None
        rebooted = hello.boot_id != self._boot_id
        if not first_time and (hello.shape, hello.serial) != (self.info.shape, self.info.serial):
            raise BoardLostError(f"another board, {hello.name} {hello.serial}, is there now")
        self.info = hello
        self._frame_size.begin(*self._frame_counts())
        if rebooted:
            self.clock = BoardClock()
            self._scenes.on_reset()
            self._frame_size.limit(min(LARGE_MAX_PAYLOAD, hello.max_payload))
        if rebooted or new_link:
            for _ in range(3):
                self._sync_clock(link).result()
            if self.running is not None:
                self._upload_over(link, self.running, None)
        self._streams.resume(link, rebooted)
        if not first_time and (rebooted or new_link) and not self._resetting:
            what = "was reset; it has its ratio map again" if rebooted else "is back"
            self._tell(f"the board at {self.connection.url} {what}")
        self._boot_id = hello.boot_id  # last: a loss of the board before this repeats all of it

    def on_lost(self, reason: str) -> None:
        """Tell the user, unless the board was told to restart."""
        if self._resetting:
            return
        self._tell(f"lost the board at {self.connection.url}: {reason}; trying to reach it again")

    def on_frame(self, frame: Frame, now_s: float) -> None:
        """Pass on what the board sent unasked."""
        with suppress(WireError):  # a malformed body is dropped; the gap will show
            match frame.type:
                case MessageType.READOUT | MessageType.WINDOW:
                    if self._boot_id is not None:  # before HELLO: the stream of an earlier host
                        self._streams.on_frame(frame, self.info, now_s)
                        if frame.type == MessageType.WINDOW:
                            self._scenes.on_window(WindowDescriptor.unpack(frame.body).window)
                case MessageType.SCENE_DATA:
                    self._streams.on_data(now_s)
                    self._scenes.on_fragment(Fragment.unpack(frame.body))
                case MessageType.LOG:
                    line = Log.unpack(frame.body)
                    self._on_log(line.level, line.text)

    def on_status(self, body: bytes) -> None:
        """Look whether the board is still the same, and how far it is."""
        with suppress(WireError):
            status = StatusAnswer.unpack(body)
            if status.boot_id != self.info.boot_id:
                self.connection.give_up_link("it was reset")
                return
            self._streams.on_next_window(status.next_window, time.monotonic())

    def on_tick(self, now_s: float) -> None:
        """Look after streams, the clock and the length of frames."""
        self._streams.on_tick(now_s)
        if self.connection.state != "connected":
            return
        if now_s >= self._clock_due_s:
            self._sync_clock(self.connection.link())
        # Not during an upload: its chunks have the length that was agreed on when it began.
        if not self._upload_lock.locked() and self._frame_size.judge(*self._frame_counts()):
            self._agree_on_frame_size()

    def _upload_over(
        self, link: Link, wanted: RatioMap | AdaptiveMap, progress: Progress | None
    ) -> None:
        status = unpacked(StatusAnswer, MessageType.STATUS, link.request(MessageType.STATUS))
        if status.map_hash != wanted.hash():
            upload(link.submit, wanted, self.info, progress)

    def _frame_counts(self) -> tuple[int, int, int]:
        counters = self.connection.counters()
        return counters["bytes_in"], counters["frames_good"], counters["frames_bad"]

    def _agree_on_frame_size(self) -> None:
        wanted = self._frame_size.wanted
        self._tell(f"the line to {self.connection.url} now carries frames of up to {wanted} bytes")
        self.connection.agree(wanted)

    def _sync_clock(self, link: Link) -> Future[bytes]:
        sent_s = time.monotonic()
        self._clock_due_s = sent_s + CLOCK_INTERVAL_S
        return link.submit(
            MessageType.TIME_SYNC,
            _time_sync(sent_s),
            lambda body: self._clock_answered(sent_s, body),
        )

    def _clock_answered(self, sent_s: float, body: bytes) -> float:
        board_us = unpacked(TimeSyncAnswer, MessageType.TIME_SYNC, body).board_us
        if board_us > MAX_UPTIME_US:
            raise FaultyBoardError(
                f"the board says that it has been running for {board_us / 1e6:g} s: its clock is "
                "faulty"
            )
        return self.clock.exchanged(sent_s, board_us * 1e-6, time.monotonic())


def _identity(hello: HelloAnswer) -> tuple[object, ...]:
    """Return what of HELLO stays as it is while a board runs."""
    return hello.boot_id, hello.shape, hello.slots, hello.level_set, hello.serial


def _time_sync(sent_s: float) -> bytes:
    return TimeSyncRequest(int(sent_s * 1e6)).pack()
