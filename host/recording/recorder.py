"""A recorder: a recording that is written by a thread of its own, so that nothing waits for a disk.

What is recorded goes through a bounded queue. A window that has no room in it is not recorded; how
many these are is, as a gap.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.errors import RecordingError
from focalloop.host.recording.messages import ANYTHING
from focalloop.host.recording.writer import DEFAULT_FLOOR_BYTES, RecordingWriter

QUEUE_BYTES = 64 << 20
"""Readouts that may wait for the disk: 16 s of windows of 256x256 pixels at 15 per second."""

_log = logging.getLogger("focalloop.recording")
_QUEUE_ITEMS = 10_000
_POLL_S = 0.25
"""How often a chunk without a new message is looked at, and the queue without a notice."""


@dataclass(frozen=True)
class RecorderState:
    """How far a recording is.

    Attributes
    ----------
    name : str
        Name of the file without its suffix; in a store, the id of the recording.
    recording : bool
        Whether it goes on.
    windows, gaps, bytes : int
        Windows recorded, windows missing between them, bytes on the disk.
    seconds : float
        Since its start, or from its start to its end.
    queued_bytes : int
        Readouts that wait for the disk.
    problem : str
        Why it ended by itself; empty if it did not.
    """

    name: str
    recording: bool
    windows: int
    gaps: int
    bytes: int
    seconds: float
    queued_bytes: int
    problem: str


class Recorder:
    """Records windows, events and notes from any thread, and never makes it wait.

    Use it as a context, or call `start` and `stop`.

    Parameters
    ----------
    path : str or Path
        File to make, ``NAME.mcap``.
    board : HelloAnswer
        The board that is recorded.
    queue_bytes : int, optional
        Readouts that may wait for the disk.
    floor_bytes, make_room, pictures
        As for `RecordingWriter`.
    on_problem : callable, optional
        Takes a sentence when the recording ends by itself; called in the recorder's thread.
    """

    def __init__(
        self,
        path: str | Path,
        board: HelloAnswer,
        *,
        queue_bytes: int = QUEUE_BYTES,
        floor_bytes: int = DEFAULT_FLOOR_BYTES,
        make_room: Callable[[], object] = lambda: None,
        pictures: bool = False,
        on_problem: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._writer = RecordingWriter(
            path, board, floor_bytes=floor_bytes, make_room=make_room, pictures=pictures
        )
        self._queue_bytes = queue_bytes
        self._on_problem = on_problem
        self._changed = threading.Condition()
        self._queue: deque[tuple[int, Callable[[], None]]] = deque()
        self._queued_bytes = 0
        self._overflow = 0
        self._ending = self._ended = False
        self._problem = ""
        self._began_s = self._ended_s = 0.0
        self._thread = threading.Thread(target=self._run, name="focalloop-recorder")

    @property
    def path(self) -> Path:
        """The file, once it is finished."""
        return self._writer.path

    def start(self) -> None:
        """Make the file and start writing.

        Raises
        ------
        RecordingError
            The file exists, is being written, or cannot be made.
        """
        self._writer.__enter__()
        self._began_s = time.monotonic()
        self._thread.start()

    def stop(self) -> RecorderState:
        """Write what is queued, finish the file and return how it ended."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        return self.state()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def add(self, window: Window, *, light: float | None = None) -> None:
        """Record a window; if there is no room for it in the queue, that it is missing."""
        record = partial(self._writer.add, window, light=light, received_s=time.monotonic())
        self._put(window.codes.nbytes, record)

    def new_run(self) -> None:
        """Expect any window next, as at the start of another stream."""
        self._put(0, self._writer.new_run)

    def add_event(self, text: str, level: str = "info", about: str = ANYTHING) -> None:
        """Record what happened, of level debug, info, warning or error."""
        self._put(0, partial(self._writer.add_event, text, level, time.monotonic(), about))

    def add_note(self, text: str) -> None:
        """Record what a person has to say."""
        self._put(0, partial(self._writer.add_note, text, time.monotonic()))

    def add_state(self, state: dict[str, Any]) -> None:
        """Record figures of the board, the link or the session."""
        self._put(0, partial(self._writer.add_state, state, time.monotonic()))

    def add_profile(self, profile: NoiseProfile) -> None:
        """Record the noise of the board from here on."""
        self._put(0, partial(self._writer.add_profile, profile))

    def add_correction(self, by: str, pattern: FixedPattern | None) -> None:
        """Record what corrects the reads from here on; the readouts stay as they came."""
        self._put(0, partial(self._writer.add_correction, by, pattern))

    def state(self) -> RecorderState:
        """Return how far it is."""
        with self._changed:
            overflow, ended, ended_s = self._overflow, self._ended, self._ended_s
        writer = self._writer
        until_s = ended_s if ended else time.monotonic()
        return RecorderState(
            name=writer.path.stem,
            recording=not ended,
            windows=writer.windows,
            gaps=writer.gaps + overflow,
            bytes=writer.bytes,
            seconds=until_s - self._began_s if self._began_s else 0.0,
            queued_bytes=self._queued_bytes,
            problem=self._problem,
        )

    def _put(self, size: int, record: Callable[[], None]) -> None:
        with self._changed:
            if self._ending or self._ended:
                return
            full = self._queued_bytes + size > self._queue_bytes and self._queue
            if full or len(self._queue) >= _QUEUE_ITEMS:
                self._overflow += size > 0
                return
            if self._overflow:
                self._queue.append((0, partial(self._writer.add_gap, self._overflow)))
                self._overflow = 0
            self._queue.append((size, record))
            self._queued_bytes += size
            self._changed.notify()

    def _run(self) -> None:
        try:
            while (record := self._next()) is not None:
                record()
            self._writer.finish()
        except Exception as error:
            if not isinstance(error, RecordingError):
                _log.exception("a recording failed")
            self._problem = str(error) or type(error).__name__
            self._close()
            self._on_problem(self._problem)
        finally:
            with self._changed:
                self._ended, self._ended_s = True, time.monotonic()
                self._queue.clear()
                self._queued_bytes = 0

    def _close(self) -> None:
        """Finish a file in which nothing more can be recorded."""
        try:
            self._writer.finish()
        except RecordingError as error:
            self._problem = str(error)

    def _next(self) -> Callable[[], None] | None:
        """Return what is to be recorded next; None at the end."""
        with self._changed:
            if not self._queue and not self._ending:
                self._changed.wait(_POLL_S)
            if self._queue:
                size, record = self._queue.popleft()
                self._queued_bytes -= size
                return record
            if not self._ending:
                return self._writer.end_chunk_when_due
            if self._overflow:
                gap, self._overflow = self._overflow, 0
                return partial(self._writer.add_gap, gap)
            return None
