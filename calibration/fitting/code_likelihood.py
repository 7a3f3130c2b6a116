"""Read noise from codes that are clipped at 0 or coarser than the noise: a maximum likelihood.

Each pixel has an offset ``a ~ N(mean, pattern**2)``; its reads are ``a + frame[r] + noise``,
rounded to the nearest code, with the lowest and the highest code open-ended. The probability of
the codes of a pixel in a group of reads is the integral over ``a`` of the product of their
probabilities; for two reads, that is a rectangle under a bivariate normal distribution
(``docs/calibration-math.md``, "Clipped and coarse codes").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr

from focalloop.calibration.fitting.moments import Moments

_GROUP = 4
"""Reads in a joint histogram: with more, the codes of almost every pixel would be unique."""

_PATTERN_REACH = 5.5
"""Limits of the integral over a pixel's offset, in standard deviations."""

_MIN_DEVIATION_DN = 1e-3
"""Lower bound of noise and pattern in the fit, DN: no histogram distinguishes less from 0."""

_STEP = 2e-3
"""Step of the second differences, in units of the spread and in logarithms."""


@dataclass(frozen=True)
class CodeFit:
    """Maximum of the likelihood.

    Attributes
    ----------
    mean : float
        Mean before rounding and clipping, DN; negative where most of the distribution is clipped.
    variance, variance_error : float
        Temporal variance with row noise and without quantisation, DN^2, and its standard error
        from the observed information, infinite where the codes do not determine it.
    pattern_variance : float
        Variance of the pixels' fixed offsets, DN^2.
    slope : float
        Derivative of the mean code with respect to `mean`: the share of the distribution that is
        not clipped.
    """

    mean: float
    variance: float
    variance_error: float
    pattern_variance: float
    slope: float


@dataclass(frozen=True, eq=False)
class _Tuples:
    """Distinct code tuples (U, G) of a group of G reads.

    `counts` (U,) is the number of pixels with each tuple, and `deviations` (G,) the difference of
    each frame's mean from that of all frames.
    """

    codes: NDArray[np.int64]
    counts: NDArray[np.int64]
    deviations: NDArray[np.float64]


def fit_codes(moments: Moments, bits: int) -> CodeFit:
    """Fit mean, temporal and fixed-pattern noise of one level to its codes.

    Parameters
    ----------
    moments : Moments
        Moments of the level, whose reads are gone through once more.
    bits : int
        Resolution of the ADC: codes 0 and ``2**bits - 1`` are open-ended.

    Returns
    -------
    CodeFit
        Its error is infinite where the codes hold no information about the noise.
    """
    top = (1 << bits) - 1
    groups = _tuples_of(moments)
    spread = math.sqrt(max(moments.total_variance + moments.spatial_variance() - 1 / 12, 0.05))
    noise = math.sqrt(max(moments.variance - 1 / 12, 0.03))
    pattern = math.sqrt(max(moments.spatial_variance(), 0.01))
    start = np.array([moments.mean / spread, math.log(noise), math.log(pattern)])

    def loss(parameters: NDArray[np.float64]) -> float:
        return _loss(parameters, spread, groups, top)

    found = minimize(loss, start, method="L-BFGS-B", bounds=_bounds(spread, top)).x
    noise, pattern = math.exp(found[1]), math.exp(found[2])
    free = [0, 1, 2] if pattern > 10 * _MIN_DEVIATION_DN else [0, 1]
    information = _hessian(loss, found, free)
    with np.errstate(all="ignore"):
        try:
            log_error = float(np.sqrt(np.linalg.inv(information)[1, 1]))
        except np.linalg.LinAlgError:
            log_error = math.inf
    known = math.isfinite(log_error) and noise > 10 * _MIN_DEVIATION_DN
    mean = float(found[0]) * spread
    return CodeFit(
        mean=mean,
        variance=noise**2,
        variance_error=2 * noise**2 * log_error if known else math.inf,
        pattern_variance=pattern**2,
        slope=_slope(mean, math.hypot(noise, pattern), top),
    )


