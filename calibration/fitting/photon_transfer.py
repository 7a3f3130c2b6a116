"""The photon transfer line ``variance = offset + gain * mean``: two fits, with their intervals.

`fit_weighted` is the maximum of the Gamma likelihood that sample variances have; `fit_emva` is the
line of EMVA 1288 Release 4 section 6.6. Everything here is in DN; ``docs/calibration-math.md``
derives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from focalloop.calibration.result import NORMAL_95, Fit

MISFIT_P = 0.01
"""p-value below which the two-parameter model is said not to hold, and intervals are widened."""

_THRESHOLD = float(chi2.ppf(0.95, 1))
_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """Points of the photon transfer curve, K of them; float64 (K,) each.

    Attributes
    ----------
    means : DN above black.
    mean_errors : standard errors of `means`, DN.
    variances : DN^2, with what `quantisation` says in them.
    dofs : degrees of freedom of `variances`.
    quantisation : DN^2, the part of `variances` that the converter adds.
    """

    means: _Array
    mean_errors: _Array
    variances: _Array
    dofs: _Array
    quantisation: _Array

    def part(self, which: NDArray[np.bool_]) -> Points:
        """Return the points that are true in `which` (K,)."""
        return Points(
            self.means[which],
            self.mean_errors[which],
            self.variances[which],
            self.dofs[which],
            self.quantisation[which],
        )


@dataclass(frozen=True, eq=False)
class TransferLine:
    """Fitted line: `offset` DN^2 (read noise squared) and `gain` DN per electron, both >= 0.

    `covariance` (2, 2) is of (offset, gain), widened where the fit's p-value is below `MISFIT_P`,
    as the intervals are.
    """

    offset: float
    gain: float
    covariance: _Array
    offset_ci95: tuple[float, float]
    gain_ci95: tuple[float, float]
    fit: Fit

    def variance_at(self, means: _Array) -> _Array:
        """Variance in DN^2, without quantisation, at `means` DN above black."""
        return self.offset + self.gain * np.maximum(means, 0.0)


def fit_weighted(points: Points) -> TransferLine:
    """Fit by Gamma likelihood: iterated weighted least squares, both parameters >= 0.

    A sample variance with ``dof`` degrees of freedom is the model's variance times chi-square over
    dof, so the deviance is ``sum(dof * (v/m - 1 - ln(v/m)))``. Errors of the means lower the
    degrees of freedom. Intervals are where the profile deviance rises by the 95 % quantile of
    chi-square with one degree of freedom, times the reduced chi-square of a fit that failed.

    Parameters
    ----------
    points : Points
        Two or more, of two different means.
    """
    design = np.column_stack([np.ones_like(points.means), np.maximum(points.means, 0.0)])
    theta = _scored(points, design, points.dofs)
    slack = (theta[1] * points.mean_errors) ** 2
    model = design @ theta + points.quantisation
    dofs = 2 * model**2 / (2 * model**2 / points.dofs + slack)
    theta = _scored(points, design, dofs)

    model = design @ theta + points.quantisation
    fit = _goodness(points.variances, model, 2 * model**2 / dofs, len(theta))
    scale = max(fit.chi2_reduced, 1.0) if fit.p_value < MISFIT_P else 1.0
    weights = _weights(points, design, dofs, theta)
    covariance = scale * np.linalg.inv((design * weights[:, None]).T @ design)
    return TransferLine(
        offset=float(theta[0]),
        gain=float(theta[1]),
        covariance=covariance,
        offset_ci95=_profile_interval(points, design, dofs, theta, covariance, scale, 0),
        gain_ci95=_profile_interval(points, design, dofs, theta, covariance, scale, 1),
        fit=fit,
    )


def fit_emva(points: Points, dark: Points, shortest: Points) -> TransferLine:
    """Fit as EMVA 1288 Release 4 section 6.6: unweighted, through the dark point.

    Parameters
    ----------
    points : Points
        Bright levels in the range of the fit: 0 to 70 % of saturation.
    dark : Points
        For each of them the dark level of its exposure; `means` as of `points`.
    shortest : Points
        The one dark level of the shortest exposure, which gives the read noise.
    """
    x = points.means - dark.means
    y = points.variances - dark.variances
    errors = 2 * points.variances**2 / points.dofs + 2 * dark.variances**2 / dark.dofs
    gain = max(float(x @ y / (x @ x)), 0.0)
    errors = errors + (gain * points.mean_errors) ** 2
    fit = _goodness(y, gain * x, errors, 1)
    scale = max(fit.chi2_reduced, 1.0) if fit.p_value < MISFIT_P else 1.0
    offset = float(shortest.variances[0] - shortest.quantisation[0])
    gain_variance = scale * float(np.sum(x**2 * errors) / np.sum(x**2) ** 2)
    offset_variance = 2 * float(shortest.variances[0] ** 2 / shortest.dofs[0])
    return TransferLine(
        offset=max(offset, 0.0),
        gain=gain,
        covariance=np.diag([offset_variance, gain_variance]),
        offset_ci95=_normal_interval(offset, offset_variance),
        gain_ci95=_normal_interval(gain, gain_variance),
        fit=fit,
    )


def _normal_interval(value: float, variance: float) -> tuple[float, float]:
    half = NORMAL_95 * math.sqrt(variance)
    return max(value - half, 0.0), max(value + half, 0.0)


def _scored(points: Points, design: _Array, dofs: _Array) -> _Array:
    """Fisher scoring from the variances themselves."""
    target = points.variances - points.quantisation
    model = points.variances
    theta = np.zeros(2)
    for _ in range(50):
        weights = dofs / (2 * model**2)
        before, theta = theta, _not_negative(design, target, weights)
        model = np.maximum(design @ theta + points.quantisation, 1e-12)
        if np.all(np.abs(theta - before) <= 1e-12 * np.abs(theta)):
            break
    return theta


def _not_negative(design: _Array, target: _Array, weights: _Array) -> _Array:
    """Weighted least squares of two parameters >= 0."""
    normal = (design * weights[:, None]).T @ design
    right = (design * weights[:, None]).T @ target
    theta: _Array = np.asarray(np.linalg.solve(normal, right), np.float64)
    if theta.min() >= 0:
        return theta
    alone = np.maximum(right / np.diag(normal), 0.0)
    # With one at 0, the better of the two fits with the other alone.
    gains = alone * (2 * right - np.diag(normal) * alone)
    keep = int(np.argmax(gains))
    return np.where(np.arange(2) == keep, alone, 0.0)


def _goodness(values: _Array, model: _Array, errors: _Array, parameters: int) -> Fit:
    """Pearson's chi-square of `values` about `model`, with variances `errors`."""
    dof = len(values) - parameters
    if dof < 1:
        return Fit(1.0, 1.0, 0)
    square = float(np.sum((values - model) ** 2 / errors))
    return Fit(square / dof, float(chi2.sf(square, dof)), dof)


