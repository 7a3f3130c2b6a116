"""The verdict on a calibration, in plain language: what was found, and whether to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from focalloop.calibration.report.charts import number
from focalloop.calibration.result import Calibration

_MISFIT_P = 1e-3
"""p-value of the fit below which the model does not hold to the precision of the data."""

_MAX_MISFIT = 0.1
"""Largest relative error of the variance with which a model is still usable: 5 % of the noise."""


@dataclass(frozen=True)
class Verdict:
    """The conclusion, which comes before any figure.

    Attributes
    ----------
    mood : {"good", "warn", "bad"}
        "good": trustworthy; "warn": usable with the warnings in mind; "bad": the model does not
        describe this sensor.
    headline : str
        The conclusion in a few words.
    sentences : tuple of str
        What was found, and how well the model fits.
    """

    mood: Literal["good", "warn", "bad"]
    headline: str
    sentences: tuple[str, ...]


def verdict(calibration: Calibration) -> Verdict:
    """Judge a calibration by the fit and its warnings."""
    count = len(calibration.warnings)
    sentences = (*_found(calibration), _tested(calibration))
    if _misfits(calibration) and _miss(calibration) > _MAX_MISFIT:
        return Verdict("bad", "Two parameters do not describe this sensor", sentences)
    if count:
        headline = f"Usable, with {count} warning{'s' if count > 1 else ''} to read first"
        return Verdict("warn", headline, sentences)
    if _misfits(calibration):
        return Verdict("warn", "Usable, but not to the precision of the data", sentences)
    return Verdict("good", "Trustworthy", sentences)


def _found(calibration: Calibration) -> list[str]:
    profile = calibration.profile
    in_dn = profile.s_r * profile.full_scale_dn
    dark = (
        f"The read noise is {number(in_dn)} DN, or {number(100 * profile.s_r)} % of full scale"
        f"{_precision(calibration, 's_r')}."
    )
    response = _response(calibration)
    if profile.shot == "off" or profile.s_ss == 0:
        none = "No shot noise was found: the noise does not grow with the light."
        return [dark, none, *response]
    electrons = 1 / profile.s_ss**2
    equal = (profile.s_r / profile.s_ss) ** 2
    shot = (
        f"The shot noise of a full-scale signal is {number(100 * profile.s_ss)} % of full scale"
        f"{_precision(calibration, 's_ss')}, so full scale is {number(electrons)} electrons."
    )
    if equal < 1:
        balance = (
            f"Below {number(100 * equal, 2)} % of full scale the read noise dominates, "
            "above it the shot noise."
        )
    else:
        balance = (
            "The read noise dominates up to full scale, so more light improves the "
            "signal-to-noise ratio."
        )
    return [dark, shot, balance, *response]


def _response(calibration: Calibration) -> list[str]:
    """Say whether the response bends; nothing where it is not known."""
    response = calibration.response
    if response is None:
        return []
    bend, half = (
        100 * float(np.interp(1.0, response.curve.x, values))
        for values in (response.curve.y, response.half)
    )
    interval = f"95 % interval {number(bend - half, 2)} to {number(bend + half, 2)} %"
    if not response.bent:
        return [f"No bend shows in the response: it is straight up to full scale ({interval})."]
    if calibration.profile.response.straight:
        return []  # a warning says why
    return [
        f"The response bends: at full scale it lies {number(abs(bend))} % "
        f"{'below' if bend < 0 else 'above'} its initial straight line ({interval}). Gain and "
        "noise are those of its slope in the dark."
    ]


def _precision(calibration: Calibration, name: str) -> str:
    estimate = calibration.estimates.get(name)
    if estimate is None or not estimate.value > 0:
        return ""
    low, high = estimate.ci95
    half = (high - low) / 2 / estimate.value
    return f" (within ±{number(100 * half, 2)} % of this value)" if math.isfinite(half) else ""


def _tested(calibration: Calibration) -> str:
    fit = calibration.fit
    used = sum(level.used for level in calibration.levels)
    levels = f"{used} of {len(calibration.levels)} levels"
    if fit.dof == 0:
        return (
            f"The fit uses {levels}, as many as it has parameters, so nothing tests whether the "
            "variance grows linearly with the light: add levels to find out."
        )
    found = f"(reduced chi-square {number(fit.chi2_reduced)}, p = {number(fit.p_value, 2)})"
    if not _misfits(calibration):
        straight = calibration.profile.response.straight
        line = "a straight line" if straight else "the line of the bent response"
        return f"The variances of {levels} lie on {line}, as the model requires {found}."
    miss = _miss(calibration)
    if miss > _MAX_MISFIT:
        advice = "do not rely on the model before the residuals and warnings show the cause"
    else:
        advice = "the residuals show at which light levels the model fails"
    return (
        f"The variances of {levels} deviate from a straight line by {number(100 * miss, 2)} %, "
        f"which is more than chance explains {found}. The intervals are widened accordingly; "
        f"{advice}."
    )


def _misfits(calibration: Calibration) -> bool:
    return calibration.fit.dof > 0 and calibration.fit.p_value < _MISFIT_P


def _miss(calibration: Calibration) -> float:
    """Return the typical relative deviation of a level's variance from the fit, beyond chance."""
    used = [level for level in calibration.levels if level.used and level.model_variance_dn2 > 0]
    if not used:
        return 0.0
    model = np.array([level.model_variance_dn2 for level in used])
    off = np.array([level.variance_dn2 for level in used]) / model - 1
    chance = np.array([level.variance_error_dn2 for level in used]) / model
    return math.sqrt(max(float(np.mean(off**2 - chance**2)), 0.0))
