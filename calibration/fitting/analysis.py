"""The steps of a calibration: from readings to everything that estimates and warnings need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.fitting.checks import check_codes, check_drift, check_readings
from focalloop.calibration.fitting.defects import Defects, defects_of
from focalloop.calibration.fitting.intervals import VarianceComponent
from focalloop.calibration.fitting.moments import Moments, moments_of
from focalloop.calibration.fitting.nonuniformity import FixedPattern, fixed_pattern
from focalloop.calibration.fitting.photon_transfer import TransferLine, fit_emva, fit_weighted
from focalloop.calibration.fitting.response import (
    Black,
    Linearity,
    Saturation,
    black_of,
    linearity_of,
    saturation_of,
)
from focalloop.calibration.fitting.response_curve import ResponseFit, fit_response
from focalloop.calibration.fitting.transfer_points import (
    ROUNDING_DN2,
    TransferPoint,
    points_of,
    transfer_point,
)
from focalloop.calibration.readings import Level, Readings
from focalloop.calibration.settings import Settings
from focalloop.firmware_sim.fixed_pattern import MAX_DEFECT_SHARE, Defect
from focalloop.firmware_sim.response import Response

_BELOW_SATURATION = 0.95
"""Share of saturation above which a level is left out: with PRNU, its first pixels saturate."""

_EMVA_RANGE = 0.7
"""Share of saturation up to which EMVA 1288 Release 4 section 6.6 fits the curve."""

EMVA_MIN_DARK_DN2 = 0.24
"""Dark variance below which quantisation dominates, DN^2: EMVA 1288 Release 4 section 6.6."""

_MIN_STEP = 0.02
"""Smallest range of signals, relative to the largest: less may be one light that flickers."""

_MIN_STEP_SIGMAS = 1.0
"""Smallest range of signals in standard deviations of a read: less means that no light arrived."""

_SHORTFALL, _SHORTFALL_SIGMAS = 0.75, 6.0
"""A level saturates if its variance is below this share of what the darker levels predict, by more
than this number of standard errors."""

Each = Callable[[Callable[[Level], Moments], Iterable[Level]], Iterable[Moments]]
"""What stands in for `map`."""

SATURATES = "its pixels saturate"
"""Beginning of the reason for leaving out a level whose variance is too low for its mean."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was measured and fitted; levels in DN, variances in DN^2.

    Attributes
    ----------
    readings : Readings
    protocol : str
    points : tuple of TransferPoint
        One for every level; those left out of the fit carry the reason.
    black : Black
    saturation : Saturation or None
    saturation_dn : float
        Mean code at saturation, or the highest code where no level saturates.
    full_scale_dn : float
        Codes from black to signal 1.0: as declared, or from black to saturation.
    line : TransferLine
        The photon transfer fit, along the response as measured; its offset includes row noise where
        the protocol is "emva".
    curve : ResponseFit or None
        The response as measured; None where the protocol is "emva" or too few spans tell it.
    response : Response
        The response that all but the line is based on: straight where no bend was found.
    row : VarianceComponent
        Temporal row noise, from all levels together.
    pattern : FixedPattern
        Of the pixels that are not defective.
    defects : Defects or None
        Left out of everything else, unless they are too many; None where they are not known.
    linearity : Linearity or None
    """

    readings: Readings
    protocol: Literal["weighted", "emva"]
    points: tuple[TransferPoint, ...]
    black: Black
    saturation: Saturation | None
    saturation_dn: float
    full_scale_dn: float
    line: TransferLine
    curve: ResponseFit | None
    response: Response
    row: VarianceComponent
    pattern: FixedPattern
    defects: Defects | None
    linearity: Linearity | None

    @property
    def top(self) -> int:
        """Highest code."""
        return (1 << self.readings.bits) - 1

    def linear(self, above_dn: ArrayLike) -> NDArray[np.float64]:
        """Return the signal, in DN, of what is read `above_dn` above black."""
        return _linear(np.asarray(above_dn, np.float64), self.response, self.full_scale_dn)

    def variance_at(self, above_dn: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted variance without quantisation, DN^2, at means above black, DN."""
        along = self.response
        if self.curve is not None and self.curve.response.usable:
            along = self.curve.response
        signals = _linear(np.asarray(above_dn, np.float64), along, self.full_scale_dn)
        return self.line.variance_at(signals * along.slope(signals / self.full_scale_dn) ** 2)

    @property
    def used(self) -> list[TransferPoint]:
        """Points that are in the fit."""
        return [point for point in self.points if not point.why_not]

    @property
    def dark(self) -> list[TransferPoint]:
        """Usable dark points, shortest exposure first."""
        dark = [point for point in self.used if point.moments.level.dark]
        return sorted(dark, key=lambda point: point.moments.level.exposure)


