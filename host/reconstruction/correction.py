"""Correction of reads: from those of one sensor to those of an even and straight one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.response import Response
from focalloop.host.reconstruction.reconstruct import Float32

_KEPT_PLANS = 2
"""Maps whose plans are kept: that of a stream, and that of the stream before."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is done to the windows of one ratio map; `count` is the number of good reads."""

    taken_under: RatioMap
    corrected: RatioMap
    places: NDArray[np.intp]
    """(count,) where they are in the planes (R, H, W), flattened."""
    offset: Float32
    """(count,), or () where all are the same, as is `gain`."""
    gain: Float32


class Correction:
    """Undoes the fixed pattern and the response of a sensor, before anything is reconstructed.

    The offset of each pixel is subtracted, the rest linearised and divided by the pixel's gain, and
    defective pixels become unmeasured ones: level 0 in the map, zeros in the reads.

    Parameters
    ----------
    pattern : FixedPattern or None
        Of the sensor that is read; None where it is not known, or even.
    profile : NoiseProfile, optional
        Whose response the sensor has; by default it is straight.

    Attributes
    ----------
    pattern : FixedPattern or None
    """

    def __init__(self, pattern: FixedPattern | None, profile: NoiseProfile | None = None) -> None:
        self.pattern = pattern
        self._response = Response() if profile is None else profile.response
        # Replaced as a whole, so that threads that share this object never see half of it.
        self._plans: tuple[_Plan, ...] = ()

    @classmethod
    def needed(cls, pattern: FixedPattern | None, profile: NoiseProfile) -> Correction | None:
        """Return the correction of a sensor; None where there is nothing to undo."""
        nothing = pattern is None and profile.response.straight
        return None if nothing else cls(pattern, profile)

    def __call__(self, reads: Float32, ratio_map: RatioMap) -> tuple[Float32, RatioMap]:
        """Correct the reads of one or more windows.

        Parameters
        ----------
        reads : ndarray of float32, shape (..., R, H, W)
            Measurements in signal units, a pixel's first to last, padded with zeros.
        ratio_map : RatioMap
            Map under which they were taken.

        Returns
        -------
        tuple of ndarray and RatioMap
            The corrected reads, and the map under which to reconstruct them.

        Raises
        ------
        FixedPatternError
            The pattern is of another array size.
        """
        plan = self._plan_for(ratio_map)
        planes = reads.reshape(*reads.shape[:-3], -1)
        good = self._response.linearise(planes[..., plan.places] - plan.offset) / plan.gain
        corrected = np.zeros(planes.shape, np.float32)
        corrected[..., plan.places] = good
        return corrected.reshape(reads.shape), plan.corrected

    def map_for(self, ratio_map: RatioMap) -> RatioMap:
        """Return the map under which to reconstruct the windows of another: one object for each."""
        return self._plan_for(ratio_map).corrected

    def _plan_for(self, ratio_map: RatioMap) -> _Plan:
        for known in self._plans:
            if known.taken_under == ratio_map:
                return known
        corrected, pattern = ratio_map, self.pattern
        if pattern is not None:
            pattern.check_fits(ratio_map.shape)
            if pattern.defects.any():
                corrected = replace(
                    ratio_map,
                    levels=ratio_map.levels * (pattern.defects == 0),
                    level_set=tuple(sorted({0, *ratio_map.level_set})),
                )
        nth = np.arange(max(ratio_map.level_set))[:, None, None]
        places = np.flatnonzero(nth < corrected.levels)
        offset, gain = np.zeros((), np.float32), np.ones((), np.float32)
        if pattern is not None:
            pixels = places % pattern.offset.size
            offset, gain = pattern.offset.reshape(-1)[pixels], pattern.gain.reshape(-1)[pixels]
        plan = _Plan(ratio_map, corrected, places, offset, gain)
        self._plans = (plan, *self._plans[: _KEPT_PLANS - 1])
        return plan
