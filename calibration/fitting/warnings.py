"""Warnings: what the two-parameter model misses, in words for the person at the bench."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.stats import t as student

from focalloop.calibration.fitting.analysis import EMVA_MIN_DARK_DN2, SATURATES, Analysis
from focalloop.calibration.fitting.intervals import STANDS_OUT
from focalloop.calibration.fitting.photon_transfer import MISFIT_P
from focalloop.calibration.result import NORMAL_95
from focalloop.calibration.settings import MAX_SHADING

_MIN_SHARE = 0.02
"""Smallest disturbance that is reported, relative to the noise that it adds to."""

_TREND_P = 1e-3
"""p-value below which the frame means of a level are reported to drift."""

_MAX_TEMPERATURE_SPREAD_C = 2.0
"""Largest difference of temperature between levels that is not reported."""


def warnings_of(analysis: Analysis) -> tuple[str, ...]:
    """Return a sentence for each thing that the user should know, the most serious first."""
    return (
        *_misfit(analysis),
        *_bend(analysis),
        *_saturation(analysis),
        *_rows_and_columns(analysis),
        *_drift(analysis),
        *_data(analysis),
        *_light(analysis),
    )


def _misfit(analysis: Analysis) -> Iterator[str]:
    fit = analysis.line.fit
    if fit.dof > 0 and fit.p_value < MISFIT_P:
        yield (
            f"The variance does not grow linearly with the light (reduced chi-square "
            f"{fit.chi2_reduced:.3g}, p = {fit.p_value:.2g}), so the two-parameter model does not "
            "hold to the precision of these data. The intervals are therefore "
            f"{fit.chi2_reduced**0.5:.1f} times as wide, and the residuals show at which light "
            "levels the model fails."
        )
    if analysis.line.gain_ci95[0] <= 0:
        yield "Shot noise cannot be distinguished from zero: use brighter levels or more reads."
    if analysis.line.offset_ci95[0] <= 0:
        yield "Read noise cannot be distinguished from zero: use dark reads, or more of them."


def _bend(analysis: Analysis) -> Iterator[str]:
    curve, linearity = analysis.curve, analysis.linearity
    if curve is not None:
        if curve.significant and not curve.bent:
            yield (
                f"The response bends too much for a curve of two coefficients (bend "
                f"{curve.response.bend:.2g}, bend_cubic {curve.response.bend_cubic:.2g}): it is "
                "taken as straight, so gain and noise are averages over the range."
            )
    elif linearity is not None and linearity.bent:
        half = 100 * NORMAL_95 * linearity.bend_error
        size = 100 * linearity.bend
        yield (
            f"The response is not linear: at full scale it lies {abs(size):.2g} % "
            f"{'below' if size < 0 else 'above'} its initial straight line (95 % interval "
            f"{size - half:.2g} to {size + half:.2g} %; EMVA 1288 linearity error "
            f"{100 * linearity.error:.2g} %), which bends the photon transfer curve too."
        )
    elif analysis.protocol == "weighted":
        yield (
            "There are too few spans to tell whether the response bends, so gain and noise are "
            "those of a straight one: read three spans or more under one light, or two under each "
            "of two lights."
        )


def _saturation(analysis: Analysis) -> Iterator[str]:
    for point in analysis.points:
        if point.why_not.startswith(SATURATES):
            name = point.moments.level.name or "the brightest level"
            yield (
                f"The range of light includes saturation: {name} is left out because "
                f"{point.why_not}. Replace it by a darker level."
            )


def _rows_and_columns(analysis: Analysis) -> Iterator[str]:
    darkest = min(analysis.used, key=lambda point: point.mean)
    noise = math.sqrt(max(darkest.variance, 1e-12))
    if analysis.row.stands_out:
        rows = math.sqrt(analysis.row.variance)
        if rows > _MIN_SHARE * noise:
            where = (
                "the dark noise of EMVA 1288 includes it, s_r does not"
                if analysis.protocol == "emva"
                else "s_r does not include it, row_noise in the profile does"
            )
            yield (
                f"There is temporal row noise of {rows:.2g} DN, an offset that is common to a row "
                f"and new in each read. The two-parameter model does not have it: {where}."
            )
    lit = [point.moments for point in analysis.used]
    weights = np.array([moments.column.error**-2 for moments in lit])
    columns = float(np.array([moments.column.variance for moments in lit]) @ weights)
    columns /= float(weights.sum())
    if columns > STANDS_OUT * weights.sum() ** -0.5 and columns > (_MIN_SHARE * noise) ** 2:
        yield (
            f"There is temporal column noise of {math.sqrt(columns):.2g} DN, an offset that is "
            "common to a column and new in each read. The profile has no such term; s_r includes "
            "it."
        )


def _drift(analysis: Analysis) -> Iterator[str]:
    for point in analysis.used:
        means = point.moments.frame_means
        if len(means) < 4:
            continue
        place = np.arange(len(means)) - (len(means) - 1) / 2
        slope = float(place @ means / (place @ place))
        scatter = means - means.mean() - slope * place
        error = math.sqrt(float(scatter @ scatter) / (len(means) - 2) / float(place @ place))
        change = slope * (len(means) - 1)
        size = abs(point.mean - analysis.black.level_dn)
        matters = abs(change) > max(0.005 * size, 0.3 * math.sqrt(point.variance))
        if matters and 2 * student.sf(abs(slope) / max(error, 1e-12), len(means) - 2) < _TREND_P:
            what = "black level" if point.moments.level.dark else "light"
            yield (
                f"The {what} drifts steadily in {point.moments.level.name or 'a level'}, by "
                f"{change:+.2g} DN from the first read to the last: let board and lamp warm up."
            )
    temperatures = [point.moments.level.temperature_c for point in analysis.points]
    known = [celsius for celsius in temperatures if celsius is not None]
    if known and max(known) - min(known) > _MAX_TEMPERATURE_SPREAD_C:
        yield (
            f"The temperature changed from {min(known):.1f} to {max(known):.1f} °C between "
            "levels, and dark signal and black level depend on it: let the board warm up."
        )


def _data(analysis: Analysis) -> Iterator[str]:
    dark = [point for point in analysis.points if point.moments.level.dark]
    clipped = [point for point in analysis.used if point.clipped]
    if clipped:
        share = 100 * clipped[0].moments.fraction_at(0)
        yield (
            f"{len(clipped)} level{'s are' if len(clipped) > 1 else ' is'} clipped at code 0 "
            f"({share:.2g} % of the codes of {clipped[0].moments.level.name or 'the dark level'}): "
            "the noise is estimated by a likelihood of clipped codes, which assumes that it is "
            "Gaussian. A black level of 5 times the noise needs no such assumption."
        )
    darkest = analysis.dark[0].moments.total_variance if analysis.dark else math.inf
    if darkest < EMVA_MIN_DARK_DN2 and not clipped:
        yield (
            f"The dark variance of {darkest:.2g} DN² is below {EMVA_MIN_DARK_DN2} DN², where "
            "quantisation dominates (EMVA 1288): the read noise is estimated by a model of the "
            "rounding, which assumes that it is Gaussian. A higher gain needs no such assumption."
        )
    if not dark:
        yield "There is no dark level, so the declared black level is used as it is."
    for point in dark:
        if point.why_not:
            yield f"{point.moments.level.name or 'A dark level'} is not used: {point.why_not}."
    declared, black = analysis.readings.black_level_dn, analysis.black
    if declared is not None and analysis.dark:
        off = black.level_dn - declared
        if abs(off) > max(0.5, 2 * black.level_half):
            yield (
                f"The black level is {black.level_dn:.4g} DN, but the board declares "
                f"{declared:.4g}: signals computed with the declared value are {off:+.2g} DN off."
            )
    offset = analysis.pattern.offset
    if offset is not None and offset[1].row.stands_out:
        yield (
            f"Rows have fixed offsets of {math.sqrt(offset[1].row.variance):.2g} DN. The noise "
            "profile has no term for them, so the emulator leaves them out."
        )
    single = [level for level in analysis.readings.levels if len(level.reads) < 2]
    if single:
        yield (
            f"{len(single)} level{'s' if len(single) > 1 else ''} with only one read "
            f"({single[0].name or 'unnamed'}) left out, because noise is measured from the "
            "difference of two reads."
        )


def _light(analysis: Analysis) -> Iterator[str]:
    gain = analysis.pattern.gain
    if gain is not None and gain[1].shading > MAX_SHADING:
        yield (
            f"The light is uneven over the array by {100 * gain[1].shading:.2g} % (standard "
            "deviation of the smooth part, which PRNU excludes): use an integrating sphere or "
            "more distance."
        )
