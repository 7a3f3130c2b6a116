"""The Cramér-Rao bound of a design: how well any unbiased estimator can do with these captures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_QUANTISATION_DN2 = 1 / 12


@dataclass(frozen=True)
class Bound:
    """Least standard deviations of unbiased estimates of `s_ss` and `s_r`, over their values."""

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

    The codes of a pixel are normal with an unknown mean of its own, and each read has an unknown
    offset and flicker, so that a level with R reads of N pixels informs on the variance with
    ``(R - 1) N`` degrees of freedom at most (``docs/calibration-math.md``, "The bound").

    Parameters
    ----------
    signals : (K,)
        Signal of each level, full-scale units, 0 for dark.
    reads, pixels : (K,) or one for all
        R and N of each level.
    s_ss, s_r : float
        True noise.
    full_scale_dn : float
        Codes from black to signal 1.0, which says how much quantisation adds.

    Raises
    ------
    ValueError
        The levels have fewer than two different signals or reads.
    """
    signal = np.asarray(signals, np.float64)
    variance = s_r**2 + s_ss**2 * signal + _QUANTISATION_DN2 / full_scale_dn**2
    dof = (np.asarray(reads) - 1.0) * np.asarray(pixels)
    slopes = np.stack([2 * s_ss * signal, np.full_like(signal, 2 * s_r)])
    information = (slopes * (dof / (2 * variance**2))) @ slopes.T
    if np.linalg.matrix_rank(information) < 2:
        raise ValueError("a bound needs two levels of different signal with two reads or more")
    errors = np.linalg.inv(information).diagonal()
    return Bound(math.sqrt(errors[0]) / s_ss, math.sqrt(errors[1]) / s_r)
