"""Recording a live session: start, stop and notes from any thread, windows from the board's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Literal

from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.window import Window
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError, RecordingError
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.board_report import link_state
from focalloop.host.live.state import DiskState
from focalloop.host.recording.recorder import Recorder, RecorderState
from focalloop.host.recording.store import RecordingStore
from focalloop.host.recording.writer import DEFAULT_FLOOR_BYTES

_STATE_S = 1.0
"""How often the counters of the link are recorded."""

_DISK_S = 2.0
"""How often to look at the free disk."""


class RecordingDeskError(RecordingError):
    """What was asked for does not fit what is being recorded."""


class RecordingDesk:
    """At most one recording of a session at a time.

    Parameters
    ----------
    store : RecordingStore
        Where recordings are kept.
    say : callable
        Takes a sentence for the user and its level.
    """

    def __init__(
        self,
        store: RecordingStore,
        say: Callable[[str, Literal["info", "warning", "error"]], None],
    ) -> None:
        self.store = store
        self._say = say
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._board: Board | None = None
        self._state_due_s = self._disk_due_s = 0.0
        self._disk = DiskState(0, DEFAULT_FLOOR_BYTES)
        self._noise: NoiseProfile | None = None
        self._correction: BoardCorrection | None = None

    def state(self) -> RecorderState | None:
        """Return how far the present or the last recording is; None before the first."""
        recorder = self._recorder
        return None if recorder is None else recorder.state()

    def disk(self) -> DiskState:
        """Return how much room there is for recordings, as it was at most `_DISK_S` ago."""
        now_s = time.monotonic()
        if now_s >= self._disk_due_s:
            self._disk_due_s = now_s + _DISK_S
            self._disk = DiskState(self.store.free_bytes, DEFAULT_FLOOR_BYTES)
        return self._disk

    def attach(self, board: Board, correction: BoardCorrection, noise: NoiseProfile | None) -> None:
        """Record the windows of this board from now on; each stream of it begins with this."""
        with self._lock:
            self._board, self._correction, self._noise = board, correction, noise
            if self._recorder is not None:
                self._recorder.new_run()
                self._describe(self._recorder)

    def detach(self) -> None:
        """Note that there is no board any more; a recording goes on, and waits for the next."""
        self._board = None

    def start(self, note: str = "", *, pictures: bool = False) -> RecorderState:
        """Begin a recording.

        Raises
        ------
        RecordingDeskError
            One is going on.
        BoardLostError
            No board is connected.
        RecordingError
            The file cannot be made, or there is no room for it.
        """
        with self._lock:
            if self._recorder is not None and self._recorder.state().recording:
                raise RecordingDeskError("a recording is going on already: stop it first")
            board = self._board
            if board is None:
                raise BoardLostError("no board is connected: try again in a moment")
            self._make_room()
            recorder = Recorder(
                self.store.new(),
                board.info,
                floor_bytes=self.store.floor_bytes,
                make_room=self._make_room,
                pictures=pictures,
                on_problem=lambda text: self._say(text, "error"),
            )
            recorder.start()
            if note:
                recorder.add_note(note)
            self._describe(recorder)
            self._recorder = recorder
        self._say("The windows are being recorded.", "info")
        return recorder.state()

    def stop(self) -> RecorderState:
        """End the recording, finish its file and return how it ended.

        Raises
        ------
        RecordingDeskError
            Nothing is being recorded.
        """
        state = self._going().stop()
        if not state.problem:
            self._say(f"Recorded {state.windows} windows, {state.bytes:,} bytes.", "info")
        return state

    def note(self, text: str) -> None:
        """Add a note to the recording; errors as of `stop`."""
        self._going().add_note(text)

    def window(self, window: Window) -> bool:
        """Record a window, and return whether anything is recorded.

        Called in the board thread, and quick.
        """
        recorder = self._recorder
        if recorder is None or not recorder.state().recording:
            return False
        recorder.add(window)
        now_s = time.monotonic()
        if now_s >= self._state_due_s and self._board is not None:
            self._state_due_s = now_s + _STATE_S
            recorder.add_state({"link": asdict(link_state(self._board))})
        return True

    def event(self, text: str, level: str, about: str) -> None:
        """Record a sentence for the user, if anything is recorded."""
        if self._recorder is not None:
            self._recorder.add_event(text, level, about)

    def close(self) -> None:
        """Finish what is being recorded."""
        if self._recorder is not None:
            self._recorder.stop()

    def _make_room(self) -> None:
        if removed := self.store.make_room():
            what = f"{len(removed)} recordings were" if len(removed) > 1 else "A recording was"
            self._say(f"{what} removed, the oldest ones, to keep to the quota.", "warning")

    def _going(self) -> Recorder:
        recorder = self._recorder
        if recorder is None or not recorder.state().recording:
            raise RecordingDeskError("nothing is being recorded: start a recording first")
        return recorder

    def _describe(self, recorder: Recorder) -> None:
        if self._noise is not None:
            recorder.add_profile(self._noise)
        if self._correction is not None and self._correction.correction is not None:
            pattern = self._correction.correction.pattern
            recorder.add_correction(self._correction.by, pattern)
