"""The captures of one calibration, which outlast a board that goes away, and their fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from focalloop.firmware_sim.default_calibration import Step
from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_capture import take
from focalloop.host.captures.calibration_design import Design, plan
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import CaptureError
from focalloop.host.live.calibration_state import PlanState, shown_steps

if TYPE_CHECKING:
    from focalloop.calibration import Calibration

_FIT_S = 8e-6
"""About the time per pixel of one fit, which follows each lit step."""


def steps_for(board: HelloAnswer, reads: int) -> tuple[Step, ...]:
    """Return what a calibration of a board captures, with so many reads at each level.

    Raises
    ------
    CaptureError
        The number of reads is out of range, or the board cannot take captures.
    """
    if Feature.REPLAY in board.features:
        raise CaptureError(
            "this board replays a recording, and nothing can be captured from it: calibrate the "
            "sensor itself, or run focalloop calibrate on captures of it"
        )
    by_itself = Feature.CALIBRATION in board.features
    return plan(board, Design.SPANS if by_itself else Design.TILED, reads)


def lit_by_hand(board: HelloAnswer) -> bool:
    """Whether a person sets the light of a board."""
    return Feature.EMULATOR not in board.features


def seconds_for(
    board: HelloAnswer, steps: Sequence[Step], window_s: float | None = None
) -> float | None:
    """Return about how long captures and fits of these steps take; None where nothing tells it.

    Parameters
    ----------
    board : HelloAnswer
        For its array size, and its clock if it has one.
    steps : sequence of Step
        What is captured.
    window_s : float, optional
        Time per window, if it is known; by default that of the board's clock.
    """
    if window_s is None:
        if not board.slot_rate_hz:
            return None
        window_s = board.slots / board.slot_rate_hz
    fits_s = _FIT_S * board.height * board.width * sum(step.light > 0 for step in steps)
    return window_s * sum(step.windows for step in steps) + fits_s


def plan_for(board: HelloAnswer, reads: int, keeps: str) -> PlanState:
    """Return what a calibration of a board captures, as a page shows it.

    Parameters
    ----------
    board : HelloAnswer
        The board.
    reads : int
        Reads at each level; errors as of `steps_for`.
    keeps : str
        Serial number under which its result is kept, or "".
    """
    steps, by_hand = steps_for(board, reads), lit_by_hand(board)
    return PlanState(
        steps=shown_steps(steps, by_hand),
        windows=sum(step.windows for step in steps),
        seconds=seconds_for(board, steps),
        by_hand=by_hand,
        keeps=keeps,
    )


class CalibrationRun:
    """The captures of one calibration, and how far they are.

    Only the board thread calls `capture` and `fit`; a run that has ended is closed.

    Attributes
    ----------
    board : HelloAnswer
        The board that it began with.
    steps : tuple of Step
        What it captures.
    taken : int
        Steps that are captured.
    light : float or None
        Radiance that the user has confirmed; None before, and after the board went away.
    """

    def __init__(self, board: HelloAnswer, steps: tuple[Step, ...]) -> None:
        self.board, self.steps = board, steps
        self.taken = 0
        self.light: float | None = None
        self._captures: list[Capture] = []
        self._resources = ExitStack()
        self._folder = self._resources.enter_context(scratch_folder())
        self._capturing_s = 0.0
        self._since_s: float | None = None

    @property
    def windows(self) -> int:
        """Windows that are captured."""
        return sum(step.windows for step in self.steps[: self.taken])

    @property
    def seconds_left(self) -> float | None:
        """About how long captures and fits still take; None where that is not known yet."""
        window_s = self._capturing_s / self.windows if self.windows else None
        left_s = seconds_for(self.board, self.steps[self.taken :], window_s)
        since_s = self._since_s
        if left_s is None or since_s is None:
            return left_s
        return max(0.0, left_s - (time.monotonic() - since_s))

    def check(self, board: HelloAnswer) -> None:
        """Check that a board is the one that the run began with.

        Raises
        ------
        CaptureError
            It is another one.
        """
        names = ("serial", "shape", "slots", "level_set", "bits", "full_scale_dn")
        if any(getattr(board, name) != getattr(self.board, name) for name in names):
            raise CaptureError(
                f"the board {board.name} is not the one that is being calibrated, or has other "
                "settings now: connect that one, or cancel and start again"
            )

    def capture(self, board: Board) -> None:
        """Take the windows of the next step; nothing of it is kept if the board goes away."""
        self._since_s = since_s = time.monotonic()
        step, by_hand = self.steps[self.taken], lit_by_hand(board.info)
        path = self._folder / f"step-{self.taken}"
        try:
            with CaptureWriter(path, board.info) as writer:
                take(
                    board,
                    [step],
                    writer,
                    lights_known=not by_hand,
                    set_light=(lambda _: None) if by_hand else None,
                )
        finally:
            self._since_s = None
        self._capturing_s += time.monotonic() - since_s
        self._captures.append(Capture.load(path))
        self.taken += 1

    def fit(self) -> Calibration | None:
        """Fit the captures so far; None while they are too few.

        Raises
        ------
        CalibrationError
            All are taken, and they still tell no noise profile.
        """
        # These load SciPy, which takes a second.
        from focalloop.calibration import CalibrationError, calibrate
        from focalloop.host.captures.calibration_readings import readings_of

        readings = readings_of(self._captures)
        origin = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "software": f"focalloop {version('focalloop')}",
            "source": "live preview",
            "board": readings.origin["board"],
        }
        try:
            return calibrate(replace(readings, origin=origin))
        except CalibrationError:
            if self.taken == len(self.steps):
                raise
            return None

    def close(self) -> None:
        """Remove the captures."""
        self._captures.clear()
        self._resources.close()
