"""Points of the photon transfer curve: mean and variance of a level, and whether it is usable.

By moments where the codes resolve the noise, and by the likelihood of `code_likelihood` where they
are clipped at 0 or too coarse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.fitting.code_likelihood import fit_codes
from focalloop.calibration.fitting.intervals import VarianceComponent
from focalloop.calibration.fitting.moments import Moments
from focalloop.calibration.fitting.photon_transfer import Points

ROUNDING_DN2 = 1 / 12
"""Variance that rounding adds to noise that spreads over several codes, DN^2: EMVA 1288 Release 4
section 2.2 (noise model)."""

_MAX_CLIPPED = 1e-4
"""Largest share of clipped codes for moments: it lowers the variance of normal noise by 2e-4."""

_MIN_SPREAD_DN2 = 0.5
"""Smallest spread for moments, DN^2: at 0.7 DN the variance that rounding adds is known to 1e-4."""

_MAX_RELATIVE_ERROR = 0.5
"""Largest relative standard error of a variance that is used."""


@dataclass(frozen=True, eq=False)
class TransferPoint:
    """One level on the photon transfer curve.

    Attributes
    ----------
    moments : Moments
        Moments of the level.
    mean : float
        Mean before clipping, DN.
    variance, dof : float
        Temporal variance per pixel without flicker and row noise, DN^2, and its degrees of
        freedom.
    quantisation : float
        Part of `variance` that rounding added, DN^2; 0 with the likelihood, which excludes it.
    row : VarianceComponent
        Temporal row noise as in `Moments`, corrected for clipping.
    pattern_variance : float or None
        Variance of the pixels' offsets by the likelihood, DN^2; None with moments.
    clipped : bool
        Whether the level is clipped at code 0.
    why_not : str
        Why the point cannot be used; "" where it can.
    """

    moments: Moments
    mean: float
    variance: float
    dof: float
    quantisation: float
    row: VarianceComponent
    pattern_variance: float | None
    clipped: bool
    why_not: str

    @property
    def pixel_mean_noise(self) -> float:
        """Variance of a pixel's mean over R reads about its true mean, DN^2.

        The rounding error that is common to all reads of a pixel does not average out.
        """
        temporal = self.moments.variance
        rounding = temporal - (self.variance - self.quantisation)
        return temporal / self.moments.reads + max(ROUNDING_DN2 - rounding, 0.0)

    @property
    def mean_error(self) -> float:
        """Standard error of `mean`, DN: frame offsets, flicker and noise left in R reads."""
        return math.sqrt(self.moments.frame_variance / self.moments.reads)


def transfer_point(moments: Moments, bits: int) -> TransferPoint:
    """Estimate mean and variance of a level, by moments or by likelihood."""
    top = (1 << bits) - 1
    clipped = moments.fraction_at(0) > _MAX_CLIPPED
    if moments.fraction_at(top) > _MAX_CLIPPED:
        share = 100 * moments.fraction_at(top)
        return _unusable(moments, clipped, f"{share:.3g} % of its codes are saturated at {top}")
    spread = moments.variance - ROUNDING_DN2 + moments.spatial_variance()
    if moments.total_variance == 0:
        return _unusable(moments, clipped, "all its reads are equal")
    if not clipped and spread > _MIN_SPREAD_DN2:
        return _by_moments(moments)
    return _by_likelihood(moments, bits, clipped)


def _by_moments(moments: Moments) -> TransferPoint:
    return TransferPoint(
        moments=moments,
        mean=moments.mean,
        variance=moments.variance,
        dof=moments.dof,
        quantisation=rounding_variance(moments.variance),
        row=moments.row,
        pattern_variance=None,
        clipped=False,
        why_not="",
    )


def _by_likelihood(moments: Moments, bits: int, clipped: bool) -> TransferPoint:
    fit = fit_codes(moments, bits)
    # To first order, the offset of a row moves its mean code by the slope (Price's theorem).
    unclip = fit.slope**-2
    row = moments.row
    row = VarianceComponent(row.square * unclip, row.error * unclip, row.noise * unclip)
    variance = fit.variance - (row.variance if row.stands_out else 0.0)
    error = math.hypot(fit.variance_error, row.error if row.stands_out else 0.0)
    if variance <= 0 or not error < _MAX_RELATIVE_ERROR * variance:
        return _unusable(moments, clipped, "its codes do not determine the noise: too few change")
    return TransferPoint(
        moments=moments,
        mean=fit.mean,
        variance=variance,
        dof=2 * (variance / error) ** 2,
        quantisation=0.0,
        row=row,
        pattern_variance=fit.pattern_variance,
        clipped=clipped,
        why_not="",
    )


def _unusable(moments: Moments, clipped: bool, why_not: str) -> TransferPoint:
    return TransferPoint(
        moments=moments,
        mean=moments.mean,
        variance=moments.variance,
        dof=moments.dof,
        quantisation=0.0,
        row=moments.row,
        pattern_variance=None,
        clipped=clipped,
        why_not=why_not,
    )


def rounding_variance(variance: float) -> float:
    """Return the variance that rounding adds to reads whose means lie anywhere between codes.

    With noise sigma it is ``1/12 - sum_k exp(-4 pi^2 k^2 sigma^2) / (2 pi^2 k^2)``: where sigma is
    small, two reads of a pixel have equal rounding errors, which cancel in their difference
    (``docs/calibration-math.md``, "Clipped and coarse codes").

    Parameters
    ----------
    variance : float
        Temporal variance with rounding, DN^2; sigma is found from it by iteration.
    """
    order = np.arange(1, 40)
    added = ROUNDING_DN2
    for _ in range(60):
        sigma2 = max(variance - added, 0.0)
        terms: NDArray[np.float64] = np.exp(-4 * (np.pi * order) ** 2 * sigma2) / order**2
        before, added = added, ROUNDING_DN2 - float(terms.sum()) / (2 * math.pi**2)
        if abs(added - before) < 1e-9:
            break
    return added


def points_of(points: list[TransferPoint], black_dn: float) -> Points:
    """Arrange points for a fit, means above `black_dn`."""
    return Points(
        means=np.array([point.mean - black_dn for point in points]),
        mean_errors=np.array([point.mean_error for point in points]),
        variances=np.array([point.variance for point in points]),
        dofs=np.array([point.dof for point in points]),
        quantisation=np.array([point.quantisation for point in points]),
    )
