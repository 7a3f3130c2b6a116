"""A board that records what a program takes from it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from focalloop.firmware_sim.window import Window
from focalloop.host.board.client import Board
from focalloop.host.board.driver import Driver
from focalloop.host.recording.recorder import Recorder


class RecordedBoard(Board):
    """A `Board` whose windows of `stream` and `capture` are recorded too.

    The recording begins with the first window; what is taken in darkness or even light for a
    calibration is not part of it.
    """

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._path: Path | None = None
        self._recorder: Recorder | None = None

    def record_to(self, path: Path) -> None:
        """Record to this file from the next window on."""
        self._path = path

    def stream(self, credit: int = 8, count: int | None = None) -> Generator[Window, None, None]:
        """Yield and record windows, as `Board.stream` does."""
        if self._recorder is not None:
            self._recorder.new_run()
        with closing(super().stream(credit, count)) as windows:
            for window in windows:
                if self._recorder is None and self._path is not None:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                    self._recorder = Recorder(self._path, self.info)
                    self._recorder.start()
                if self._recorder is not None:
                    self._recorder.add(window)
                yield window

    def end_recording(self, *, keep: bool) -> Path | None:
        """Finish the recording, and remove it unless it is to be kept; return what is kept."""
        recorder, self._recorder, self._path = self._recorder, None, None
        if recorder is None:
            return None
        recorder.stop()
        if keep:
            return recorder.path
        recorder.path.unlink(missing_ok=True)
        return None
