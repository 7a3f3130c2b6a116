"""Confidence intervals: of variances that are differences of mean squares, valid near 0 too.

The interval of the photon transfer line is the profile likelihood's, in `photon_transfer`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import chi2

from focalloop.calibration.result import NORMAL_95, Estimate

STANDS_OUT = 4.0
"""Standard errors above which a variance counts as real and not as chance."""


@dataclass(frozen=True)
class VarianceComponent:
    """A variance that is part of a mean square: ``square - noise``.

    Attributes
    ----------
    square, error : float
        Mean square and its standard error, which gives its degrees of freedom.
    noise : float
        Contribution of other noise to it, which is known far better.
    """

    square: float
    error: float
    noise: float = 0.0

    @property
    def variance(self) -> float:
        """The variance itself; may be negative by chance where there is none."""
        return self.square - self.noise

    @property
    def significance(self) -> float:
        """The variance in standard errors of a mean square of the other noise alone."""
        if self.noise <= 0 or self.error == 0:
            return math.inf if self.variance > 0 else 0.0
        return self.variance * self.square / (self.noise * self.error)

    @property
    def stands_out(self) -> bool:
        """Whether the variance is more than chance makes."""
        return self.significance > STANDS_OUT

    def __add__(self, other: VarianceComponent) -> VarianceComponent:
        """Return the sum of two independent variances."""
        return VarianceComponent(
            self.square + other.square,
            math.hypot(self.error, other.error),
            self.noise + other.noise,
        )

    def root(self, unit: str) -> Estimate:
        """Return the standard deviation, with the interval of a chi-square mean square."""
        value = math.sqrt(max(self.variance, 0.0))
        if self.error == 0 or self.square <= 0:
            return Estimate(value, (value, value), unit)
        dof = 2 * (self.square / self.error) ** 2
        low, high = (
            math.sqrt(max(self.square * dof / share - self.noise, 0.0)) if share > 0 else math.inf
            for share in chi2.ppf((0.975, 0.025), dof).tolist()
        )
        return Estimate(value, (min(low, value), max(high, value)), unit)


def normal(value: float, error: float, unit: str) -> Estimate:
    """Return an estimate with the normal interval of standard error `error`."""
    return Estimate(value, (value - NORMAL_95 * error, value + NORMAL_95 * error), unit)


def scaled(estimate: Estimate, factor: float, relative_error: float, unit: str) -> Estimate:
    """Multiply an estimate by a factor whose relative standard error is `relative_error`."""
    value = estimate.value * factor
    extra = NORMAL_95 * relative_error * value
    low, high = (
        value + math.copysign(math.hypot(limit * factor - value, extra), side)
        for limit, side in zip(estimate.ci95, (-1, 1), strict=True)
    )
    if estimate.ci95[0] >= 0:
        low = max(low, 0.0)
    return Estimate(value, (low, high), unit)