def analyse(readings: Readings, settings: Settings, each: Each = map) -> Analysis:
    """Measure, fit and test; `each` measures the levels.

    Raises
    ------
    CalibrationError
        If nothing can be fitted to the readings.
    """
    levels = check_readings(readings)
    measured = _measured(levels, readings.bits, each)
    check_codes(measured, readings.bits)
    full_scale_dn = readings.full_scale_dn
    defects = defects_of(measured, readings.bits, full_scale_dn or (1 << readings.bits))
    if defects is not None and 0 < np.mean(defects.kinds > 0) <= MAX_DEFECT_SHARE:
        measured = _measured(_without(defects, levels), readings.bits, each)
    points = [transfer_point(moments, readings.bits) for moments in measured]
    black = black_of(points, readings.black_level_dn)
    check_drift(measured, black.level_dn, readings.bits)
    top_dn = float((1 << readings.bits) - 1)
    saturation = saturation_of(points, readings.bits)
    saturation_dn = top_dn if saturation is None else saturation.level_dn
    if full_scale_dn is None:
        end_dn = saturation.plateau_dn if saturation and saturation.analog else top_dn
        full_scale_dn = end_dn - black.level_dn
    usable = [_below_saturation(point, black, saturation) for point in points]
    curve = None
    if settings.protocol == "emva":
        points, line = _emva_line(usable, black, saturation_dn, readings.bits)
    else:
        points, line = _weighted_line(usable, black)
        usable = points
        used = [point for point in points if not point.why_not]
        curve = fit_response(used, black, readings.exposure_unit, full_scale_dn, line)
        if curve is not None:
            # Not the straight line where no bend shows: one too small to show still biases it.
            line = curve.line if curve.response.usable else line.covering(curve.line)
    response = curve.response if curve is not None and curve.bent else Response()
    row = _row_noise(usable)
    unclipped = [point for point in usable if not point.why_not and not point.clipped]
    means = np.array([point.mean for point in unclipped]) - black.level_dn
    signals = _linear(means, response, full_scale_dn)
    # A pixel of another gain deviates by the local slope.
    signals = signals * response.slope(signals / full_scale_dn)
    return Analysis(
        readings=readings,
        protocol=settings.protocol,
        points=tuple(points),
        black=black,
        saturation=saturation,
        saturation_dn=saturation_dn,
        full_scale_dn=full_scale_dn,
        line=line,
        curve=curve,
        response=response,
        row=row,
        pattern=fixed_pattern(unclipped, signals.tolist(), max(row.variance, 0.0)),
        defects=defects,
        linearity=linearity_of(usable, black, readings.exposure_unit, saturation_dn, full_scale_dn),
    )


def _measured(levels: Sequence[Level], bits: int, each: Each) -> list[Moments]:
    found = each(partial(_moments_alone, bits), levels)
    return [replace(one, level=level) for one, level in zip(found, levels, strict=True)]


def _moments_alone(bits: int, level: Level) -> Moments:
    """Measure a level, and leave its reads out, which another process need not send back."""
    return replace(moments_of(level, bits), level=replace(level, reads=level.reads[:0]))


def _without(defects: Defects, levels: Sequence[Level]) -> list[Level]:
    """Return levels that measure the good pixels alone."""
    good = defects.kinds == Defect.GOOD
    return [
        replace(level, pixels=good if level.pixels is None else level.pixels & good)
        for level in levels
    ]


def _linear(
    above_dn: NDArray[np.float64], response: Response, full_scale_dn: float
) -> NDArray[np.float64]:
    if response.straight:  # exactly so, which float32 would not be
        return above_dn
    return np.asarray(response.linearise(above_dn / full_scale_dn) * full_scale_dn, np.float64)


def _below_saturation(
    point: TransferPoint, black: Black, saturation: Saturation | None
) -> TransferPoint:
    if saturation is None or point.why_not or point.moments.level.dark:
        return point
    reach = _BELOW_SATURATION * (saturation.plateau_dn - black.level_dn)
    if point.mean - black.level_dn <= reach:
        return point
    plateau = f"a mean of {saturation.plateau_dn:.4g} DN"
    return replace(point, why_not=f"it is above 95 % of saturation ({plateau})")


def _require_two(points: Sequence[TransferPoint], black: Black) -> list[TransferPoint]:
    used = [point for point in points if not point.why_not]
    if _differ_in_light(used, black):
        return used
    count = "only one level" if len(used) == 1 else "no two levels of different light"
    if not used:
        count = "no level"
    raise CalibrationError(
        f"{count} can be used, but a line of noise against light needs two, one of them lit and "
        f"not saturated{_reasons(points)}: add levels between dark and saturation"
    )


def _reasons(points: Sequence[TransferPoint]) -> str:
    """Return why levels are left out, in brackets; "" where none is."""
    reasons = [
        f"{point.moments.level.name or 'one level'}: {point.why_not}"
        for point in points
        if point.why_not
    ]
    return f" ({'; '.join(reasons)})" if reasons else ""


