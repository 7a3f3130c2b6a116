"""The response curve: how far the pixels bend, and gain and read noise along the bent curve.

Spans of 1, 2, 4 ... slots under one light expose exactly in that ratio, however bright it is, so
their means draw the curve. Means and variances are fitted together, by maximum likelihood;
``docs/calibration-math.md``, "The response curve", derives it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, f as fisher, t as student

from focalloop.calibration.fitting.photon_transfer import (
    MISFIT_P,
    Points,
    TransferLine,
    fit_variances,
    fit_weighted,
)
from focalloop.calibration.fitting.response import Black
from focalloop.calibration.fitting.transfer_points import TransferPoint, points_of
from focalloop.firmware_sim.response import MAX_BENT, Response

_Array = NDArray[np.float64]

_BENT_P = 0.05
"""p-value below which a response counts as bent, as other terms whose 95 % interval excludes 0."""

_MIN_BENT = 1e-3
"""Smallest deviation that counts, in units of full scale: a quarter of a code of 8 bits."""

_SAME_LIGHT = 1.1
"""Largest step in the signals per exposure of one light: more than a bend makes between spans."""

_MANY = 10**6
"""Degrees of freedom of an error that is known."""


@dataclass(frozen=True, eq=False)
class ResponseFit:
    """The response as measured, and the photon transfer line along it; K points, G lights.

    Attributes
    ----------
    response : Response
        Most likely response, whether it is bent or not.
    covariance : ndarray of float64, shape (2, 2)
        Covariance of (bend, bend_cubic).
    quantile : float
        Half of a 95 % interval in standard errors: more than 1.96 where a few reads determine the
        errors of the means.
    significant : bool
        Whether the bend is more than chance, and large enough to matter.
    signals, reads, errors : ndarray of float64, shape (K,)
        Signal before the response, mean above black and its standard error; in signal units.
    tells : ndarray of bool, shape (K,)
        Whether a point shares its light with others, and so tells the curve.
    slopes_dn : ndarray of float64, shape (G,)
        DN per unit of exposure to each light, in the dark.
    line : TransferLine
        Read noise and gain in the dark, over ``e r'(e)^2``; the intervals include the
        uncertainty of the response.
    """

    response: Response
    covariance: _Array
    quantile: float
    significant: bool
    signals: _Array
    reads: _Array
    errors: _Array
    tells: NDArray[np.bool_]
    slopes_dn: _Array
    line: TransferLine

    @property
    def bent(self) -> bool:
        """Whether the profile has the response: a significant one that can be undone."""
        return self.significant and self.response.usable

    def deviation(self, signals: _Array) -> tuple[_Array, _Array]:
        """Return how far the curve is from straight at `signals`, and half its 95 % interval."""
        powers = np.stack([signals**2, signals**3])
        variance = np.einsum("ik,ij,jk->k", powers, self.covariance, powers)
        return self.response.respond(signals) - signals, self.quantile * np.sqrt(variance)


def fit_response(
    points: Sequence[TransferPoint],
    black: Black,
    exposure_unit: Literal["slots", "s"],
    full_scale_dn: float,
    straight: TransferLine,
) -> ResponseFit | None:
    """Fit response, gain and read noise together; None with too few spans to tell.

    Parameters
    ----------
    points : sequence of TransferPoint
        Usable points.
    black : Black
    exposure_unit : {"slots", "s"}
        In slots, the brightness of each light is unknown; in seconds, photons are as stated.
    full_scale_dn : float
        Codes from black to signal 1.0.
    straight : TransferLine
        The fit without a bend, from which this one starts.
    """
    exposures = _exposures(points, black, exposure_unit)
    if exposures is None:
        return None
    data = points_of(list(points), black.level_dn)
    errors, dof = _mean_errors(points, data)
    likelihood = _Likelihood(exposures, data, errors / full_scale_dn, full_scale_dn)
    theta = likelihood.maximise(likelihood.start(straight))
    if theta is None:
        return None
    of_variances, of_means = likelihood.misfits(theta)
    if of_variances > 1 or of_means > 1:
        likelihood = replace(
            likelihood,
            data=replace(data, dofs=data.dofs / of_variances),
            errors=likelihood.errors * math.sqrt(of_means),
        )
        # Light that changed between levels is known by what the means have to spare.
        dof = dof if of_means == 1 else min(dof, exposures.spare)
        theta = likelihood.maximise(theta)
        if theta is None:
            return None
    covariance = likelihood.covariance(theta)
    response, signals = likelihood.response(theta), likelihood.signals(theta)
    bend, of_bend = theta[2:4], covariance[2:4, 2:4]
    wald = float(bend @ np.linalg.pinv(of_bend) @ bend) / 2
    reach = np.linspace(0.0, min(float(signals.max()), MAX_BENT), 50)
    size = float(np.abs(response.respond(reach) - reach).max())
    quantile = float(student.ppf(0.975, dof))
    # Shot noise passes through the slope: along a bent response, its variance is e r'(e)^2.
    abscissa = full_scale_dn * signals * response.slope(signals) ** 2
    line = fit_weighted(replace(data, means=abscissa, mean_errors=np.zeros_like(abscissa)))
    return ResponseFit(
        response=response,
        covariance=of_bend,
        quantile=quantile,
        significant=float(fisher.sf(wald, 2, dof)) < _BENT_P and size > _MIN_BENT,
        signals=signals,
        reads=data.means / full_scale_dn - theta[4],
        errors=likelihood.errors,
        tells=exposures.tells,
        slopes_dn=theta[6:] * full_scale_dn,
        line=_widened(line, likelihood.added_covariance(theta), quantile),
    )


@dataclass(frozen=True, eq=False)
class _Exposures:
    """What K points saw: point k was exposed to `amounts[k]` of light `lights[k]`, -1 for none."""

    lights: NDArray[np.int_]
    amounts: _Array
    times: _Array
    """Exposure to dark signal."""
    black_known: bool
    """Whether black is declared, and no dark level measures it."""
    dark_signal: bool
    """Whether dark levels of different exposure determine the dark signal."""

    @property
    def tells(self) -> NDArray[np.bool_]:
        """(K,) points that share their light with one of another exposure."""
        return np.array([
            light >= 0 and np.ptp(self.amounts[self.lights == light]) > 0 for light in self.lights
        ])  # fmt: skip

    @property
    def determine(self) -> bool:
        """Whether the means determine both coefficients besides the brightness of the lights."""
        told = list(zip(self.lights[self.tells], self.amounts[self.tells], strict=True))
        return len(set(told)) >= len({light for light, _ in told}) + 2

    @property
    def spare(self) -> int:
        """Means beyond the parameters that they determine."""
        lights = int(self.lights.max()) + 1
        return len(self.lights) - lights - 2 - (not self.black_known) - self.dark_signal


def _exposures(
    points: Sequence[TransferPoint], black: Black, exposure_unit: Literal["slots", "s"]
) -> _Exposures | None:
    levels = [point.moments.level for point in points]
    times = np.array([level.exposure for level in levels])
    dark = np.array([level.dark for level in levels])
    stated = [level.light for level in levels]
    amounts = times.copy()
    if exposure_unit == "s" and not any(
        light is None for light, d in zip(stated, dark, strict=True) if not d
    ):
        amounts = np.array([light or 0.0 for light in stated])
        stated = [None] * len(levels)
    if np.any(amounts[~dark] <= 0):
        return None
    signals = np.array([point.mean for point in points]) - black.level_dn
    lights = np.full(len(points), -1)
    for light in dict.fromkeys(light for light, d in zip(stated, dark, strict=True) if not d):
        same = np.flatnonzero(~dark & np.array([other == light for other in stated]))
        # A lamp set by hand has no stated light, and one that was moved has a wrong one.
        rates = np.maximum(signals[same] / amounts[same], 1e-12)
        order = np.argsort(rates)
        steps = np.diff(np.log(rates[order]), prepend=-math.inf) > math.log(_SAME_LIGHT)
        lights[same[order]] = lights.max() + np.cumsum(steps)
    dark_times = times[dark]
    found = _Exposures(
        lights=lights,
        amounts=np.where(dark, 0.0, amounts),
        times=times,
        black_known=not dark.any(),
        dark_signal=bool(dark.any() and np.ptp(dark_times) > 0),
    )
    return found if found.determine else None


def _mean_errors(points: Sequence[TransferPoint], data: Points) -> tuple[_Array, int]:
    """Return the standard errors of the means, DN, and the degrees of freedom of these.

    All levels together determine the variance of a frame's mean: noise of the pixels, which is
    known, offset of the frame, and flicker of the light, which grows with the square of the mean.
    """
    reads = np.array([point.moments.reads for point in points])
    pixels = np.array([point.moments.total_variance / point.moments.count for point in points])
    frames = np.array([point.moments.frame_variance for point in points])
    of_frames = replace(data, variances=np.maximum(frames, 1e-12), quantisation=pixels)
    design = np.column_stack([np.ones_like(data.means), data.means**2])
    found = fit_variances(of_frames, design, reads - 1.0)
    pattern = np.zeros(len(points))
    if any(np.any(point.moments.pixels != points[0].moments.pixels) for point in points):
        # In a tiled map, levels differ in their pixels, and so in the mean of the pattern of these.
        pattern = np.array([p.moments.spatial_variance() / p.moments.count for p in points])
    errors = np.sqrt((design @ found + pixels) / reads + pattern)
    return errors, max(int((reads - 1).sum()) - 2, 1) if found.any() else _MANY


@dataclass(frozen=True, eq=False)
class _Likelihood:
    """Likelihood of means and variances; everything in signal units, where full scale is 1.

    The parameters are ``(s_r^2, s_ss^2, bend, bend_cubic, black, dark signal per exposure, and
    signal per exposure to each light)``.
    """

    exposures: _Exposures
    data: Points
    errors: _Array
    full_scale_dn: float

    def start(self, straight: TransferLine) -> _Array:
        """Return the parameters of a straight response."""
        seen, means = self.exposures, self.data.means / self.full_scale_dn
        rates = []
        for light in range(int(seen.lights.max()) + 1):
            at = seen.lights == light
            weights = (seen.amounts[at] / self.errors[at]) ** 2
            rates.append(float(weights @ (means[at] / seen.amounts[at]) / weights.sum()))
        noise = [straight.offset / self.full_scale_dn**2, straight.gain / self.full_scale_dn]
        return np.array([*noise, 0.0, 0.0, 0.0, 0.0, *rates])

    def response(self, theta: _Array) -> Response:
        return Response(float(theta[2]), float(theta[3]))

    def signals(self, theta: _Array) -> _Array:
        """Return the signal of each point before the response."""
        return np.asarray(self._by_light(theta)[0])

    def _by_light(self, theta: _Array) -> tuple[_Array, _Array]:
        """Return the signals, and their derivatives (K, 1 + G) by dark signal and lights."""
        seen = self.exposures
        at = seen.lights[:, None] == np.arange(len(theta) - 6)
        slopes = np.column_stack([seen.times * seen.dark_signal, seen.amounts[:, None] * at])
        return slopes @ theta[5:], slopes

    def _residuals(self, theta: _Array) -> tuple[_Array, _Array]:
        """Return the residuals (2 K,) in standard errors, variances first, and their design."""
        response = self.response(theta)
        e, e_by = self._by_light(theta)
        lit = np.clip(e, 0.0, MAX_BENT)
        slope = response.slope(e)
        bending = np.where(e == lit, 2 * response.bend + 6 * response.bend_cubic * lit, 0.0)
        variances = self.data.variances / self.full_scale_dn**2
        rounding = self.data.quantisation / self.full_scale_dn**2
        expected = np.maximum(theta[0] + theta[1] * e * slope**2 + rounding, 1e-18)
        by_signal = theta[1] * slope * (slope + 2 * e * bending)
        per_variance = np.sqrt(self.data.dofs / 2) / expected
        of_variances = np.column_stack([
            np.ones_like(e), e * slope**2, theta[1] * e * slope * 4 * lit,
            theta[1] * e * slope * 6 * lit**2, np.zeros_like(e), by_signal[:, None] * e_by,
        ])  # fmt: skip
        known = float(not self.exposures.black_known)
        of_means = np.column_stack([
            np.zeros_like(e), np.zeros_like(e), lit**2, lit**3, np.full_like(e, known),
            slope[:, None] * e_by,
        ])  # fmt: skip
        means = self.data.means / self.full_scale_dn - theta[4] - response.respond(e)
        residuals = np.concatenate([(variances - expected) * per_variance, means / self.errors])
        design = np.concatenate(
            [of_variances * per_variance[:, None], of_means / self.errors[:, None]]
        )
        return residuals, design

    def maximise(self, theta: _Array) -> _Array | None:
        """Return the most likely parameters by Fisher scoring; None where it does not end."""
        for _ in range(100):
            residuals, design = self._residuals(theta)
            step = _least_squares(design, residuals)
            at_zero = np.flatnonzero((theta[:2] == 0) & (step[:2] < 0))
            if at_zero.size:  # a variance stays there
                design[:, at_zero] = 0.0
                step = _least_squares(design, residuals)
            theta = theta + step
            theta[:2] = np.maximum(theta[:2], 0.0)
            if np.abs(design @ step).max() < 1e-6:
                return theta
        return None

    def misfits(self, theta: _Array) -> tuple[float, float]:
        """Return the reduced chi-squares of variances and means, 1 where chance explains them."""
        found = []
        spares = (len(self.errors) - 2, self.exposures.spare)
        for residuals, spare in zip(np.split(self._residuals(theta)[0], 2), spares, strict=True):
            square = float(residuals @ residuals)
            beyond = spare > 0 and float(chi2.sf(square, spare)) < MISFIT_P
            found.append(square / spare if beyond else 1.0)
        return found[0], found[1]

    def covariance(self, theta: _Array) -> _Array:
        """Return the covariance of all parameters; 0 for those that are held."""
        design = self._residuals(theta)[1]
        scale = _column_scale(design)
        inverse = np.linalg.pinv(design / scale)
        return np.asarray(inverse @ inverse.T / np.outer(scale, scale))

    def added_covariance(self, theta: _Array) -> _Array:
        """Return what the other parameters add to the covariance of (offset, gain), in DN."""
        noise = self._residuals(theta)[1][:, :2]
        alone = np.linalg.inv(noise.T @ noise)
        scale = np.array([self.full_scale_dn**2, self.full_scale_dn])
        return np.asarray((self.covariance(theta)[:2, :2] - alone) * np.outer(scale, scale))


def _least_squares(design: _Array, residuals: _Array) -> _Array:
    scale = _column_scale(design)
    return np.asarray(np.linalg.lstsq(design / scale, residuals, rcond=None)[0] / scale)


def _column_scale(design: _Array) -> _Array:
    """Return the norms of the columns: the parameters differ by many powers of ten."""
    norms = np.linalg.norm(design, axis=0)
    return np.where(norms > 0, norms, 1.0)


def _widened(line: TransferLine, added: _Array, quantile: float) -> TransferLine:
    """Return the line with intervals for an additional covariance (2, 2) of (offset, gain)."""

    def wide(value: float, limits: tuple[float, float], variance: float) -> tuple[float, float]:
        half = quantile * math.sqrt(max(variance, 0.0))
        low, high = (math.hypot(limit - value, half) for limit in limits)
        return max(value - low, 0.0), value + high

    return replace(
        line,
        covariance=line.covariance + added,
        offset_ci95=wide(line.offset, line.offset_ci95, float(added[0, 0])),
        gain_ci95=wide(line.gain, line.gain_ci95, float(added[1, 1])),
    )
