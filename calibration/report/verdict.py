"""What a calibration means, in plain language: what was found, and whether to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from focalloop.calibration.report.charts import number
from focalloop.calibration.result import Calibration

_MISFIT_P = 1e-3
"""A fit that chance makes worse more rarely than this does not hold exactly."""

_MISFIT_SHARE = 0.1
"""Part of the variance that it may miss by and still be of use: 5 % of the noise."""


@dataclass(frozen=True)
class Verdict:
    """The conclusion, before any figure.

    Attributes
    ----------
    mood : {'good', 'warn', 'bad'}
        ``good``: trust it; ``warn``: with the warnings in mind; ``bad``: the model is not this
        sensor's.
    headline : str
    sentences : tuple of str
    """

    mood: Literal["good", "warn", "bad"]
    headline: str
    sentences: tuple[str, ...]


def verdict(calibration: Calibration) -> Verdict:
    """Judge a calibration by the fit and its warnings."""
    count = len(calibration.warnings)
    sentences = (*_found(calibration), _tested(calibration))
    if _misfits(calibration) and _miss(calibration) > _MISFIT_SHARE:
        return Verdict("bad", "Two parameters do not describe this sensor", sentences)
    if count:
        headline = f"Usable, with {count} warning{'s' if count > 1 else ''} to read first"
        return Verdict("warn", headline, sentences)
    if _misfits(calibration):
        return Verdict("warn", "Usable, if not to the precision of the data", sentences)
    return Verdict("good", "Trustworthy", sentences)


def _found(calibration: Calibration) -> list[str]:
    profile = calibration.profile
    in_dn = profile.s_r * profile.full_scale_dn
    dark = (
        f"A read in the dark scatters by {number(in_dn)} DN, "
        f"{number(100 * profile.s_r)} % of full scale{_known_to(calibration, 's_r')}."
    )
    if profile.shot == "off" or profile.s_ss == 0:
        return [dark, "No shot noise was found: the noise does not grow with the light."]
    electrons = 1 / profile.s_ss**2
    equal = (profile.s_r / profile.s_ss) ** 2
    shot = (
        f"Shot noise at full scale is {number(100 * profile.s_ss)} % of it"
        f"{_known_to(calibration, 's_ss')}, as of {number(electrons)} electrons."
    )
    if equal < 1:
        balance = (
            f"Below {number(100 * equal, 2)} % of full scale the read noise dominates, "
            "above it the light's own."
        )
    else:
        balance = "The read noise dominates up to full scale: more light is more signal to noise."
    return [dark, shot, balance]


def _known_to(calibration: Calibration, name: str) -> str:
    estimate = calibration.estimates.get(name)
    if estimate is None or not estimate.value > 0:
        return ""
    low, high = estimate.ci95
    half = (high - low) / 2 / estimate.value
    return f" (±{number(100 * half, 2)} %)" if math.isfinite(half) else ""


def _tested(calibration: Calibration) -> str:
    fit = calibration.fit
    used = sum(level.used for level in calibration.levels)
    levels = f"{used} of {len(calibration.levels)} levels"
    if fit.dof == 0:
        return (
            f"The fit takes {levels}, as many as it has parameters, so that nothing tests whether "
            "noise grows in a straight line with light: add levels to know."
        )
    found = f"(reduced chi-square {number(fit.chi2_reduced)}, p = {number(fit.p_value, 2)})"
    if not _misfits(calibration):
        return f"The variance of {levels} lies on a straight line, as the model says {found}."
    miss = _miss(calibration)
    if miss > _MISFIT_SHARE:
        advice = "do not rely on the model before residuals and warnings have told the cause"
    else:
        advice = "the residuals show at which light"
    return (
        f"The variance of {levels} departs from a straight line by {number(100 * miss, 2)} %, "
        f"which is more than chance makes {found}; the intervals are widened for it, and {advice}."
    )


def _misfits(calibration: Calibration) -> bool:
    return calibration.fit.dof > 0 and calibration.fit.p_value < _MISFIT_P


def _miss(calibration: Calibration) -> float:
    """Typical deviation of a level's variance from the fit beyond chance, relative to the fit."""
    used = [level for level in calibration.levels if level.used and level.model_variance_dn2 > 0]
    if not used:
        return 0.0
    model = np.array([level.model_variance_dn2 for level in used])
    off = np.array([level.variance_dn2 for level in used]) / model - 1
    chance = np.array([level.variance_error_dn2 for level in used]) / model
    return math.sqrt(max(float(np.mean(off**2 - chance**2)), 0.0))
