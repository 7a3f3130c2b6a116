"""Calibrates the board of a live session, with the fit refined while the page watches.

`Calibrator.start` submits the work to `BoardTasks`, so captures and fits run in the board thread
while the stream is paused; every other method may be called from any thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from focalloop.firmware_sim.default_calibration import DEFAULT_READS, Step
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_capture import take
from focalloop.host.captures.calibration_design import Design, plan
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import BoardLostError, sentence
from focalloop.host.live.board_tasks import BoardTasks
from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState, fit_state
from focalloop.host.live.state import Phase
from focalloop.host.live.telemetry import Telemetry

if TYPE_CHECKING:
    from focalloop.calibration import Calibration

_log = logging.getLogger("focalloop.live")

MAX_READS = 32
"""Bounds the time between two checks for cancellation to two seconds of windows."""

_TRAIL = ("s_ss", "s_r")


class CalibratorError(FocalloopError):
    """The request is not possible in the present state of the calibration."""


class _CancelledError(FocalloopError):
    """The calibration was cancelled."""


class Calibrator:
    """Runs one calibration of the session's board at a time, and keeps the last result.

    Parameters
    ----------
    tasks : BoardTasks
        Runs the calibration while the stream is paused.
    telemetry : Telemetry
        Records progress and messages.
    board : callable
        Returns the session's board; None while none is connected.
    """

    def __init__(
        self, tasks: BoardTasks, telemetry: Telemetry, board: Callable[[], Board | None]
    ) -> None:
        self._tasks, self._telemetry, self._board = tasks, telemetry, board
        self._lock = threading.Lock()
        self._state = CalibrationState()
        self._result: Calibration | None = None
        self._cancelled = threading.Event()
        self._lit = threading.Event()

    def state(self) -> CalibrationState:
        """Return a snapshot of the calibration."""
        state, board = self._state, self._board()
        simulated = board is not None and Feature.EMULATOR in board.info.features
        return replace(state, can_apply=self._result is not None and simulated)

    @property
    def result(self) -> Calibration | None:
        """Result of the last calibration; None until one is done."""
        return self._result

    def start(self, reads: int = DEFAULT_READS) -> None:
        """Start a calibration as soon as the stream has stopped; returns at once.

        Parameters
        ----------
        reads : int, optional
            Reads per pixel at each level, 2 to `MAX_READS`.

        Raises
        ------
        CalibratorError
            A calibration is in progress.
        CaptureError
            The number of reads is out of range.
        BoardLostError
            No board is connected.
        """
        board = self._connected()
        by_itself = Feature.CALIBRATION in board.info.features
        steps = plan(board.info, Design.SPANS if by_itself else Design.TILED, reads)
        with self._lock:
            if self._state.running:
                raise CalibratorError("a calibration is already running: wait for it or cancel it")
            self._cancelled.clear()
            self._result = None
            self._state = CalibrationState(
                CalibrationPhase.RUNNING,
                activity="stopping the stream",
                windows_total=sum(step.windows for step in steps),
            )
        self._tasks.submit(lambda board: self._run(board, steps)).add_done_callback(self._ended)

    def proceed(self) -> None:
        """Continue: the light is as requested.

        Raises
        ------
        CalibratorError
            The calibration is not waiting for a change of light.
        """
        if self._state.phase is not CalibrationPhase.LIGHT:
            raise CalibratorError("no calibration is waiting for a change of light")
        self._lit.set()

    def cancel(self) -> None:
        """End the calibration in progress without a result; does nothing if there is none."""
        self._cancelled.set()
        self._lit.set()

    def apply(self) -> None:
        """Configure the emulated board with the result; returns once it uses it.

        Raises
        ------
        CalibratorError
            There is no result, or the board is real, so its noise cannot be set.
        BoardError, BoardLostError
            The board refused it or is gone.
        """
        board, result = self._connected(), self._result
        if result is None:
            raise CalibratorError("there is no calibration to apply: run one first")
        if Feature.EMULATOR not in board.info.features:
            raise CalibratorError(
                "the noise of a real board cannot be set: save the profile and pass it to "
                "`focalloop emulate --profile`"
            )
        self._tasks.submit(lambda board: self._apply(board, result)).result()

    def restore(self, board: Board) -> None:
        """Give an applied profile to a board that has just been opened or has come back."""
        if self._state.applied and self._result is not None:
            board.configure(profile=self._result.profile.as_dict())

    def _connected(self) -> Board:
        board = self._board()
        if board is None:
            raise BoardLostError("no board is connected: try again in a moment")
        return board

    def _apply(self, board: Board, result: Calibration) -> None:
        board.configure(profile=result.profile.as_dict())
        with self._lock:
            if self._result is result:
                self._state = replace(self._state, applied=True)
        self._telemetry.log("The emulated board now uses the calibrated noise profile.")

    # From here on in the board thread.

    def _run(self, board: Board, steps: Sequence[Step]) -> None:
        by_hand = Feature.EMULATOR not in board.info.features
        light: float | None = None
        captures: list[Capture] = []
        calibration: Calibration | None = None
        with scratch_folder() as folder:
            for step in steps:
                if by_hand and step.light != light:
                    self._await_light(step.light)
                light = step.light
                self._advance(_describe(step))
                path = folder / _describe(step)
                with CaptureWriter(path, board.info) as writer:
                    take(
                        board,
                        [step],
                        writer,
                        lights_known=not by_hand,
                        set_light=(lambda _: None) if by_hand else None,
                    )
                captures.append(Capture.load(path))
                self._advance("fitting", more_windows=step.windows)
                calibration = self._fit(captures, final=step is steps[-1])
        with self._lock:
            self._result = calibration

    def _await_light(self, light: float) -> None:
        self._lit.clear()
        self._advance(
            f"illuminate the sensor evenly, at about {100 * light:.0f} % of full scale per window"
            if light
            else "cover the sensor so that no light reaches it",
            CalibrationPhase.LIGHT,
        )
        self._lit.wait()

    def _advance(
        self,
        activity: str,
        phase: CalibrationPhase = CalibrationPhase.RUNNING,
        more_windows: int = 0,
    ) -> None:
        """Show the next activity; raises if the calibration was cancelled."""
        if self._cancelled.is_set():
            raise _CancelledError("cancelled")
        state = self._state
        windows = state.windows + more_windows
        self._state = replace(state, phase=phase, activity=activity, windows=windows)
        self._telemetry.enter(
            Phase.CALIBRATING, f"calibrating: {activity}", windows / state.windows_total
        )

    def _fit(self, captures: list[Capture], *, final: bool) -> Calibration | None:
        """Fit the captures so far; None while they are too few, an error if they remain so."""
        # These load SciPy, which takes a second.
        from focalloop.calibration import CalibrationError, calibrate
        from focalloop.host.captures.calibration_readings import readings_of

        readings = readings_of(captures)
        origin = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": f"focalloop {version('focalloop')}",
            "source": "live preview",
            "board": readings.origin["board"],
        }
        try:
            calibration = calibrate(replace(readings, origin=origin))
        except CalibrationError:
            if final:
                raise
            return None
        state = self._state
        fit = fit_state(calibration, state.windows)
        mark = {name: fit.estimates[name] for name in _TRAIL if name in fit.estimates}
        self._state = replace(state, fit=fit, trail=(*state.trail, mark))
        return calibration

    def _ended(self, done: Future[None]) -> None:
        match done.exception():
            case None:
                phase, error = CalibrationPhase.DONE, ""
                self._telemetry.log("The board is calibrated.")
            case _CancelledError():
                phase, error = CalibrationPhase.CANCELLED, ""
                self._telemetry.log("The calibration was cancelled.")
            case failure:
                if not isinstance(failure, FocalloopError):
                    _log.error("a calibration failed", exc_info=failure)
                phase, error = CalibrationPhase.FAILED, sentence(failure)
                self._telemetry.log(f"The calibration failed: {error}", "warning")
        self._state = replace(self._state, phase=phase, activity="", error=error)


def _describe(step: Step) -> str:
    if step.level is None:
        spans = "all spans"
    else:
        spans = f"{step.level} {'read' if step.level == 1 else 'reads'} per window"
    return f"{'dark' if step.light == 0 else f'light {step.light:.3f}'}, {spans}"
