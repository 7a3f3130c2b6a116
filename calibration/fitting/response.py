"""Response to light: black level, dark signal, saturation and linearity, as in EMVA 1288."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t as student

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.fitting.transfer_points import TransferPoint
from focalloop.calibration.result import LinearityPoint

_LINEAR_RANGE = (0.05, 0.95)
"""Range of linearity as shares of saturation: EMVA 1288 Release 4 section 6.7 (linearity)."""

_VARIANCE_DROP = 0.9
"""Share of the largest variance below which a brighter level is saturated."""


@dataclass(frozen=True)
class Black:
    """Black level and dark signal.

    Attributes
    ----------
    level_dn, level_half : float
        Mean code without light and exposure, and half its 95 % interval; DN.
    dark_rate : float or None
        Dark signal per unit of exposure, DN; None where all dark levels have the same exposure.
    dark_rate_half : float
        Half its 95 % interval.
    """

    level_dn: float
    level_half: float
    dark_rate: float | None
    dark_rate_half: float

    def dark_dn(self, exposure: float) -> float:
        """Return the dark signal of an exposure, DN."""
        return 0.0 if self.dark_rate is None else max(self.dark_rate, 0.0) * exposure


def black_of(points: Sequence[TransferPoint], declared_dn: float | None) -> Black:
    """Fit a line to the means of the dark levels over exposure.

    As in EMVA 1288 Release 4 section 7 (dark current); the scatter of the frame means gives the
    errors. If all exposures are equal, their mean is the black level; without a usable dark level
    it is the declared one.

    Raises
    ------
    CalibrationError
        If there is neither a usable dark level nor a declared black level.
    """
    dark = [point for point in points if point.moments.level.dark and not point.why_not]
    if not dark:
        if declared_dn is None:
            raise CalibrationError(
                "no dark level can be used, and no black level is declared: "
                + "; ".join(
                    f"{point.moments.level.name or 'a dark level'}: {point.why_not}"
                    for point in points
                    if point.moments.level.dark
                )
            )
        return Black(declared_dn, 0.0, None, 0.0)
    means = np.array([point.mean for point in dark])
    exposures = np.array([point.moments.level.exposure for point in dark])
    dofs = np.array([point.moments.reads - 1 for point in dark])
    frame = np.array([point.moments.frame_variance for point in dark])
    reads = dofs + 1
    variance = float(frame @ dofs / dofs.sum())
    half = float(student.ppf(0.975, dofs.sum()))
    if np.ptp(exposures) == 0:
        error = math.sqrt(variance / reads.sum())
        return Black(float(means @ reads / reads.sum()), half * error, None, 0.0)
    design = np.column_stack([np.ones_like(exposures), exposures])
    normal = (design * reads[:, None]).T @ design
    line = np.linalg.solve(normal, (design * reads[:, None]).T @ means)
    dof = len(means) - 2
    if dof > 0:
        variance = max(variance, float(reads @ (means - design @ line) ** 2) / dof)
    errors = np.sqrt(variance * np.linalg.inv(normal).diagonal())
    return Black(float(line[0]), half * errors[0], float(line[1]), half * errors[1])


@dataclass(frozen=True)
class Saturation:
    """Where the response ends.

    Attributes
    ----------
    level_dn : float
        Mean of the level of largest variance, DN: saturation in EMVA 1288 Release 4 section 6.6.
    next_dn : float
        Mean of the next brighter level, which is beyond saturation, DN.
    plateau_dn : float
        Mean code of the brightest level, DN.
    analog : bool
        Whether the pixels saturate below the highest code of the ADC.
    """

    level_dn: float
    next_dn: float
    plateau_dn: float
    analog: bool


def saturation_of(points: Sequence[TransferPoint], bits: int) -> Saturation | None:
    """Find saturation among the lit levels; None if none is bright enough."""
    lit = sorted(
        (point for point in points if not point.moments.level.dark),
        key=lambda point: point.moments.mean,
    )
    variances = np.array([point.moments.total_variance for point in lit])
    peak = int(np.argmax(variances))
    if peak + 1 == len(lit) or variances[peak + 1 :].min() > _VARIANCE_DROP * variances[peak]:
        return None
    top = (1 << bits) - 1
    brightest = lit[-1].moments
    return Saturation(
        level_dn=lit[peak].moments.mean,
        next_dn=lit[peak + 1].moments.mean,
        plateau_dn=brightest.mean,
        analog=brightest.fraction_at(top) < 0.01,
    )


@dataclass(frozen=True)
class Linearity:
    """Deviation of the means from a straight line in light.

    Attributes
    ----------
    points : tuple of LinearityPoint
        In order of exposure.
    error : float
        Mean relative deviation from 5 to 95 % of saturation: EMVA 1288 Release 4 section 6.7.
    bend, bend_error : float
        Relative deviation of the response at full scale from its initial straight line, and its
        standard error.
    responsivity, responsivity_error : float
        Slope in DN per unit of abscissa, and its standard error.
    """

    points: tuple[LinearityPoint, ...]
    error: float
    bend: float
    bend_error: float
    responsivity: float
    responsivity_error: float

    @property
    def bent(self) -> bool:
        """Whether the bend is more than chance, and large enough to matter."""
        return abs(self.bend) > 0.005 and 2 * norm.sf(abs(self.bend) / self.bend_error) < 1e-3


def linearity_of(
    points: Sequence[TransferPoint],
    black: Black,
    exposure_unit: Literal["slots", "s"],
    saturation_dn: float,
    full_scale_dn: float,
) -> Linearity | None:
    """Test the usable lit levels against a straight line; None for fewer than three.

    The ratios of mean to light are weighted by their relative errors, which come from flicker and
    offsets of the frame means and are widened if the ratios scatter more.
    """
    lit = [point for point in points if not point.moments.level.dark and not point.why_not]
    light = _abscissa(lit, exposure_unit)
    if light is None:
        return None
    dark = np.array([black.level_dn + black.dark_dn(p.moments.level.exposure) for p in lit])
    means = np.array([point.mean for point in lit]) - dark
    reach = saturation_dn - black.level_dn
    used = (means >= _LINEAR_RANGE[0] * reach) & (means <= _LINEAR_RANGE[1] * reach)
    if np.unique(light[used]).size < 3:
        return None
    order = np.argsort(light)
    light, means, used = light[order], means[order], used[order]
    reads = np.array([point.moments.reads for point in lit])[order]
    frame = np.array([point.moments.frame_variance for point in lit])[order]
    # All levels share the flicker of the lamp, so they determine it better together.
    flicker = float(np.sum((frame / means**2)[used] * (reads - 1)[used]) / (reads - 1)[used].sum())
    errors = means * np.sqrt(np.maximum(flicker, 1e-12) / reads)

    x, y, e = light[used], means[used], errors[used]
    line, _ = _least_squares(np.column_stack([np.ones_like(x), x]), y, y)
    fitted = line[0] + line[1] * light
    deviation = (means - fitted) / fitted
    # y/x = slope * (1 + bend * y / full scale)
    (slope, rise), covariance = _least_squares(
        np.column_stack([np.ones_like(x), y / full_scale_dn]), y / x, e / x
    )
    _, line_covariance = _least_squares(x[:, None], y, e)
    return Linearity(
        points=tuple(
            LinearityPoint(float(a), float(m), float(f), float(d), bool(u))
            for a, m, f, d, u in zip(light, means, fitted, deviation, used, strict=True)
        ),
        error=float(np.abs(deviation[used]).mean()),
        bend=float(rise / slope),
        bend_error=float(math.sqrt(covariance[1, 1]) / slope),
        responsivity=float(line[1]),
        responsivity_error=float(math.sqrt(line_covariance[0, 0])),
    )


def _abscissa(
    lit: Sequence[TransferPoint], exposure_unit: Literal["slots", "s"]
) -> NDArray[np.float64] | None:
    """Return the light of each level: photons, radiance times exposure, or exposure alone."""
    exposures = np.array([point.moments.level.exposure for point in lit])
    lights = [point.moments.level.light for point in lit]
    known = np.array([np.nan if light is None else light for light in lights])
    if np.isfinite(known).all():
        return known if exposure_unit == "s" else known * exposures
    return exposures if np.isnan(known).all() and np.all(exposures > 0) else None


def _least_squares(
    design: NDArray[np.float64], y: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weighted least squares and covariance, widened if residuals exceed the errors."""
    weighted, target = design / errors[:, None], y / errors
    covariance = np.linalg.inv(weighted.T @ weighted)
    found = covariance @ weighted.T @ target
    dof = len(y) - design.shape[1]
    excess = float(np.sum((target - weighted @ found) ** 2)) / dof if dof else 1.0
    return found, covariance * max(excess, 1.0)