def _deviance(points: Points, design: _Array, dofs: _Array, theta: _Array) -> float:
    ratio = points.variances / np.maximum(design @ theta + points.quantisation, 1e-12)
    return float(dofs @ (ratio - 1 - np.log(np.maximum(ratio, 1e-300))))


def _profile_interval(
    points: Points,
    design: _Array,
    dofs: _Array,
    theta: _Array,
    covariance: _Array,
    scale: float,
    which: int,
) -> tuple[float, float]:
    """Where the deviance, least over the other parameter, rises by the threshold times `scale`.

    `covariance` tells where to look.
    """
    other = 1 - which
    column, held = design[:, other], design[:, which]
    value, half = float(theta[which]), NORMAL_95 * math.sqrt(covariance[which, which])
    least = _deviance(points, design, dofs, theta)
    threshold = _THRESHOLD * scale
    follow = float(covariance[other, which] / covariance[which, which])

    def excess(tried: float) -> float:
        """Deviance above the threshold with the parameter held at `tried`."""
        at = theta.copy()
        at[which] = tried
        at[other] = max(float(theta[other]) + follow * (tried - value), 0.0)
        for _ in range(30):
            weighted = _weights(points, design, dofs, at) * column
            residual = points.variances - points.quantisation - tried * held
            before = at[other]
            at[other] = max(float(weighted @ residual / (weighted @ column)), 0.0)
            # The deviance is flat there: half the digits of the place give all of its own.
            if abs(at[other] - before) <= 1e-6 * at[other]:
                break
        return _deviance(points, design, dofs, at) - least - threshold

    low = 0.0
    if value > 0 and excess(0.0) > 0:
        far = value - 2 * half if excess(max(value - 2 * half, 0.0)) > 0 else 0.0
        low = brentq(excess, max(far, 0.0), value, xtol=1e-4 * half)
    reach = 2 * half
    while excess(value + reach) < 0:
        reach *= 2
    return float(low), float(brentq(excess, value, value + reach, xtol=1e-4 * half))


def _weights(points: Points, design: _Array, dofs: _Array, theta: _Array) -> _Array:
    """Inverse variances of the sample variances under the model."""
    model = np.maximum(design @ theta + points.quantisation, 1e-12)
    return np.asarray(dofs / (2 * model**2))
