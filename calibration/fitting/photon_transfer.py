"""The photon transfer fit: the line ``variance = offset + gain * mean`` and its intervals.

`fit_weighted` maximises the Gamma likelihood of sample variances; `fit_emva` is the line of EMVA
1288 Release 4 section 6.6 (photon transfer method). Everything here is in DN;
``docs/calibration-math.md`` derives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from focalloop.calibration.result import NORMAL_95, Fit

MISFIT_P = 0.01
"""p-value below which the two-parameter model counts as violated, and intervals are widened."""

_THRESHOLD = float(chi2.ppf(0.95, 1))
_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Points:
    """K points of the photon transfer curve.

    Attributes
    ----------
    means : ndarray of float64, shape (K,)
        Mean codes above black, DN.
    mean_errors : ndarray of float64, shape (K,)
        Standard errors of `means`, DN.
    variances : ndarray of float64, shape (K,)
        Temporal variances, including `quantisation`; DN^2.
    dofs : ndarray of float64, shape (K,)
        Degrees of freedom of `variances`.
    quantisation : ndarray of float64, shape (K,)
        Part of `variances` that rounding to codes adds, DN^2.
    """

    means: _Array
    mean_errors: _Array
    variances: _Array
    dofs: _Array
    quantisation: _Array

    def part(self, which: NDArray[np.bool_]) -> Points:
        """Return the points where `which` (K,) is true."""
        return Points(
            self.means[which],
            self.mean_errors[which],
            self.variances[which],
            self.dofs[which],
            self.quantisation[which],
        )


@dataclass(frozen=True, eq=False)
class TransferLine:
    """The fitted line.

    Covariance and intervals are widened where the p-value of the fit is below `MISFIT_P`.

    Attributes
    ----------
    offset : float
        Variance at no light, the square of the read noise; 0 or more, DN^2.
    gain : float
        Slope, the system gain K; 0 or more, DN per electron.
    covariance : ndarray of float64, shape (2, 2)
        Covariance of (offset, gain).
    offset_ci95, gain_ci95 : tuple of float
        Limits of the 95 % intervals.
    fit : Fit
        Goodness of the fit.
    """

    offset: float
    gain: float
    covariance: _Array
    offset_ci95: tuple[float, float]
    gain_ci95: tuple[float, float]
    fit: Fit

    def variance_at(self, means: _Array) -> _Array:
        """Return the variance without quantisation, DN^2, at `means` above black, DN."""
        return self.offset + self.gain * np.maximum(means, 0.0)

    def covering(self, other: TransferLine) -> TransferLine:
        """Return this line with the uncertainty of another model, whose intervals it covers too."""
        offsets, gains = self.offset_ci95 + other.offset_ci95, self.gain_ci95 + other.gain_ci95
        return replace(
            self,
            covariance=other.covariance,
            offset_ci95=(min(offsets), max(offsets)),
            gain_ci95=(min(gains), max(gains)),
        )


def fit_weighted(points: Points) -> TransferLine:
    """Fit by Gamma likelihood: iterated weighted least squares, both parameters 0 or more.

    A sample variance ``v`` with ``dof`` degrees of freedom is the model's variance ``m`` times
    chi-square over dof, so the deviance is ``sum(dof * (v/m - 1 - ln(v/m)))``, that of a Gamma
    model with identity link (McCullagh and Nelder, Generalized Linear Models, chapter 8). Errors
    of the means lower the degrees of freedom. The intervals end where the profile deviance has
    risen by the 95 % quantile of chi-square with one degree of freedom, times the reduced
    chi-square if the fit failed.

    Parameters
    ----------
    points : Points
        At least two points with two different means.
    """
    design = np.column_stack([np.ones_like(points.means), np.maximum(points.means, 0.0)])
    theta = fit_variances(points, design, points.dofs)
    slack = (theta[1] * points.mean_errors) ** 2
    model = design @ theta + points.quantisation
    dofs = 2 * model**2 / (2 * model**2 / points.dofs + slack)
    theta = fit_variances(points, design, dofs)

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
    """Fit as in EMVA 1288 Release 4 section 6.6: unweighted, through the dark point.

    Parameters
    ----------
    points : Points
        Bright levels in the range of the fit, 0 to 70 % of saturation; K of them.
    dark : Points
        The dark level of the exposure of each of them; K as well.
    shortest : Points
        The dark level of the shortest exposure alone, which gives the read noise.
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


def fit_variances(points: Points, design: _Array, dofs: _Array) -> _Array:
    """Fit ``variances = design @ theta + quantisation`` by Gamma likelihood, theta 0 or more.

    Parameters
    ----------
    points : Points
        Variances of K points, and the known part of them.
    design : ndarray of float64, shape (K, 2)
    dofs : ndarray of float64, shape (K,)
        Degrees of freedom of the variances.

    Returns
    -------
    ndarray of float64, shape (2,)
        By Fisher scoring, starting from the variances themselves.
    """
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
    """Return weighted least squares for two parameters that are 0 or more."""
    normal = (design * weights[:, None]).T @ design
    right = (design * weights[:, None]).T @ target
    theta: _Array = np.asarray(np.linalg.solve(normal, right), np.float64)
    if theta.min() >= 0:
        return theta
    alone = np.maximum(right / np.diag(normal), 0.0)
    # One of them is 0: take the better of the two fits with the other alone.
    gains = alone * (2 * right - np.diag(normal) * alone)
    keep = int(np.argmax(gains))
    return np.where(np.arange(2) == keep, alone, 0.0)


def _goodness(values: _Array, model: _Array, errors: _Array, parameters: int) -> Fit:
    """Return Pearson's chi-square of `values` about `model`, whose variances are `errors`."""
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
    """Return where the deviance, minimised over the other parameter, reaches the threshold.

    The threshold is multiplied by `scale`; `covariance` gives the range to search.
    """
    other = 1 - which
    column, held = design[:, other], design[:, which]
    value, half = float(theta[which]), NORMAL_95 * math.sqrt(covariance[which, which])
    lowest = _deviance(points, design, dofs, theta)
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
            # The deviance is flat at its minimum: half the digits here give all digits there.
            if abs(at[other] - before) <= 1e-6 * at[other]:
                break
        return _deviance(points, design, dofs, at) - lowest - threshold

    low = 0.0
    if value > 0 and excess(0.0) > 0:
        far = value - 2 * half if excess(max(value - 2 * half, 0.0)) > 0 else 0.0
        low = brentq(excess, max(far, 0.0), value, xtol=1e-4 * half)
    reach = 2 * half
    while excess(value + reach) < 0:
        reach *= 2
    return float(low), float(brentq(excess, value, value + reach, xtol=1e-4 * half))


def _weights(points: Points, design: _Array, dofs: _Array, theta: _Array) -> _Array:
    """Return the inverse variances of the sample variances under the model."""
    model = np.maximum(design @ theta + points.quantisation, 1e-12)
    return np.asarray(dofs / (2 * model**2))