def _differ_in_light(points: Sequence[TransferPoint], black: Black) -> bool:
    """Return whether the means differ by more than chance and flicker, and so determine a line."""
    if len(points) < 2 or all(point.moments.level.dark for point in points):
        return False
    signals = [point.mean - black.level_dn for point in points]
    noise = min(point.variance for point in points) ** 0.5
    smallest = max(_MIN_STEP * max(signals), _MIN_STEP_SIGMAS * noise)
    return bool(max(signals) - min(signals) > smallest)


def _weighted_line(
    points: list[TransferPoint], black: Black
) -> tuple[list[TransferPoint], TransferLine]:
    """Fit all usable levels, leaving out bright ones whose variance shows that they saturate."""
    while True:
        used = _require_two(points, black)
        line = fit_weighted(points_of(used, black.level_dn))
        brightest = max(used, key=lambda point: point.mean)
        rest = [point for point in used if point is not brightest]
        if not _differ_in_light(rest, black):
            return points, line
        others = fit_weighted(points_of(rest, black.level_dn))
        signal = brightest.mean - black.level_dn
        expected = float(others.variance_at(np.array(signal))) + brightest.quantisation
        error = expected * (2 / brightest.dof) ** 0.5
        error = float(np.hypot(error, others.covariance[1, 1] ** 0.5 * signal))
        short = expected - brightest.variance
        if short < (1 - _SHORTFALL) * expected or short < _SHORTFALL_SIGMAS * error:
            return points, line
        share = 100 * brightest.variance / expected
        reason = f"{SATURATES}: it has {share:.0f} % of the variance that darker levels predict"
        points = [replace(p, why_not=reason) if p is brightest else p for p in points]


def _emva_line(
    points: list[TransferPoint], black: Black, saturation_dn: float, bits: int
) -> tuple[list[TransferPoint], TransferLine]:
    """Fit as in EMVA 1288: two reads per level, each minus the dark level of its exposure."""
    _require_two(points, black)
    unfitted, points = points, [_emva_point(point, bits) for point in points]
    dark = [point for point in points if point.moments.level.dark and not point.why_not]
    if not dark:
        left_out = _reasons([point for point in points if point.moments.level.dark])
        raise CalibrationError(
            f"the protocol emva subtracts the dark level, but none can be used{left_out}: add "
            "dark captures, or use the protocol weighted"
        )
    reach = _EMVA_RANGE * (saturation_dn - black.level_dn)
    limited = []
    for point in points:
        above = not point.moments.level.dark and point.mean - black.level_dn > reach
        if above and not point.why_not:
            point = replace(point, why_not="it is above 70 % of saturation")
        limited.append(point)
    lit = [point for point in limited if not point.moments.level.dark and not point.why_not]
    if not lit:
        raise CalibrationError(
            "the protocol emva fits lit levels up to 70 % of saturation, but there is none: add "
            "darker levels, or use the protocol weighted"
        )
    partners = [_nearest_dark(dark, point.moments.level.exposure) for point in lit]
    shortest = min(dark, key=lambda point: point.moments.level.exposure)
    if shortest.variance < EMVA_MIN_DARK_DN2:
        exact = next(point for point in unfitted if point.moments is shortest.moments)
        rows = max(exact.row.variance, 0.0)
        shortest = replace(exact, variance=exact.variance + rows)
    line = fit_emva(
        points_of(lit, black.level_dn),
        points_of(partners, black.level_dn),
        points_of([shortest], black.level_dn),
    )
    return limited, line


def _emva_point(point: TransferPoint, bits: int) -> TransferPoint:
    if point.why_not:
        return point
    pair = point.moments
    if pair.reads > 2:
        pair = moments_of(replace(pair.level, reads=pair.level.reads[:2]), bits)
    return replace(
        point,
        variance=pair.total_variance,
        dof=pair.total_dof,
        quantisation=ROUNDING_DN2,
    )


def _nearest_dark(dark: Sequence[TransferPoint], exposure: float) -> TransferPoint:
    return min(dark, key=lambda point: abs(point.moments.level.exposure - exposure))


def _row_noise(points: Sequence[TransferPoint]) -> VarianceComponent:
    """Return the temporal row noise of all usable levels, with weights as if there were none.

    Weights from the mean squares themselves would favour levels whose row noise is low by chance.
    """
    usable = distinct_slots([point for point in points if not point.why_not])
    squares = np.array([point.row.square for point in usable])
    errors = np.array([point.row.error for point in usable])
    noises = np.array([point.row.noise for point in usable])
    weights = (squares / (errors * noises)) ** 2
    weights = weights / weights.sum()
    return VarianceComponent(
        float(squares @ weights), float(np.linalg.norm(errors * weights)), float(noises @ weights)
    )


def distinct_slots(points: Sequence[TransferPoint]) -> list[TransferPoint]:
    """Return the points that share no slots with each other, and so no row or frame offsets.

    In a tiled map, the level with the most reads is read in every slot in which another is.
    """
    tiled = [point for point in points if point.moments.level.pixels is not None]
    most = max((point.moments.reads for point in tiled), default=0)
    return [p for p in points if p.moments.level.pixels is None or p.moments.reads == most]
