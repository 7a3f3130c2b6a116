"""The result of a calibration: the noise profile, its uncertainty, and the data of its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.errors import CalibrationError
from focalloop.firmware_sim.fixed_pattern import Defect, FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile

NORMAL_95 = 1.959964
"""Half-width of a 95 % interval of the normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval; `unit` is "" for a dimensionless number."""

    value: float
    ci95: tuple[float, float]
    unit: str


@dataclass(frozen=True)
class LevelSummary:
    """One level as a point of the photon transfer curve.

    Attributes
    ----------
    name, dark, exposure, light : str, bool, float, float or None
        As in the `Level`.
    reads, pixels : int
        Reads per pixel, and pixels measured.
    mean_dn : float
        Mean code, DN.
    signal : float
        Mean above black in signal units, dark signal included.
    variance_dn2, variance_error_dn2 : float
        Temporal variance per pixel in DN^2, and its standard error. With the protocol "weighted"
        it excludes flicker, row noise and quantisation; with "emva" it includes all of them, as
        in EMVA 1288 Release 4 section 6.6.
    dof : float
        Degrees of freedom of `variance_dn2`.
    model_variance_dn2 : float
        The same by the fit, given also for levels that the fit leaves out.
    row_noise_dn2 : float
        Temporal variance of a row's offset, DN^2; may be negative by chance where there is none.
    zero_fraction, saturated_fraction : float
        Share of the codes that are 0, and of those that are the highest code.
    used : bool
        Whether the level is in the fit.
    why_not : str
        Why it is not; "" where it is.
    """

    name: str
    dark: bool
    exposure: float
    light: float | None
    reads: int
    pixels: int
    mean_dn: float
    signal: float
    variance_dn2: float
    variance_error_dn2: float
    dof: float
    model_variance_dn2: float
    row_noise_dn2: float
    zero_fraction: float
    saturated_fraction: float
    used: bool
    why_not: str


@dataclass(frozen=True)
class Fit:
    """Goodness of the fit of the photon transfer curve.

    Attributes
    ----------
    chi2_reduced : float
        Pearson's chi-square per degree of freedom.
    p_value : float
        Probability that chance alone makes a chi-square this large.
    dof : int
        Levels in the fit minus fitted parameters. With 0 nothing can be tested, and
        `chi2_reduced` and `p_value` are 1.
    """

    chi2_reduced: float
    p_value: float
    dof: int


@dataclass(frozen=True)
class LinearityPoint:
    """One lit level of the linearity test, EMVA 1288 Release 4 section 6.7.

    Attributes
    ----------
    exposure : float
        Abscissa of the test: exposure times light, photons, or the exposure alone.
    mean_dn : float
        Mean above dark, DN.
    fitted_dn : float
        The same on the fitted line, DN.
    error : float
        Relative deviation of the mean from the line.
    used : bool
        Whether the point is in the range of the fit.
    """

    exposure: float
    mean_dn: float
    fitted_dn: float
    error: float
    used: bool


@dataclass(frozen=True, eq=False)
class MeasuredResponse:
    """The response as measured: levels whose lights tell it, and the curve through them.

    Attributes
    ----------
    names : tuple of str
        Names of the K levels.
    signals, reads, errors : ndarray of float64, shape (K,)
        Signal before the response, what was read above black, and its standard error; in signal
        units.
    curve : Curve
        The most likely response: how far it is from the straight line (`y`) over the signal (`x`),
        both in signal units.
    half : ndarray of float64
        Half the 95 % interval of the curve, at `curve.x`.
    bent : bool
        Whether the bend is more than chance. The profile then has it, unless it is too large.
    """

    names: tuple[str, ...]
    signals: NDArray[np.float64]
    reads: NDArray[np.float64]
    errors: NDArray[np.float64]
    curve: Curve
    half: NDArray[np.float64]
    bent: bool


@dataclass(frozen=True, eq=False)
class Pattern:
    """Fixed pattern of offset or gain, as a map and profiles to draw; NaN where not measured.

    Attributes
    ----------
    values : ndarray of float32, shape (H, W)
        Offset in DN or relative gain of each pixel, about the mean of all.
    rows : ndarray of float64, shape (H,)
        Mean of `values` in each row.
    columns : ndarray of float64, shape (W,)
        Mean of `values` in each column.
    """

    values: NDArray[np.float32]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """A line to draw: `x` and `y`, float64 of the same length."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """The result of `calibrate`.

    Attributes
    ----------
    profile : NoiseProfile
        The profile that the emulator runs with.
    estimates : mapping of str to Estimate
        By the names that ``docs/calibration-math.md`` lists under "What is estimated".
    covariance : ndarray of float64, shape (2, 2)
        Covariance of (s_ss, s_r), signal units squared.
    fit : Fit
        Goodness of the photon transfer fit.
    warnings : tuple of str
        What the two-parameter model misses, and what to do about it, one sentence each.
    levels : tuple of LevelSummary
        Dark levels first, then by signal.
    offset : Pattern or None
        DSNU, DN; None without a dark level of two reads or more.
    gain : Pattern or None
        PRNU, relative; None without levels of different light.
    read_noise_quantiles : Curve or None
        Quantiles of the darkest level's noise in standard deviations (`y`) at those of a normal
        distribution (`x`); the two are equal where the noise is Gaussian.
    linearity : tuple of LinearityPoint
        In order of exposure; empty unless three levels or more differ in light or exposure.
    response : MeasuredResponse or None
        None with too few spans to tell it, and for the protocol "emva".
    snr : Curve
        Signal-to-noise ratio of one read (`y`) at signal `x`, in signal units, by the fitted
        model and with all temporal noise, as in EMVA 1288 Release 4 section 2.3.
    protocol : str
        As in the `Settings`.
    origin : mapping
        As in the `Readings`.
    pattern : FixedPattern or CalibrationError
        What corrects the reads of this sensor; its defective pixels are in no estimate. Why there
        is none, where these levels do not tell it.
    """

    profile: NoiseProfile
    estimates: Mapping[str, Estimate]
    covariance: NDArray[np.float64]
    fit: Fit
    warnings: tuple[str, ...]
    levels: tuple[LevelSummary, ...]
    offset: Pattern | None
    gain: Pattern | None
    read_noise_quantiles: Curve | None
    linearity: tuple[LinearityPoint, ...]
    response: MeasuredResponse | None
    snr: Curve
    protocol: str
    origin: Mapping[str, Any]
    pattern: FixedPattern | CalibrationError

    def __repr__(self) -> str:
        main = ", ".join(
            f"{name} {self.estimates[name].value:.3g}"
            for name in ("s_ss", "s_r")
            if name in self.estimates
        )
        warnings = f", {len(self.warnings)} warnings" if self.warnings else ""
        return f"<Calibration {self.profile.name!r}: {main}, {len(self.levels)} levels{warnings}>"

    def _repr_html_(self) -> str:
        """List the estimates with their intervals, and the warnings, for a notebook."""
        rows = "".join(
            f"<tr><th>{name}</th><td>{e.value:.4g} {escape(e.unit)}</td>"
            f"<td>{e.ci95[0]:.4g} to {e.ci95[1]:.4g}</td></tr>"
            for name, e in self.estimates.items()
        )
        warnings = "".join(f"<p>{escape(text)}</p>" for text in self.warnings)
        head = "<tr><th></th><th>estimate</th><th>95 % interval</th></tr>"
        title = f"<caption>{escape(self.profile.name)}</caption>"
        return f"<table>{title}{head}{rows}</table>{warnings}"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of a calibrated noise profile as Python values.

        ``NoiseProfile.from_dict`` reads its parameters and ignores the rest. An infinite limit is
        None, since JSON has no infinity.
        """
        return {
            **self.profile.as_dict(),
            "estimates": {
                name: {
                    "value": e.value,
                    "ci95": [end if math.isfinite(end) else None for end in e.ci95],
                    "unit": e.unit,
                }
                for name, e in self.estimates.items()
            },
            "defects": None
            if isinstance(self.pattern, CalibrationError)
            else {
                kind.name.lower(): int(np.count_nonzero(self.pattern.defects == kind))
                for kind in Defect
                if kind
            },
            "covariance": {"of": ["s_ss", "s_r"], "values": self.covariance.tolist()},
            "fit": asdict(self.fit),
            "warnings": list(self.warnings),
            "provenance": {"protocol": self.protocol, **self.origin},
        }
