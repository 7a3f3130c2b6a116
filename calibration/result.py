"""What a calibration finds: the noise profile, how sure it is, and what it is drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.noise import NoiseProfile

NORMAL_95 = 1.959964
"""Half-width of a 95 % interval of the normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Estimate:
    """One figure with its 95 % confidence interval; `unit` is "" for a pure number."""

    value: float
    ci95: tuple[float, float]
    unit: str


@dataclass(frozen=True)
class LevelSummary:
    """What one level says, as a point of the photon transfer curve.

    Attributes
    ----------
    name, dark, exposure, light : str or bool or float or float or None
        As of the `Level`.
    reads, pixels : int
        Reads of each pixel, and pixels measured.
    mean_dn : float
        Mean code.
    signal : float
        Mean above black in full-scale units, dark signal included.
    variance_dn2, variance_error_dn2 : float
        Temporal variance of a pixel in DN^2, and its standard error. Under the protocol
        "weighted" free of flicker, row noise and quantisation; under "emva" as EMVA 1288
        Release 4 section 6.6 has it, with all of them.
    dof : float
        Degrees of freedom of `variance_dn2`.
    model_variance_dn2 : float
        What the fit says in its place, also where the level was left out of the fit.
    row_noise_dn2 : float
        Temporal variance of a row's offset; may come out below 0 where there is none.
    zero_fraction, saturated_fraction : float
        Of the codes: at 0, and at saturation.
    used : bool
        Whether it is in the fit.
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

    `dof` is levels in the fit less parameters; with 0 nothing can be tested, `chi2_reduced` is 1
    and `p_value` is 1.
    """

    chi2_reduced: float
    p_value: float
    dof: int


@dataclass(frozen=True)
class LinearityPoint:
    """One lit level of the linearity test, EMVA 1288 Release 4 section 6.7.

    `exposure` is what the abscissa was: exposure times light, photons or the exposure alone;
    `mean_dn` the mean above dark; `fitted_dn` the line through it; `error` their relative
    deviation; `used` whether the point is in the range of the fit.
    """

    exposure: float
    mean_dn: float
    fitted_dn: float
    error: float
    used: bool


@dataclass(frozen=True, eq=False)
class Pattern:
    """Fixed pattern of offset or of gain, as maps and profiles to draw; NaN where not measured.

    Attributes
    ----------
    values : float32 (H, W)
        Of each pixel about their mean: offset in DN, or relative gain.
    rows, columns : float64 (H,), (W,)
        Mean of `values` in each row, in each column.
    """

    values: NDArray[np.float32]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """A line to draw: `x` and `y`, float64 of one length."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """The result of `calibration.calibrate`.

    Attributes
    ----------
    profile : NoiseProfile
        What the emulator runs with.
    estimates : mapping of str to Estimate
        By the names that ``docs/calibration-math.md`` lists under "What is estimated".
    covariance : float64 (2, 2)
        Of (s_ss, s_r), signal units squared.
    fit : Fit
        Of the photon transfer curve.
    warnings : tuple of str
        Sentences: what the two-parameter model misses, and what to do about it.
    levels : tuple of LevelSummary
        Dark levels first, then by signal.
    offset : Pattern or None
        DSNU, DN; None without a dark level of two reads or more.
    gain : Pattern or None
        PRNU, relative; None without a bright level beside the dark.
    read_noise_quantiles : Curve or None
        Standardised read noise of the darkest level (`y`) at normal quantiles (`x`); equal where
        it is Gaussian.
    linearity : tuple of LinearityPoint
        By exposure; empty where light or exposure is the same in all levels.
    snr : Curve
        Signal to noise (`y`, a ratio) of one read of the fitted model at signal `x`, full-scale
        units, with total temporal noise as in EMVA 1288 Release 4 section 2.3.
    protocol : str
        Of the settings.
    origin : mapping
        Of the readings.
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
    snr: Curve
    protocol: str
    origin: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of a calibrated noise profile as Python values.

        ``NoiseProfile.from_dict`` reads its parameters and leaves the rest alone. A limit at
        infinity is None: JSON has no other word for it.
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
            "covariance": {"of": ["s_ss", "s_r"], "values": self.covariance.tolist()},
            "fit": {
                "chi2_reduced": self.fit.chi2_reduced,
                "p_value": self.fit.p_value,
                "dof": self.fit.dof,
            },
            "warnings": list(self.warnings),
            "provenance": {"protocol": self.protocol, **self.origin},
        }
