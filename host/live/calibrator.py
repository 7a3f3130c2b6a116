"""Calibrating the board of a live session, with the fit in view as it grows."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_capture import take
from focalloop.host.captures.calibration_design import Design, Step, plan
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import BoardLostError
from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState, fit_state
from focalloop.host.live.errands import Errands
from focalloop.host.live.ledger import Ledger
from focalloop.host.live.report import sentence
from focalloop.host.live.state import Phase

if TYPE_CHECKING:
    from focalloop.calibration import Calibration

_log = logging.getLogger("focalloop.live")

DEFAULT_READS = 4
"""Reads of every pixel at every level, as of ``focalloop calibrate``."""

MAX_READS = 32
"""Most of them: two seconds of windows between two looks at whether to go on."""

_TRAIL = ("s_ss", "s_r")


class CalibratorError(FocalloopError):
    """What was asked for cannot be now."""


class _CancelledError(FocalloopError):
    """The calibration was cancelled."""


class Calibrator:
    """The calibration of a session's board: one at a time, and the result of the last one.

    Parameters
    ----------
    errands : Errands
        Takes the work, for the board cannot stream meanwhile.
    ledger : Ledger
        Takes what happens.
    board : callable
        The session's board, None where none is connected.
    """

    def __init__(self, errands: Errands, ledger: Ledger, board: Callable[[], Board | None]) -> None:
        self._errands, self._ledger, self._board = errands, ledger, board
        self._lock = threading.Lock()
        self._state = CalibrationState()
        self._result: Calibration | None = None
        self._cancelled = threading.Event()
        self._lit = threading.Event()

    def state(self) -> CalibrationState:
        """Return how it stands now."""
        state, board = self._state, self._board()
        simulated = board is not None and Feature.EMULATOR in board.info.features
        return replace(state, can_apply=self._result is not None and simulated)

    @property
    def result(self) -> Calibration | None:
        """What the last calibration found; None before its end."""
        return self._result

    def start(self, reads: int = DEFAULT_READS) -> None:
        """Begin to calibrate, as soon as the stream has stopped; returns at once.

        Parameters
        ----------
        reads : int, optional
            Reads of every pixel at every level, 2 to `MAX_READS`.

        Raises
        ------
        CalibratorError
            One is under way.
        CaptureError
            The number of reads will not do.
        BoardLostError
            No board is connected.
        """
        board = self._connected()
        by_itself = Feature.CALIBRATION in board.info.features
        steps = plan(board.info, Design.SPANS if by_itself else Design.TILED, reads)
        with self._lock:
            if self._state.running:
                raise CalibratorError("a calibration runs already: wait for it, or cancel it")
            self._cancelled.clear()
            self._result = None
            self._state = CalibrationState(
                CalibrationPhase.RUNNING,
                activity="stopping the stream",
                windows_in_all=sum(step.windows for step in steps),
            )
        self._errands.ask(lambda board: self._run(board, steps)).add_done_callback(self._ended)

    def proceed(self) -> None:
        """Go on: the light is as it was asked for.

        Raises
        ------
        CalibratorError
            Nobody asked for light.
        """
        if self._state.phase is not CalibrationPhase.LIGHT:
            raise CalibratorError("no calibration waits for light")
        self._lit.set()

    def cancel(self) -> None:
        """End the present calibration without a result; harmless where none runs."""
        self._cancelled.set()
        self._lit.set()

    def apply(self) -> None:
        """Have the emulated board run with the result; returns when it does.

        Raises
        ------
        CalibratorError
            There is no result, or the board is a real one, whose noise is its own.
        BoardError, BoardLostError
            The board refused it or is not there.
        """
        board, result = self._connected(), self._result
        if result is None:
            raise CalibratorError("there is no calibration to apply yet: run one first")
        if Feature.EMULATOR not in board.info.features:
            raise CalibratorError(
                "this board is real and has the noise it has: save the profile, and give it to "
                "`focalloop emulate --profile`"
            )
        self._errands.ask(lambda board: self._apply(board, result)).result()

    def begin(self, board: Board) -> None:
        """Let a board that is new or back run with the profile that was applied."""
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
        self._ledger.tell("The emulated board runs with the calibrated noise profile now.")

    # The calibration itself, in the board thread.

    def _run(self, board: Board, steps: Sequence[Step]) -> None:
        by_hand = Feature.EMULATOR not in board.info.features
        light: float | None = None
        captures: list[Capture] = []
        calibration: Calibration | None = None
        with tempfile.TemporaryDirectory(prefix="focalloop-") as folder:
            for step in steps:
                if by_hand and step.light != light:
                    self._await_light(step.light)
                light = step.light
                self._tell(_describe(step))
                path = Path(folder) / _describe(step)
                with CaptureWriter(path, board.info) as writer:
                    take(
                        board,
                        [step],
                        writer,
                        lights_known=not by_hand,
                        set_light=(lambda _: None) if by_hand else None,
                    )
                captures.append(Capture.load(path))
                self._tell("fitting", more_windows=step.windows)
                calibration = self._fit(captures, final=step is steps[-1])
        with self._lock:
            self._result = calibration

    def _await_light(self, light: float) -> None:
        self._lit.clear()
        self._tell(
            f"light the sensor evenly, at about {100 * light:.0f} % of full scale over a window"
            if light
            else "cover the sensor, so that no light reaches it",
            CalibrationPhase.LIGHT,
        )
        self._lit.wait()

    def _tell(
        self,
        activity: str,
        phase: CalibrationPhase = CalibrationPhase.RUNNING,
        more_windows: int = 0,
    ) -> None:
        """Say what comes next, unless it was cancelled."""
        if self._cancelled.is_set():
            raise _CancelledError("cancelled")
        state = self._state
        windows = state.windows + more_windows
        self._state = replace(state, phase=phase, activity=activity, windows=windows)
        self._ledger.enter(
            Phase.CALIBRATING, f"calibrating: {activity}", windows / state.windows_in_all
        )

    def _fit(self, captures: list[Capture], *, final: bool) -> Calibration | None:
        """Fit what was taken up to now; too little for that is told only at the end."""
        # With SciPy, which takes a second to load, and only now.
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
                self._ledger.tell("The board is calibrated.")
            case _CancelledError():
                phase, error = CalibrationPhase.CANCELLED, ""
                self._ledger.tell("The calibration was cancelled.")
            case failure:
                if not isinstance(failure, FocalloopError):
                    _log.error("a calibration failed", exc_info=failure)
                phase, error = CalibrationPhase.FAILED, sentence(failure)
                self._ledger.tell(f"The calibration failed: {error}", "warning")
        self._state = replace(self._state, phase=phase, activity="", error=error)


def _describe(step: Step) -> str:
    if step.level is None:
        spans = "all spans"
    else:
        spans = f"{step.level} {'read' if step.level == 1 else 'reads'} a window"
    return f"{'dark' if step.light == 0 else f'light {step.light:.3f}'}, {spans}"
