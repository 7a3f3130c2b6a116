"""Figures of the calibration report: the data, caption and legend of each.

Each function returns a ``figure`` element, or "" if the calibration has no data for it. The
figures are those that EMVA 1288 Release 4 requires, and the residuals and quantiles that show
whether the fit can be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.report.charts import Axis, Chart, block_side, map_figure, number
from focalloop.calibration.result import NORMAL_95, Calibration, LevelSummary, Pattern

_BIN_COUNT = 96
_HISTOGRAM_REACH = 8.0
"""Ends of a histogram, in standard deviations of the bulk of the pixels."""


def photon_transfer(calibration: Calibration) -> str:
    """Draw temporal variance against mean, the fit, and the levels that it leaves out."""
    levels = calibration.levels
    x, y = _above_black(calibration), _column(levels, "variance_dn2")
    spread = NORMAL_95 * _column(levels, "variance_error_dn2")
    used = np.array([level.used for level in levels])
    model = _column(levels, "model_variance_dn2")
    order = np.argsort(x)
    chart = Chart(
        Axis.around("mean above black, DN", x, include=[min(0.0, float(x.min()))]),
        Axis.around("temporal variance, DN²", y - spread, y + spread, model, include=[0.0]),
        f"Photon transfer curve: variance against mean of {len(levels)} levels, with the fit",
    ).line(x[order], model[order], "model")
    _dots(chart, x, y, spread, used, [_name(level) for level in levels])
    legend = [
        ("data dots", "level, 95 % interval"),
        *_left_out(used, "level left out of the fit"),
        ("model", "fit"),
    ]
    return _figure(
        "Photon transfer curve",
        "Variance against light. Its slope is the shot noise, its value at zero the read noise.",
        chart.svg(),
        legend,
    )


def residuals(calibration: Calibration) -> str:
    """Draw the deviation of each level from the fit, in standard errors."""
    levels = calibration.levels
    x, error = _above_black(calibration), _column(levels, "variance_error_dn2")
    off = _column(levels, "variance_dn2") - _column(levels, "model_variance_dn2")
    off = np.divide(off, error, out=np.full(len(off), np.nan), where=error > 0)
    used = np.array([level.used for level in levels])
    y_axis = Axis.around("deviation, standard errors", off[used])
    reach = max(3.0, 1.06 * max(abs(y_axis.low), abs(y_axis.high)))
    chart = Chart(
        Axis.around("mean above black, DN", x, include=[min(0.0, float(x.min()))]),
        Axis(y_axis.label, -reach, reach),
        "Residuals: deviation of each level's variance from the fit, in standard errors",
    )
    chart.rule("model", y=0.0).rule("left-out", y=NORMAL_95).rule("left-out", y=-NORMAL_95)
    _dots(chart, x, off, np.full(len(x), np.nan), used, [_name(level) for level in levels])
    fit = calibration.fit
    judged = (
        f"Reduced chi-square {number(fit.chi2_reduced)}, p = {number(fit.p_value, 2)}."
        if fit.dof > 0
        else "As many levels as parameters: the fit goes through them, and nothing can be tested."
    )
    legend = [
        ("data dots", "level"),
        *_left_out(used, "level left out; off the scale at the end"),
        ("left-out dash", "95 % range of chance"),
    ]
    return _figure(
        "Residuals of the fit",
        f"{judged} If the model holds, about 19 of 20 levels lie between the dashed lines.",
        chart.svg(),
        legend,
    )


def signal_to_noise(calibration: Calibration) -> str:
    """Draw the signal-to-noise ratio of one read against the signal, with the shot noise limit."""
    curve, s_ss = calibration.snr, calibration.profile.s_ss
    if len(curve.x) < 2:
        return ""
    legend = [("data", "one read")]
    limit = np.sqrt(curve.x) / s_ss if s_ss > 0 else None
    chart = Chart(
        Axis.around("signal, full scale = 1", curve.x, log=True),
        Axis.around("signal-to-noise ratio", curve.y, () if limit is None else limit, log=True),
        "Signal-to-noise ratio of one read against the signal",
    )
    if limit is not None:
        chart.line(curve.x, limit, "left-out dash")
        legend.append(("left-out dash", "limit: shot noise alone"))
    chart.rule("second", y=1.0).line(curve.x, curve.y, "data")
    legend.append(("second", "signal equal to its noise"))
    return _figure(
        "Signal-to-noise ratio",
        "By the fitted model, with all temporal noise of one read (EMVA 1288, section 2.3).",
        chart.svg(),
        legend,
    )


def response(calibration: Calibration) -> str:
    """Draw how far the response is from straight, and how far the levels are from the response."""
    found = calibration.response
    if found is None:
        return ""
    x, spread, half = found.signals, 100 * NORMAL_95 * found.errors, 100 * found.half
    curve = 100 * found.curve.y
    straight = 100 * (found.reads - x)
    residual = straight - np.interp(x, found.curve.x, curve)
    names = [
        f"{name}: signal {number(e, 4)}, {number(off, 2)} % of full scale from the straight line"
        for name, e, off in zip(found.names, x, straight, strict=True)
    ]
    across = Axis.around("signal, full scale = 1", x, include=[0.0])
    shown = found.curve.x <= across.high
    bent = Chart(
        across,
        Axis.around(
            "deviation from straight, % of full scale",
            straight - spread, straight + spread, (curve - half)[shown], (curve + half)[shown], 0.0,
        ),
        "Response: deviation of the means from a straight line over the signal, with the curve",
    ).rule("left-out", y=0.0)  # fmt: skip
    for line in (curve - half, curve + half):
        bent.line(found.curve.x[shown], line[shown], "left-out dash")
    bent.line(found.curve.x[shown], curve[shown], "model")
    left = Chart(
        across,
        Axis.around("residual, % of full scale", residual - spread, residual + spread, 0.0),
        "Residuals of the response: deviation of each level's mean from the curve",
    ).rule("model", y=0.0)
    used = np.ones(len(x), np.bool_)
    _dots(bent, x, straight, spread, used, names)
    _dots(left, x, residual, spread, used, names)
    legend = [("data dots", "level, 95 % interval"), ("model", "curve")]
    has = "has none" if calibration.profile.response.straight else "has it"
    return _figure(
        "Response curve",
        f"Spans under one light expose in exact ratios, which draw this curve. The profile {has}.",
        bent.svg(),
        [*legend, ("left-out dash", "95 % interval of the curve")],
    ) + _figure(
        "Residuals of the response",
        "Deviation of each level's mean from the curve.",
        left.svg(),
        legend,
    )


def linearity(calibration: Calibration) -> str:
    """Draw the response to light beside a straight line, and its deviation from the line."""
    points = calibration.linearity
    if len(points) < 2:
        return ""
    x, used = _column(points, "exposure"), np.array([point.used for point in points])
    mean, line = _column(points, "mean_dn"), _column(points, "fitted_dn")
    names = [f"{number(p.mean_dn, 5)} DN, line {number(p.fitted_dn, 5)} DN" for p in points]
    none = np.full(len(x), np.nan)
    response = Chart(
        Axis.around("exposure", x, include=[0.0]),
        Axis.around("mean above dark, DN", mean, line, include=[0.0]),
        "Response: mean of each level against exposure, with a straight line",
    ).line(x, line, "model")
    _dots(response, x, mean, none, used, names)
    error = 100 * _column(points, "error")
    reach = max(0.1, 1.3 * float(np.nanmax(np.abs(error[used]), initial=0.0)))
    chart = Chart(
        Axis.around("exposure", x, include=[0.0]),
        Axis("deviation from the line, %", -reach, reach),
        "Linearity error: deviation of each level's mean from a straight line, in percent",
    ).rule("model", y=0.0)
    chart.line(x[used], error[used], "data thin")
    _dots(chart, x, error, none, used, names)
    legend = [
        ("data dots", "level"),
        *_left_out(used, "outside the range of the fit; off the scale at the end"),
        ("model", "straight line"),
    ]
    return _figure(
        "Response",
        "Mean signal against exposure.",
        response.svg(),
        legend,
    ) + _figure(
        "Linearity error",
        "Deviation of the response from the line (EMVA 1288, section 6.7).",
        chart.svg(),
        legend,
    )


def read_noise_quantiles(calibration: Calibration) -> str:
    """Draw the quantiles of the read noise against those of a normal distribution."""
    curve = calibration.read_noise_quantiles
    if curve is None or len(curve.x) < 2:
        return ""
    axis = Axis.around("normal quantile, σ", curve.x, curve.y)
    ends = [axis.low, axis.high]
    chart = Chart(
        axis,
        Axis("read noise, σ", axis.low, axis.high),
        "Quantiles of the standardised read noise against normal ones",
    )
    chart.line(ends, ends, "model").points(curve.x, curve.y, "data")
    return _figure(
        "Is the read noise normal?",
        "If the dots lie on the line, it is. Bent ends mean rare large deviations, such as "
        "blinking pixels; steps are the codes of the ADC.",
        chart.svg(),
        [("data dots", "darkest level"), ("model", "normal distribution")],
    )


def patterns(calibration: Calibration) -> list[tuple[str, str]]:
    """Draw the fixed patterns of offset and gain: maps, histograms, row and column profiles.

    Returns
    -------
    list of (heading, figures)
    """
    drawn = []
    if calibration.offset is not None:
        drawn.append(("Offset of each pixel: DSNU", _pattern(calibration.offset, "DN", 1.0)))
    if calibration.gain is not None:
        drawn.append(("Gain of each pixel: PRNU", _pattern(calibration.gain, "%", 100.0)))
    return drawn


def _pattern(pattern: Pattern, unit: str, factor: float) -> str:
    values = np.asarray(pattern.values, np.float64) * factor
    height, width = values.shape
    what = "offset" if unit == "DN" else "gain"
    side = block_side(values.shape)
    averaged = f", averaged in blocks of {side} × {side}" if side > 1 else ""
    drawn_map = _figure(
        "Map",
        f"{width} × {height} pixels{averaged}; deviation from the mean, including the temporal "
        "noise of the mean.",
        map_figure(values, unit, f"Map of the pixels' {what}"),
    )
    return drawn_map + _histogram(values, what, unit) + _profiles(pattern, what, unit, factor)


def _histogram(values: NDArray[np.float64], what: str, unit: str) -> str:
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return ""
    left, middle, right = np.quantile(known, [0.159, 0.5, 0.841])
    sigma = float(right - left) / 2 or float(known.std())
    low = max(float(known.min()), float(middle) - _HISTOGRAM_REACH * sigma)
    high = min(float(known.max()), float(middle) + _HISTOGRAM_REACH * sigma)
    counts, edges = np.histogram(known.clip(low, high), bins=_BIN_COUNT, range=(low, high))
    at = np.linspace(low, high, 200)
    z = (at - middle) / sigma
    normal = len(known) * (edges[1] - edges[0]) / (sigma * np.sqrt(2 * np.pi)) * np.exp(-z * z / 2)
    top = 2.0 * max(float(counts.max()), float(normal.max()))
    chart = Chart(
        Axis(f"{what}, {unit}", low, high),
        Axis("pixels", 0.6, top, log=True),
        f"Histogram of the pixels' {what}, logarithmic, beside a normal distribution",
    )
    chart.bars(edges, counts, "data")
    chart.line(at, np.where(normal >= 0.6, normal, np.nan), "model")
    return _figure(
        "Histogram",
        "Logarithmic, so that single deviating pixels show; the outermost bars include all beyond.",
        chart.svg(),
        [("data", "pixels"), ("model", "normal distribution as wide as the bulk")],
    )


def _profiles(pattern: Pattern, what: str, unit: str, factor: float) -> str:
    drawn = ""
    for profile, of in ((pattern.columns, "column"), (pattern.rows, "row")):
        values = np.asarray(profile, np.float64) * factor
        at = np.arange(len(values))
        chart = Chart(
            Axis(of, 0, max(1, len(values) - 1)),
            Axis.around(f"mean {what}, {unit}", values),
            f"Mean {what} of each {of}",
        ).line(at, values, "data thin")
        drawn += _figure(f"{of.capitalize()}s", f"Mean {what} of each {of}.", chart.svg())
    return drawn


def _left_out(used: NDArray[np.bool_], text: str) -> list[tuple[str, str]]:
    """Return the legend of levels that are left out, if there are any."""
    return [] if used.all() else [("left-out dots", text)]


def _dots(
    chart: Chart,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    spread: NDArray[np.float64],
    used: NDArray[np.bool_],
    names: list[str],
) -> None:
    for kind, which in (("left-out", ~used), ("data", used)):
        chart.points(
            x[which],
            y[which],
            kind,
            low=(y - spread)[which],
            high=(y + spread)[which],
            names=[name for name, chosen in zip(names, which, strict=True) if chosen],
        )


def _above_black(calibration: Calibration) -> NDArray[np.float64]:
    return _column(calibration.levels, "signal") * calibration.profile.full_scale_dn


def _column(rows: Sequence[object], name: str) -> NDArray[np.float64]:
    return np.array([getattr(row, name) for row in rows], np.float64)


def _name(level: LevelSummary) -> str:
    text = f"{level.name}: mean {number(level.mean_dn, 5)} DN, variance "
    text += f"{number(level.variance_dn2, 4)} DN²"
    return text if level.used else f"{text}; left out: {level.why_not}"


def _figure(title: str, caption: str, drawing: str, legend: Sequence[tuple[str, str]] = ()) -> str:
    items = "".join(f'<li class="{kind}">{escape(text)}</li>' for kind, text in legend)
    keys = f'<ul class="legend">{items}</ul>' if items else ""
    return (
        f'<figure class="panel"><figcaption><b>{escape(title)}</b><span>{escape(caption)}</span>'
        f"</figcaption>{drawing}{keys}</figure>"
    )
