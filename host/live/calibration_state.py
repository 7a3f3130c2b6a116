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

if TYPE_CHECKING:
    from focalloop.calibration.result import Calibration, Estimate, LevelSummary, MeasuredResponse


class CalibrationPhase(StrEnum):
    """What a calibration is doing."""

    IDLE = "idle"
    """None has been started yet."""
    RUNNING = "running"
    """Windows are captured and fitted; the stream is paused."""
    LIGHT = "light"
    """The user has to change the light and confirm it."""
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class PointState:
    """One point of the photon transfer curve."""

    name: str
    signal: float | None
    """Mean above the black level, in units of full scale."""
    variance_dn2: float | None
    error_dn2: float | None
    """Standard error of the variance."""
    model_dn2: float | None
    """Variance of the fitted model at this signal."""
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
    errors: tuple[float, ...]
    """Standard errors of both."""
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
    value: float | None
    low: float | None
    high: float | None
    unit: str


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


@dataclass(frozen=True)
class CalibrationState:
    """The calibration in progress, or the last one."""

    phase: CalibrationPhase = CalibrationPhase.IDLE
    activity: str = ""
    """What is being done right now, or how the user has to change the light."""
    windows: int = 0
    """Windows captured so far."""
    windows_total: int = 0
    """Windows to capture in total."""
    error: str = ""
    """Why it failed, as a sentence; empty otherwise."""
    fit: FitState | None = None
    trail: tuple[dict[str, EstimateState], ...] = field(default=())
    """``s_ss`` and ``s_r`` after each fit, oldest first: how the intervals shrank."""
    can_apply: bool = False
    """Whether there is a result, and an emulated board that can use it."""
    applied: bool = False
    """Whether the emulated board uses the result."""

    @property
    def running(self) -> bool:
        """Whether it is still in progress."""
        return self.phase in (CalibrationPhase.RUNNING, CalibrationPhase.LIGHT)


class CalibrationSource(Protocol):
    """What the service needs of a calibrator; `Calibrator` has it."""

    @property
    def result(self) -> Calibration | None:
        """Result of the last calibration; None until one is done."""
        ...

    def state(self) -> CalibrationState:
        """Return a snapshot of the calibration."""
        ...

    def start(self, reads: int) -> None:
        """Start, with so many reads per pixel at each level; returns at once."""
        ...

    def proceed(self) -> None:
        """Continue: the light is as requested."""
        ...

    def cancel(self) -> None:
        """End the calibration in progress without a result."""
        ...

    def apply(self) -> None:
        """Configure the emulated board with the result; returns once it uses it."""
        ...


def fit_state(calibration: Calibration, windows: int) -> FitState:
    """Summarise a calibration made from so many windows."""
    # These load SciPy, which the start of the preview need not wait for.
    from focalloop.calibration.report.page import MEANINGS
    from focalloop.calibration.report.verdict import verdict

    said = verdict(calibration)
    return FitState(
        windows=windows,
        points=tuple(_point(level) for level in calibration.levels),
        response=None if calibration.response is None else _response(calibration.response),
        estimates={
            name: _estimate(MEANINGS.get(name, (name, ""))[0], found)
            for name, found in calibration.estimates.items()
        },
        warnings=calibration.warnings,
        mood=said.mood,
        headline=said.headline,
        sentences=said.sentences,
    )


def _point(level: LevelSummary) -> PointState:
    return PointState(
        name=level.name,
        signal=_finite(level.signal),
        variance_dn2=_finite(level.variance_dn2),
        error_dn2=_finite(level.variance_error_dn2),
        model_dn2=_finite(level.model_variance_dn2),
        used=level.used,
        why_not=level.why_not,
    )


def _response(found: MeasuredResponse) -> ResponseState:
    at = np.interp(found.signals, found.curve.x, found.curve.y)
    return ResponseState(
        signals=tuple(found.signals.tolist()),
        deviations=tuple((found.reads - found.signals).tolist()),
        residuals=tuple((found.reads - found.signals - at).tolist()),
        errors=tuple(found.errors.tolist()),
        curve_signals=tuple(found.curve.x.tolist()),
        curve=tuple(found.curve.y.tolist()),
        half=tuple(found.half.tolist()),
    )


def _estimate(title: str, found: Estimate) -> EstimateState:
    low, high = found.ci95
    return EstimateState(title, _finite(found.value), _finite(low), _finite(high), found.unit)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
