"""What a calibration means, in plain language: what was found, and whether to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from calibration.report_charts import number
from calibration.result import Calibration

_MISFIT_P = 1e-3
"""A fit that chance makes worse more rarely than this does not hold."""


@dataclass(frozen=True)
class Verdict:
    """The conclusion, before any figure.

    Attributes
    ----------
    mood
        ``good``: trust it; ``warn``: with the warnings in mind; ``bad``: the model does not hold.
    headline : str
    sentences : tuple of str
    """

    mood: Literal["good", "warn", "bad"]
    headline: str
    sentences: tuple[str, ...]


def verdict(calibration: Calibration) -> Verdict:
    """Judge a calibration by the fit and its warnings."""
    fit, count = calibration.fit, len(calibration.warnings)
    sentences = (*_found(calibration), _tested(calibration))
    if fit.dof > 0 and fit.p_value < _MISFIT_P:
        return Verdict("bad", "Two parameters do not describe this sensor", sentences)
    if count:
        headline = f"Usable, with {count} warning{'s' if count > 1 else ''} to read first"
        return Verdict("warn", headline, sentences)
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
    if fit.p_value < _MISFIT_P:
        return (
            f"The variance of {levels} does not lie on a straight line {found}; the intervals are "
            "widened for it. Do not rely on the model before the cause is found: look at the "
            "residuals and the warnings."
        )
    return f"The variance of {levels} lies on a straight line, as the model says {found}."
