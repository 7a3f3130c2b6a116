"""What a page is told of a calibration: how far it is, and what it has found up to now.

Plain frozen values, ready for JSON, as in `focalloop.host.live.state`. A figure that is not finite,
such as the end of an open interval, is None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from focalloop.calibration.result import Calibration, Estimate, LevelSummary


class CalibrationPhase(StrEnum):
    """Where a calibration stands."""

    IDLE = "idle"
    """None was started yet."""
    RUNNING = "running"
    """Windows are taken and fitted; the stream waits."""
    LIGHT = "light"
    """Somebody has to change the light, and say so."""
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class PointState:
    """A level on the photon transfer curve."""

    name: str
    signal: float | None
    """Mean above black, full scale is 1."""
    variance_dn2: float | None
    error_dn2: float | None
    """Standard error of the variance."""
    model_dn2: float | None
    """What the fit says in its place."""
    used: bool
    why_not: str
    """Why it is not in the fit, where it is not."""


@dataclass(frozen=True)
class EstimateState:
    """One figure with its 95 % confidence interval."""

    title: str
    """What people call it."""
    value: float | None
    low: float | None
    high: float | None
    unit: str


@dataclass(frozen=True)
class FitState:
    """What all levels taken up to now say together."""

    windows: int
    """Windows it is made from."""
    points: tuple[PointState, ...]
    estimates: dict[str, EstimateState]
    warnings: tuple[str, ...]
    mood: str
    """``good``, ``warn`` or ``bad``."""
    headline: str
    """The verdict in a few words."""
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class CalibrationState:
    """The calibration of a session's board: the present one, or the last."""

    phase: CalibrationPhase = CalibrationPhase.IDLE
    activity: str = ""
    """What is being done right now, or what is to be done about the light."""
    windows: int = 0
    """Taken up to now."""
    windows_in_all: int = 0
    error: str = ""
    """Why it failed, a sentence."""
    fit: FitState | None = None
    trail: tuple[dict[str, EstimateState], ...] = field(default=())
    """``s_ss`` and ``s_r`` after each fit, the first one first: how the intervals shrank."""
    can_apply: bool = False
    """Whether there is a result and an emulated board to run with it."""
    applied: bool = False
    """Whether the board runs with it."""

    @property
    def running(self) -> bool:
        """Whether windows are still taken."""
        return self.phase in (CalibrationPhase.RUNNING, CalibrationPhase.LIGHT)


class CalibrationSource(Protocol):
    """What the service shows and steers of it; `Calibrator` is one."""

    @property
    def result(self) -> Calibration | None:
        """What the last calibration found; None before its end."""
        ...

    def state(self) -> CalibrationState:
        """Return how it stands now."""
        ...

    def start(self, reads: int) -> None:
        """Begin, with so many reads of every pixel at every level; returns at once."""
        ...

    def proceed(self) -> None:
        """Go on: the light is as it was asked for."""
        ...

    def cancel(self) -> None:
        """End the present one without a result."""
        ...

    def apply(self) -> None:
        """Have the emulated board run with the result; returns when it does."""
        ...


def fit_state(calibration: Calibration, windows: int) -> FitState:
    """Return what there is to tell about a calibration made from so many windows."""
    # With SciPy, which a start need not wait for.
    from focalloop.calibration.report.page import MEANINGS
    from focalloop.calibration.report.verdict import verdict

    said = verdict(calibration)
    return FitState(
        windows=windows,
        points=tuple(_point(level) for level in calibration.levels),
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


def _estimate(title: str, found: Estimate) -> EstimateState:
    low, high = found.ci95
    return EstimateState(title, _finite(found.value), _finite(low), _finite(high), found.unit)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
