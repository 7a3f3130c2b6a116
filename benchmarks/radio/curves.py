"""Curves of PSNR over symbols, compared clip by clip.

A curve goes through the points of a method: at each, symbols and PSNR are means over the clips, as
methods spend more on one clip than on another. Between points it is a piecewise cubic (PCHIP) over
the logarithm of symbols. Intervals are bootstrapped over clips, because users will have other ones;
a resample takes the same clips of both methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.maps.scores import CONFIDENCE, Interval

RESAMPLES = 2000
_STEPS = 60
"""Places between which a difference of curves is averaged."""

Float = NDArray[np.float64]
Picks = NDArray[np.intp]
"""Clips whose means make a curve, shape (R, n): R curves are compared at once."""

Measure = Callable[[Picks], Float]
"""Takes picks and returns one value for each of the R."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The points of a method, ascending in symbols.

    Attributes
    ----------
    symbols, psnr : ndarray of float64, shape (points, clips)
        Complex symbols per window, and PSNR in dB.
    """

    symbols: Float
    psnr: Float

    @classmethod
    def of(cls, points: Sequence[tuple[Float, Float]]) -> Curve:
        """Return the curve of points (symbols, PSNR) in any order."""
        ordered = sorted(points, key=lambda point: point[0].mean())
        symbols, psnr = zip(*ordered, strict=True)
        return cls(np.stack(symbols), np.stack(psnr))

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(self.symbols[0])

    def drawn(self, picks: Picks) -> tuple[Float, Float]:
        """Return log symbols and PSNR of the points, (R, points) each."""
        symbols, psnr = (each[:, picks].mean(2).T for each in (self.symbols, self.psnr))
        return np.log(symbols), psnr


def psnr_at(curve: Curve, symbols: float, picks: Picks) -> Float:
    """Return the PSNR at a number of symbols, dB; NaN outside of the curve."""
    places, psnr = curve.drawn(picks)
    here = np.full((len(picks), 1), np.log(symbols))
    inside = (places[:, :1] <= here) & (here <= places[:, -1:])
    return np.where(inside, pchip(places, psnr, here), np.nan)[:, 0]


def bd_psnr(curve: Curve, rival: Curve, picks: Picks) -> Float:
    """Return the mean PSNR of a curve over its rival's, in dB, where both are measured.

    Bjontegaard's metric (ITU-T VCEG-M33) with piecewise cubics, as in the common test conditions of
    JCT-VC; NaN where no number of symbols is common to both.
    """
    return _mean_difference(curve.drawn(picks), rival.drawn(picks))


def bd_rate(curve: Curve, rival: Curve, picks: Picks) -> Float:
    """Return the symbols of a curve over its rival's at equal PSNR, less 1: -0.2 saves a fifth.

    As `bd_psnr`, with the axes exchanged, over the PSNR that both reach. A point that is no better
    than one of fewer symbols counts as one of that PSNR.
    """
    one, other = (_inverted(each.drawn(picks)) for each in (curve, rival))
    return np.asarray(np.expm1(_mean_difference(one, other)))


def everyone(clips: int) -> Picks:
    """Return the picks of all clips, once."""
    return np.arange(clips)[np.newaxis]


def interval(measure: Measure, clips: int, seed: int = 0) -> Interval:
    """Return a measure over all clips, and the interval of it over resampled clips.

    A resample in which the measure is not defined, as curves do not overlap there, is left out; the
    interval is NaN where that is more than one in twenty.
    """
    value = float(measure(everyone(clips))[0])
    found = measure(np.random.default_rng(seed).integers(clips, size=(RESAMPLES, clips)))
    found = found[np.isfinite(found)]
    if len(found) < 0.95 * RESAMPLES:
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return Interval(value, float(low), float(high))


def crossings(curve: Curve, rival: Curve, picks: Picks) -> list[float]:
    """Return the symbols at which a curve passes its rival; `picks` of shape (1, n)."""
    one, other = curve.drawn(picks), rival.drawn(picks)
    places = _common(one[0], other[0])
    (difference,) = pchip(*one, places) - pchip(*other, places)
    turns = np.flatnonzero(np.abs(np.diff(np.sign(difference))) > 0)  # not where it is NaN
    shares = difference[turns] / (difference[turns] - difference[turns + 1])
    found = np.exp(places[0, turns] + shares * np.diff(places[0])[turns])
    return [float(symbols) for symbols in found]


def pchip(x: Float, y: Float, at: Float) -> Float:
    """Interpolate R functions at once by piecewise cubics that keep them monotone.

    Parameters
    ----------
    x, y : ndarray of float64, shape (R, points)
        Ascending places, at least two, and values.
    at : ndarray of float64, shape (R, places)
        Where to evaluate; NaN gives NaN.

    Notes
    -----
    Fritsch and Butland's slopes, as in SciPy's `PchipInterpolator`, which takes one function.
    """
    step = np.diff(x)
    secant = np.diff(y) / step
    slope = np.empty_like(y)
    before, after = secant[:, :-1], secant[:, 1:]
    one, two = step[:, :-1] + 2 * step[:, 1:], 2 * step[:, :-1] + step[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (one + two) / (one / before + two / after)
    slope[:, 1:-1] = np.where(before * after > 0, inner, 0)
    for end, near, far in ((0, 0, 1), (-1, -1, -2)):
        slope[:, end] = (
            secant[:, near] if step.shape[1] == 1 else _end_slope(step, secant, near, far)
        )
    rows = np.arange(len(x))[:, np.newaxis]
    place = (at[:, :, np.newaxis] >= x[:, np.newaxis, 1:-1]).sum(2)
    width = step[rows, place]
    t = (at - x[rows, place]) / width
    low, high = y[rows, place], y[rows, place + 1]
    left, right = width * slope[rows, place], width * slope[rows, place + 1]
    cubic = t * t * (3 - 2 * t)
    return np.asarray(
        low + (high - low) * cubic + left * t * (1 - t) ** 2 - right * t * t * (1 - t)
    )


def _end_slope(step: Float, secant: Float, near: int, far: int) -> Float:
    """Return the slope at an end: of a parabola, bounded so that no value overshoots."""
    h, g, m, k = step[:, near], step[:, far], secant[:, near], secant[:, far]
    slope = ((2 * h + g) * m - h * k) / (h + g)
    slope = np.where(slope * m <= 0, 0, slope)
    return np.where((m * k <= 0) & (np.abs(slope) > 3 * np.abs(m)), 3 * m, slope)


def _mean_difference(one: tuple[Float, Float], other: tuple[Float, Float]) -> Float:
    places = _common(one[0], other[0])
    difference = pchip(*one, places) - pchip(*other, places)
    return np.asarray(np.trapezoid(difference, dx=1 / (_STEPS - 1), axis=1))


def _common(one: Float, other: Float) -> Float:
    """Return (R, _STEPS) places of the range that both cover, NaN where there is none."""
    low, high = np.maximum(one[:, 0], other[:, 0]), np.minimum(one[:, -1], other[:, -1])
    share = np.linspace(0, 1, _STEPS)
    places = low[:, np.newaxis] + (high - low)[:, np.newaxis] * share
    return np.where((low < high)[:, np.newaxis], places, np.nan)


def _inverted(curve: tuple[Float, Float]) -> tuple[Float, Float]:
    """Exchange the axes; PSNR rises, if only by a trifle, from point to point."""
    places, psnr = curve
    trifle = 1e-9 * np.arange(psnr.shape[1])
    return np.maximum.accumulate(psnr, axis=1) + trifle, places
