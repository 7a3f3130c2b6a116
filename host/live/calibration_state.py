"""The calibration as a page shows it: how far it is, and what it has found so far.

Plain frozen values, ready for JSON, as in `focalloop.host.live.state`. A value that is not finite,
such as the open end of an interval, is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.result import NORMAL_95
from focalloop.firmware_sim.default_calibration import Step
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.live.light_meter import LightState

if TYPE_CHECKING:
    from focalloop.calibration.result import Calibration, LevelSummary, MeasuredResponse


class CalibrationPhase(StrEnum):
    """What a calibration is doing."""

    IDLE = "idle"
    """None has been started yet."""
    RUNNING = "running"
    """Windows are captured and fitted; the stream is paused."""
    LIGHT = "light"
    """The user has to change the light and confirm it."""
    LOST = "lost"
    """The board went away; the user has to confirm that it goes on, once it is back."""
    HALTED = "halted"
    """No window can be kept, as on a full disk; the user has to confirm that it goes on."""
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class StepState:
    """Windows that are captured under the same conditions."""

    light: float | None
    """Radiance of the even light in [0, 1], 0 for none; None where a person sets it."""
    level: int | None
    """Reads per window of every pixel; None: different ones, side by side."""
    windows: int


def shown_steps(steps: tuple[Step, ...], by_hand: bool) -> tuple[StepState, ...]:
    """Return steps as a page shows them, `by_hand` where a person sets the light."""
    return tuple(
        StepState(None if by_hand and step.light else step.light, step.level, step.windows)
        for step in steps
    )


def described(step: Step) -> str:
    """Return a step in a few words."""
    if step.level is None:
        spans = "all spans"
    else:
        spans = f"{step.level} {'read' if step.level == 1 else 'reads'} per window"
    return f"{'dark' if step.light == 0 else f'light {step.light:.3f}'}, {spans}"


@dataclass(frozen=True)
class PlanState:
    """What a calibration of the board will capture."""

    steps: tuple[StepState, ...]
    windows: int
    """Windows of all steps."""
    seconds: float | None
    """About how long they take, without the time in which a person sets the light; None for a board
    without a clock."""
    by_hand: bool
    """Whether a person sets the light, because the board cannot."""
    keeps: str
    """Serial number under which a result that is applied is kept; empty where it is not kept."""


@dataclass(frozen=True)
class PointState:
    """One point of the photon transfer curve."""

    name: str
    signal: float | None
    """Mean above the black level, in units of full scale."""
    variance_dn2: float | None
    low_dn2: float | None
    """Ends of the 95 % interval of the variance."""
    high_dn2: float | None
    model_dn2: float | None
    """Variance of the fitted model at this signal."""
    residual: float | None
    """How far the variance is from the model, in standard errors."""
    used: bool
    """Whether the fit uses it."""
    why_not: str
    """Why the fit does not use it; empty if it does."""


@dataclass(frozen=True)
class ResponseState:
    """The response as measured, in units of full scale: how far it is from a straight line."""

    signals: tuple[float, ...]
    """Signals of the levels that tell it."""
    deviations: tuple[float, ...]
    """What they read above their signals."""
    residuals: tuple[float, ...]
    """What they read above the curve."""
    halves: tuple[float, ...]
    """Half the 95 % interval of both."""
    curve_signals: tuple[float, ...]
    curve: tuple[float, ...]
    """Deviation of the fitted curve from the straight line."""
    half: tuple[float, ...]
    """Half the 95 % interval of the curve."""


@dataclass(frozen=True)
class EstimateState:
    """One estimate with its 95 % confidence interval."""

    title: str
    """Its name for people."""
    meaning: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    text: str
    """The value in a few digits, without its unit."""
    interval: str
    """The interval in a few digits."""


@dataclass(frozen=True)
class MarkState:
    """An estimate after one fit of several."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FitState:
    """The fit of all levels captured so far."""

    windows: int
    """Number of windows that it is made from."""
    points: tuple[PointState, ...]
    response: ResponseState | None
    """None while there are too few spans to tell it."""
    estimates: dict[str, EstimateState]
    warnings: tuple[str, ...]
    mood: str
    """``good``, ``warn`` or ``bad``."""
    headline: str
    """The verdict in a few words."""
    sentences: tuple[str, ...]
    correction: str
    """What corrects the reads, or why nothing does, in a few words."""
    defects: dict[str, int]
    """Number of defective pixels of each kind; empty where they are not known."""


