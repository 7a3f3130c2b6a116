"""The Cramér-Rao bound of a capture design: the least error of any unbiased estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_QUANTISATION_DN2 = 1 / 12


@dataclass(frozen=True)
class Bound:
    """Least standard deviations of unbiased estimates, relative to the true values.

    Attributes
    ----------
    s_ss, s_r : float
        Of shot noise and of read noise.
    """

    s_ss: float
    s_r: float


def cramer_rao(
    signals: ArrayLike,
    reads: ArrayLike,
    pixels: ArrayLike,
    *,
    s_ss: float,
    s_r: float,
    full_scale_dn: float,
) -> Bound:
    """Bound the relative error of `s_ss` and `s_r` for a design.

    The codes of each pixel are normal around an unknown mean, and each read has an unknown offset
    and flicker. So a level with R reads of N pixels tells the variance with at most ``(R - 1) N``
    degrees of freedom (``docs/calibration-math.md``, "The bound").

    Parameters
    ----------
    signals : array_like, shape (K,)
        Signal of each level, in full-scale units; 0 for dark.
    reads : array_like, shape (K,), or int
        R of each level, or of all.
    pixels : array_like, shape (K,), or int
        N of each level, or of all.
    s_ss, s_r : float
        True shot and read noise, in signal units.
    full_scale_dn : float
        Codes from black to signal 1.0, which says how much quantisation adds.

    Raises
    ------
    ValueError
        If there are not two levels of different signal with at least two reads each.
    """
    signal = np.asarray(signals, np.float64)
    variance = s_r**2 + s_ss**2 * signal + _QUANTISATION_DN2 / full_scale_dn**2
    dof = (np.asarray(reads) - 1.0) * np.asarray(pixels)
    slopes = np.stack([2 * s_ss * signal, np.full_like(signal, 2 * s_r)])
    information = (slopes * (dof / (2 * variance**2))) @ slopes.T
    if np.linalg.matrix_rank(information) < 2:
        raise ValueError(
            "a bound needs two levels of different signal, each with two reads or more"
        )
    errors = np.linalg.inv(information).diagonal()
    return Bound(math.sqrt(errors[0]) / s_ss, math.sqrt(errors[1]) / s_r)
