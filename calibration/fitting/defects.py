"""Defective pixels: those that are stuck, hot or dead, by the rules of ``docs/calibration.md``.

They are found before anything is estimated, because a few of them clip a whole level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.fitting.moments import Moments
from focalloop.calibration.fitting.nonuniformity import smooth_surface
from focalloop.firmware_sim.fixed_pattern import Defect

_SIGMAS = 6.0
"""Standard deviations beyond which chance puts no pixel of any array."""

_HOT_SHARE = 0.01
"""Smallest excess of a hot pixel, relative to the full scale; less hardly harms."""

_DEAD_RESPONSE = 0.5
"""Response to light below which a pixel is dead, relative to that of those around it."""

_BELOW_TOP = 0.95
"""Share of the highest code up to which the median pixel of a level is not saturated."""

_MIN_LIT = 0.5
"""Share of the pixels that must see more light than none."""

_NORMAL_MAD = 1.4826
"""Standard deviation of normal values over their median absolute deviation."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Defects:
    """The defective pixels of a sensor.

    Attributes
    ----------
    kinds : ndarray of uint8, shape (H, W)
        A `Defect` per pixel.
    levels_dn : ndarray of float64, shape (H, W)
        Of a hot pixel, what it collects without light in `exposure`, DN; of a stuck one, its code.
        Of others without meaning.
    exposure : float
        Longest exposure without light.
    """

    kinds: NDArray[np.uint8]
    levels_dn: _Array
    exposure: float


def defects_of(measured: Sequence[Moments], bits: int, full_scale_dn: float) -> Defects | None:
    """Find the defective pixels; None without dark and lit levels, which together show them.

    Parameters
    ----------
    measured : sequence of Moments
        Of levels with all their pixels.
    bits : int
        Resolution of the ADC.
    full_scale_dn : float
        Codes from black to signal 1.0, or to saturation.
    """
    top = _BELOW_TOP * ((1 << bits) - 1)
    dark = [moments for moments in measured if moments.level.dark]
    lit = [
        moments
        for moments in measured
        if not moments.level.dark and np.median(moments.pixel_means[moments.pixels]) < top
    ]
    if not dark or not lit:
        return None
    dark_means = _mean(dark)
    response = _response(lit, dark_means)
    if response is None:
        return None
    excess = _excess(dark, dark_means)
    kinds = np.zeros(response.shape, np.uint8)
    kinds[response < min(_DEAD_RESPONSE, 1 - _SIGMAS * _robust_deviation(response))] = Defect.DEAD
    kinds[excess > max(_SIGMAS * _robust_deviation(excess), _HOT_SHARE * full_scale_dn)] = (
        Defect.HOT
    )
    lowest = np.min([moments.lowest for moments in (*dark, *lit)], axis=0)
    highest = np.max([moments.highest for moments in (*dark, *lit)], axis=0)
    kinds[(lowest == highest) & np.isfinite(response)] = Defect.STUCK
    longest = max(moments.level.exposure for moments in dark)
    return Defects(kinds, np.where(kinds == Defect.STUCK, lowest, excess), longest)


def _mean(levels: Sequence[Moments]) -> _Array:
    """Return the mean code of each pixel over all reads of some levels; NaN where it has none."""
    reads = np.sum([moments.reads * moments.pixels for moments in levels], axis=0)
    sums = np.sum([moments.reads * moments.pixel_means for moments in levels], axis=0)
    unread = np.full(reads.shape, np.nan)
    return np.asarray(np.divide(sums, reads, out=unread, where=reads > 0))


def _response(lit: Sequence[Moments], dark_means: _Array) -> _Array | None:
    """Return how each pixel responds to light, relative to those around it; None without light."""
    own, usual = np.zeros(dark_means.shape), np.zeros(dark_means.shape)
    for moments in lit:
        signal = np.where(moments.pixels, moments.pixel_means - dark_means, 0.0)
        own += signal
        usual += moments.pixels * np.nanmedian(signal[moments.pixels])
    if np.mean(usual > 0) < _MIN_LIT:
        return None
    relative = np.divide(own, usual, out=np.full(own.shape, np.nan), where=usual > 0)
    return np.asarray(relative / smooth_surface(relative))


def _excess(dark: Sequence[Moments], dark_means: _Array) -> _Array:
    """Return what each pixel collects without light in the longest exposure, DN, above the median.

    If the exposures differ, that is what grows with them; else, what the pixel's code is above the
    medians of its row and column.
    """
    exposures = np.array([moments.level.exposure for moments in dark])
    if np.ptp(exposures) > 0 and all(moments.pixels.all() for moments in dark):
        reads = np.array([moments.reads for moments in dark])
        about = exposures - np.average(exposures, weights=reads)
        slopes = np.tensordot(reads * about, [moments.pixel_means for moments in dark], 1)
        excess = slopes / (reads @ about**2) * exposures.max()
    else:
        excess = dark_means - np.nanmedian(dark_means, axis=1, keepdims=True)
        excess = excess - np.nanmedian(excess, axis=0)
    return np.asarray(excess - np.nanmedian(excess))


def _robust_deviation(values: _Array) -> float:
    deviation: float = np.nanmedian(np.abs(values - np.nanmedian(values)))
    return _NORMAL_MAD * deviation