@dataclass(frozen=True)
class CalibrationState:
    """The calibration in progress, or the last one."""

    phase: CalibrationPhase = CalibrationPhase.IDLE
    turn: int = 0
    """Grows with each change that gives a request another meaning. A request may name the turn that
    it was made for, and is refused in another."""
    activity: str = ""
    """What is being done right now, or how the user has to change the light."""
    by_hand: bool = False
    """Whether the user sets the light."""
    steps: tuple[StepState, ...] = ()
    step: int = 0
    """Steps that are captured; the next one is `steps[step]`."""
    windows: int = 0
    """Windows captured so far."""
    windows_total: int = 0
    """Windows to capture in total."""
    seconds_left: float | None = None
    """About how long captures and fits still take; None where that is not known."""
    error: str = ""
    """Why it failed or stopped, as a sentence; empty otherwise."""
    fit: FitState | None = None
    trail: tuple[dict[str, MarkState], ...] = field(default=())
    """``s_ss`` and ``s_r`` after each fit, oldest first: how the intervals shrank."""
    keeps: str = ""
    """As in `PlanState`."""
    noise_note: str = ""
    """How the noise found differs from what the network in use is for; empty if it does not, before
    there is a result, and once it is applied, when the session's state says it."""
    can_apply: bool = False
    """Whether there is a result that is not applied."""
    applied: bool = False
    """Whether the result corrects the reads, and is the noise that the network is told."""
    kept: str = ""
    """Whether the applied result was kept for later sessions, as a sentence."""

    @property
    def running(self) -> bool:
        """Whether it is still in progress."""
        return self.phase in (
            CalibrationPhase.RUNNING,
            CalibrationPhase.LIGHT,
            CalibrationPhase.LOST,
            CalibrationPhase.HALTED,
        )


class CalibrationSource(Protocol):
    """What the service needs of a calibrator; `Calibrator` has it.

    Requests that take a `turn` are refused if it is not that of the state, for someone else has
    changed it meanwhile.
    """

    @property
    def result(self) -> Calibration | None:
        """Result of the last calibration; None until one is done, and once it is discarded."""
        ...

    def state(self) -> CalibrationState:
        """Return a snapshot of the calibration."""
        ...

    def light(self) -> LightState | None:
        """Return the light on the sensor while a person sets it; None where nothing is known."""
        ...

    def plan(self, reads: int) -> PlanState:
        """Return what would be captured, with so many reads per pixel at each level."""
        ...

    def start(self, reads: int, turn: int | None = None) -> None:
        """Start, with so many reads per pixel at each level; returns at once."""
        ...

    def proceed(self, turn: int | None = None) -> None:
        """Continue: the light is as requested, or what stopped the captures is over."""
        ...

    def cancel(self) -> None:
        """End the calibration in progress without a result."""
        ...

    def apply(self, turn: int | None = None) -> None:
        """Correct the board's reads by the result, and keep it; returns once that is so."""
        ...

    def undo(self, turn: int | None = None) -> None:
        """Use and keep again what was before `apply`; returns once that is so."""
        ...

    def discard(self, turn: int | None = None) -> None:
        """Forget the result, which was not applied."""
        ...


def fit_state(calibration: Calibration, windows: int) -> FitState:
    """Summarise a calibration made from so many windows."""
    # These load SciPy, which the start of the preview need not wait for.
    from focalloop.calibration.report.charts import number
    from focalloop.calibration.report.page import MEANINGS
    from focalloop.calibration.report.verdict import verdict

    said, pattern = verdict(calibration), calibration.pattern
    estimates = {}
    for name, found in calibration.estimates.items():
        title, meaning = MEANINGS.get(name, (name, ""))
        low, high = found.ci95
        estimates[name] = EstimateState(
            title=title,
            meaning=meaning,
            value=_finite(found.value),
            low=_finite(low),
            high=_finite(high),
            unit=found.unit,
            text=number(found.value, 4),
            interval=f"{number(low, 4)} … {number(high, 4)}",
        )
    return FitState(
        windows=windows,
        points=tuple(_point(level) for level in calibration.levels),
        response=None if calibration.response is None else _response(calibration.response),
        estimates=estimates,
        warnings=calibration.warnings,
        mood=said.mood,
        headline=said.headline,
        sentences=said.sentences,
        correction=str(pattern) if isinstance(pattern, FocalloopError) else pattern.summary,
        defects=calibration.as_dict()["defects"] or {},
    )


def _point(level: LevelSummary) -> PointState:
    variance, error = level.variance_dn2, level.variance_error_dn2
    return PointState(
        name=level.name,
        signal=_finite(level.signal),
        variance_dn2=_finite(variance),
        low_dn2=_finite(variance - NORMAL_95 * error),
        high_dn2=_finite(variance + NORMAL_95 * error),
        model_dn2=_finite(level.model_variance_dn2),
        residual=_finite((variance - level.model_variance_dn2) / error) if error > 0 else None,
        used=level.used,
        why_not=level.why_not,
    )


def _response(found: MeasuredResponse) -> ResponseState:
    at = np.interp(found.signals, found.curve.x, found.curve.y)
    return ResponseState(
        signals=_to_draw(found.signals),
        deviations=_to_draw(found.reads - found.signals),
        residuals=_to_draw(found.reads - found.signals - at),
        halves=_to_draw(NORMAL_95 * found.errors),
        curve_signals=_to_draw(found.curve.x),
        curve=_to_draw(found.curve.y),
        half=_to_draw(found.half),
    )


def _to_draw(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return values to a millionth: short in JSON, and finer than a screen."""
    return tuple(np.round(values, 6).tolist())


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