def _bounds(spread: float, top: int) -> list[tuple[float, float]]:
    lowest, largest = math.log(_MIN_DEVIATION_DN), math.log(2.0 * top)
    return [(-top / spread, 2 * top / spread), (lowest, largest), (lowest, largest)]


def _tuples_of(moments: Moments) -> list[_Tuples]:
    reads, pixels = moments.level.reads, moments.pixels
    parts = np.array_split(np.arange(len(reads)), math.ceil(len(reads) / _GROUP))
    groups = []
    for part in parts:
        codes = np.stack([reads[index][pixels] for index in part], axis=1).astype(np.int64)
        lowest = int(codes.min())
        base = int(codes.max()) - lowest + 1
        powers = base ** np.arange(len(part), dtype=np.int64)
        keys, counts = np.unique((codes - lowest) @ powers, return_counts=True)
        distinct = keys[:, None] // powers % base + lowest
        groups.append(_Tuples(distinct, counts, moments.frame_means[part] - moments.mean))
    return groups


def _loss(parameters: NDArray[np.float64], spread: float, groups: list[_Tuples], top: int) -> float:
    """Negative log-likelihood of all groups at (mean / spread, log noise, log pattern)."""
    mean, noise, pattern = parameters[0] * spread, math.exp(parameters[1]), math.exp(parameters[2])
    slope = max(_slope(mean, math.hypot(noise, pattern), top), 1e-3)
    total = 0.0
    for group in groups:
        reads = group.codes.shape[1]
        # For normal curves, a trapezoid sum finer than the likelihood of one offset is exact.
        steps = math.ceil(2 * _PATTERN_REACH * pattern * math.sqrt(reads) / noise)
        nodes = np.linspace(-_PATTERN_REACH, _PATTERN_REACH, min(max(steps, 17), 400))
        weights = np.exp(-0.5 * nodes**2)
        offsets = mean + pattern * nodes
        lowest, highest = int(group.codes.min()), int(group.codes.max())
        edges = np.arange(lowest, highest + 2) - 0.5
        if lowest == 0:
            edges[0] = -np.inf
        if highest == top:
            edges[-1] = np.inf
        log_joint = np.zeros((len(group.counts), len(nodes)))
        for index in range(reads):
            centres = offsets + group.deviations[index] / slope
            below = ndtr((edges[:, None] - centres) / noise)
            above = ndtr((centres - edges[:, None]) / noise)
            # Differences of the smaller tail keep their digits far from the centre.
            inside = np.maximum(np.diff(below, axis=0), -np.diff(above, axis=0))
            log_joint += np.log(np.maximum(inside, 1e-280))[group.codes[:, index] - lowest]
        peak = log_joint.max(1)
        joint = np.exp(log_joint - peak[:, None]) @ (weights / weights.sum())
        total -= float(group.counts @ (np.log(joint) + peak))
    return total


def _slope(mean: float, spread: float, top: int) -> float:
    low = max(0, math.floor(mean - 8 * spread))
    high = min(top, math.ceil(mean + 8 * spread))
    thresholds = np.arange(low, max(high, low + 1)) + 0.5
    density = np.exp(-0.5 * ((thresholds - mean) / spread) ** 2)
    return float(density.sum() / (spread * math.sqrt(2 * math.pi)))


def _hessian(
    loss: Callable[[NDArray[np.float64]], float], at: NDArray[np.float64], free: list[int]
) -> NDArray[np.float64]:
    """Return the second differences of `loss` at its minimum for the `free` parameters."""
    steps = np.eye(len(at))[free] * _STEP
    hessian = np.empty((len(free), len(free)))
    for i, j in combinations_with_replacement(range(len(free)), 2):
        up, down = steps[i] + steps[j], steps[i] - steps[j]
        difference = loss(at + up) - loss(at + down) - loss(at - down) + loss(at - up)
        hessian[i, j] = hessian[j, i] = difference / (4 * _STEP**2)
    return hessian
