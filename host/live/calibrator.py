"""Calibrates the board of a live session, with the fit refined while the page watches.

`Calibrator.start` submits the work to `BoardTasks`, so captures and fits run in the board thread
while the stream is paused; every other method may be called from any thread. Everything that a page
shows is in the state, so that every page shows the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from focalloop.firmware_sim.default_calibration import DEFAULT_READS
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError, sentence
from focalloop.host.live.applied_calibration import AppliedCalibration, BoardMemory, correction_by
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.board_tasks import BoardTasks, Task
from focalloop.host.live.calibration_run import CalibrationRun, lit_by_hand, plan_for, steps_for
from focalloop.host.live.calibration_state import (
    CalibrationPhase,
    CalibrationState,
    MarkState,
    PlanState,
    described,
    fit_state,
    shown_steps,
)
from focalloop.host.live.light_meter import LightMeter, LightState
from focalloop.host.live.state import Phase
from focalloop.host.live.telemetry import Telemetry

if TYPE_CHECKING:
    from focalloop.calibration import Calibration

_log = logging.getLogger("focalloop.live")

MAX_READS = 32
"""Bounds the time between two checks for cancellation to two seconds of windows."""

_LOOK_S = 0.3
"""Time between two looks at the light while a person sets it."""

_TRAIL = ("s_ss", "s_r")
_STOPPED = (CalibrationPhase.LOST, CalibrationPhase.HALTED)


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
    memory : BoardMemory, optional
        Keeps results that are applied; by default nothing is kept.
    """

    def __init__(
        self,
        tasks: BoardTasks,
        telemetry: Telemetry,
        board: Callable[[], Board | None],
        memory: BoardMemory | None = None,
    ) -> None:
        self._tasks, self._telemetry, self._board = tasks, telemetry, board
        self._applied = AppliedCalibration(memory)
        self._lock = threading.RLock()
        self._settling = threading.Lock()  # held while a result is applied or taken back
        self._state = CalibrationState()
        self._run: CalibrationRun | None = None
        self._meter = LightMeter()
        self._result: Calibration | None = None
        self._offered: BoardCorrection | None = None
        self._cancelled = threading.Event()
        self._lit = threading.Event()

    def state(self) -> CalibrationState:
        """Return a snapshot of the calibration."""
        state, run = self._state, self._run
        left = run.seconds_left if run is not None and state.running else None
        return replace(state, seconds_left=left)

    @property
    def result(self) -> Calibration | None:
        """Result of the last calibration; None until one is done, and once it is discarded."""
        return self._result

    @property
    def offered(self) -> BoardCorrection | None:
        """What `apply` would correct the reads by, with the noise found; None without a result."""
        return self._offered

    def applied_to(self, board: HelloAnswer) -> BoardCorrection | None:
        """Return what was applied to a board in this session; None if nothing was."""
        return self._applied.to(board)

    def light(self) -> LightState | None:
        """Return the light on the sensor while a person sets it; None where nothing is known."""
        state, run = self._state, self._run
        if run is None or state.phase is not CalibrationPhase.LIGHT:
            return None
        return self._meter.state(dark=run.steps[run.taken].light == 0)

    def plan(self, reads: int = DEFAULT_READS) -> PlanState:
        """Return what would be captured; raises as `start` does."""
        board = self._connected().info
        return plan_for(board, reads, self._applied.keeps(board))

    def start(self, reads: int = DEFAULT_READS, turn: int | None = None) -> None:
        """Start a calibration as soon as the stream has stopped; returns at once.

        Parameters
        ----------
        reads : int, optional
            Reads per pixel at each level, 2 to `MAX_READS`.
        turn : int, optional
            Turn of the state that the request is made for.

        Raises
        ------
        CalibratorError
            A calibration is in progress, or it is another turn.
        CaptureError
            The number of reads is out of range, or the board cannot take captures.
        BoardLostError, WriteError
            No board is connected, or there is no room for captures.
        """
        board = self._connected().info
        steps = steps_for(board, reads)
        with self._settling, self._lock:
            if self._state.running:
                raise CalibratorError("a calibration is already running: wait for it or cancel it")
            self._check_turn(turn)
            self._run = CalibrationRun(board, steps)  # raises where the disk is full
            self._cancelled.clear()
            self._result = self._offered = None
            self._state = CalibrationState(
                CalibrationPhase.RUNNING,
                turn=self._state.turn + 1,
                activity="stopping the stream",
                by_hand=lit_by_hand(board),
                steps=shown_steps(steps, lit_by_hand(board)),
                windows_total=sum(step.windows for step in steps),
                keeps=self._applied.keeps(board),
            )
        self._submit()

    def proceed(self, turn: int | None = None) -> None:
        """Continue: the light is as requested, or what stopped the captures is over.

        Raises
        ------
        CalibratorError
            The calibration waits for nothing, or it is another turn.
        CaptureError
            Another board is back.
        BoardLostError
            No board is connected.
        """
        with self._lock:
            self._check_turn(turn)
            if self._state.phase is CalibrationPhase.LIGHT:
                self._lit.set()
                return
            if self._state.phase not in _STOPPED or self._run is None:
                raise CalibratorError("no calibration is waiting for a change of light")
            self._run.check(self._connected().info)
            self._cancelled.clear()
            self._change(CalibrationPhase.RUNNING, activity="stopping the stream", error="")
        self._submit()

    def cancel(self) -> None:
        """End the calibration in progress without a result; a `CalibratorError` if none is."""
        with self._lock:
            if not self._state.running:
                raise CalibratorError("no calibration is in progress: there is nothing to cancel")
            self._cancelled.set()
            self._lit.set()
            if self._state.phase in _STOPPED:
                self._conclude(CalibrationPhase.CANCELLED)

    def apply(self, turn: int | None = None) -> None:
        """Correct the board's reads by the result, and keep it; returns once that is so.

        The noise found is from then on that of the board: a network that can be told it, is.

        Raises
        ------
        CalibratorError
            There is no result, it is applied already, or it is another turn.
        CaptureError
            Another board is connected than the one that was calibrated.
        BoardLostError
            No board is connected.
        """
        with self._settling:
            with self._lock:
                result, offered, run = self._result, self._offered, self._run
                self._check_turn(turn)
                if result is None or offered is None or run is None:
                    raise CalibratorError("there is no calibration to apply: run one first")
                if self._state.applied:
                    raise CalibratorError("the calibration is applied already")
                board = self._connected().info
                run.check(board)
                self._change(can_apply=False)
            self._settle(lambda board: self._applied.use(board.info, offered), applied=False)
            kept = self._applied.keep(result, board)
            self._change(applied=True, kept=kept)
            self._telemetry.log(f"The calibration is applied. {kept}")

    def undo(self, turn: int | None = None) -> None:
        """Use and keep again what was before `apply`; returns once that is so.

        Raises
        ------
        CalibratorError
            Nothing is applied, or it is another turn.
        FocalloopError
            The board is gone, or what was kept cannot be put back; the result stays applied.
        """
        with self._settling:
            with self._lock:
                self._check_turn(turn)
                if not self._state.applied:
                    raise CalibratorError("no calibration is applied: there is nothing to undo")
                self._connected()
                self._change(applied=False)
            self._settle(lambda _: self._applied.undo(), applied=True)
            self._change(can_apply=True, kept="")
            self._telemetry.log("The calibration is no longer applied: all is as before.")

    def discard(self, turn: int | None = None) -> None:
        """Forget the result.

        Raises
        ------
        CalibratorError
            There is none, it is applied, or it is another turn.
        """
        with self._lock:
            self._check_turn(turn)
            if self._result is None:
                raise CalibratorError("there is no calibration to discard")
            if not self._state.can_apply:
                raise CalibratorError("the calibration is applied: a new one replaces it")
            self._result = self._offered = None
            self._state = CalibrationState(turn=self._state.turn + 1)
        self._telemetry.log("The calibration was discarded.")

    def close(self) -> None:
        """End the calibration in progress, if there is one."""
        with self._lock:
            if self._state.running:
                self.cancel()

    def _connected(self) -> Board:
        board = self._board()
        if board is None:
            raise BoardLostError("no board is connected: try again in a moment")
        return board

    def _check_turn(self, turn: int | None) -> None:
        if turn is not None and turn != self._state.turn:
            raise CalibratorError(
                "the calibration has gone on meanwhile, from another page: look at what it says now"
            )

    def _settle(self, task: Task, *, applied: bool) -> None:
        """Run a task between two streams; if it fails, the result is `applied` or not as before."""
        try:
            self._tasks.submit(task).result()
        except Exception:
            self._change(applied=applied, can_apply=not applied)
            raise

    def _submit(self) -> None:
        self._tasks.submit(self._calibrate).add_done_callback(self._ended)

    def _change(self, phase: CalibrationPhase | None = None, **changes: Any) -> None:  # noqa: ANN401
        """Change the state; what a request means changes with the phase, and as it is applied."""
        with self._lock:
            state = self._state
            turn = state.turn + (phase not in (None, state.phase) or "can_apply" in changes)
            self._state = replace(state, phase=phase or state.phase, turn=turn, **changes)

    def _conclude(self, phase: CalibrationPhase, **changes: Any) -> None:  # noqa: ANN401
        if self._run is not None:
            self._run.close()
        self._change(phase, activity="", **changes)

    # From here on in the board thread.

    def _calibrate(self, board: Board) -> None:
        run = self._run
        assert run is not None
        run.check(board.info)
        by_hand = lit_by_hand(board.info)
        calibration: Calibration | None = None
        while run.taken < len(run.steps):
            step = run.steps[run.taken]
            if by_hand and step.light != run.light:
                self._await_light(board, run, step.light)
                run.light = step.light
            self._advance(run, described(step))
            run.capture(board)
            self._advance(run, "fitting")
            calibration = run.fit()
            if calibration is not None:
                self._show(calibration, run)
        with self._lock:
            self._result = calibration
            self._offered = None if calibration is None else correction_by(calibration)

    def _await_light(self, board: Board, run: CalibrationRun, light: float) -> None:
        self._lit.clear()
        self._meter = LightMeter()
        self._advance(
            run,
            f"illuminate the sensor evenly, at about {100 * light:.0f} % of full scale per window"
            if light
            else "cover the sensor so that no light reaches it",
            CalibrationPhase.LIGHT,
        )
        while not self._lit.wait(_LOOK_S):
            self._look(board)

    def _look(self, board: Board) -> None:
        """Look at the light; a board that shows nothing is no reason to end."""
        try:
            (window,) = board.capture(1)
        except BoardLostError:
            raise
        except FocalloopError:
            self._lit.wait()
        else:
            self._meter.add(window.number, window.codes, window.ratio_map, window)

    def _advance(
        self,
        run: CalibrationRun,
        activity: str,
        phase: CalibrationPhase = CalibrationPhase.RUNNING,
    ) -> None:
        """Show the next activity; raises if the calibration was cancelled."""
        if self._cancelled.is_set():
            raise _CancelledError("cancelled")
        self._change(phase, activity=activity, windows=run.windows, step=run.taken)
        share = run.windows / self._state.windows_total
        self._telemetry.enter(Phase.CALIBRATING, f"calibrating: {activity}", share)

    def _show(self, calibration: Calibration, run: CalibrationRun) -> None:
        fit = fit_state(calibration, run.windows)
        trailed = {name: fit.estimates[name] for name in _TRAIL if name in fit.estimates}
        mark = {name: MarkState(each.value, each.low, each.high) for name, each in trailed.items()}
        self._change(fit=fit, trail=(*self._state.trail, mark))

    def _ended(self, done: Future[None]) -> None:
        failure, log = done.exception(), self._telemetry.log
        if failure is None:
            self._conclude(CalibrationPhase.DONE, can_apply=True)
            log("The board is calibrated.")
        elif self._cancelled.is_set():
            self._conclude(CalibrationPhase.CANCELLED)
            log("The calibration was cancelled.")
        elif isinstance(failure, BoardLostError | WriteError) and self._run is not None:
            phase = CalibrationPhase.HALTED
            if isinstance(failure, BoardLostError):
                phase = CalibrationPhase.LOST
                self._run.light = None  # whoever goes to the board may leave it in another light
            self._change(phase, activity="", error=sentence(failure))
            log(f"The calibration waits: {sentence(failure)}", "warning")
        else:
            if not isinstance(failure, FocalloopError):
                _log.error("a calibration failed", exc_info=failure)
            error = sentence(failure)
            self._conclude(CalibrationPhase.FAILED, error=error)
            log(f"The calibration failed: {error}", "warning")
