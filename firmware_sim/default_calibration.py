"""The default calibration of a sensor: the reads it takes, and what its correction leaves.

`focalloop.host.captures.calibration_design` has the other designs. This module does without NumPy,
because the help text of the command line shows its defaults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET

if TYPE_CHECKING:
    from focalloop.firmware_sim.noise import NoiseProfile

DEFAULT_READS = 4
"""Reads of every level, at least."""

TOP_SIGNAL = 0.9
"""Signal of the brightest flat field: noise and PRNU stay clear of saturation."""

SIGNAL_COUNT = 5
"""Signals of a photon transfer curve if no lights are given."""


@dataclass(frozen=True)
class Step:
    """Windows to take under the same conditions.

    Parameters
    ----------
    light : float
        Radiance of the even light in [0, 1]; 0 is none at all.
    level : int or None
        Reads per window of every pixel; None: different ones, side by side.
    windows : int
        Number of windows.
    """

    light: float
    level: int | None
    windows: int


class Scale(Protocol):
    """What a board or a profile says of its converter."""

    @property
    def bits(self) -> int:
        """Bits of a code."""
        ...

    @property
    def black_level_dn(self) -> float:
        """Code of no light."""
        ...

    @property
    def full_scale_dn(self) -> float:
        """Codes from there to signal 1.0."""
        ...


def top_light(scale: Scale) -> float:
    """Return the radiance of the brightest flat field: `TOP_SIGNAL`, or less if that saturates."""
    reach = ((1 << scale.bits) - 1 - scale.black_level_dn) / scale.full_scale_dn
    return min(TOP_SIGNAL, TOP_SIGNAL * reach)


def span_steps(
    levels: Sequence[int], top: float, reads: int, lights: Sequence[float] | None = None
) -> tuple[Step, ...]:
    """Lay out every span of `levels` above 0, dark and lit: one light gives the whole curve.

    If there are fewer spans than the curve should have signals and no `lights` are given, darker
    ones than `top` fill the gap between the two longest spans, where a point determines the slope
    best.
    """
    steps = [
        Step(light, level, -(-reads // level))
        for light in (0.0, *(lights or (top,)))
        for level in levels
    ]
    if not lights:
        longest, missing = levels[0], SIGNAL_COUNT - len(levels)
        steps += [
            Step(top * (1 - 0.5 * (k + 1) / (missing + 1)), longest, -(-reads // longest))
            for k in range(missing)
        ]
    return tuple(steps)


def corrected(profile: NoiseProfile) -> NoiseProfile:
    """Return the profile of a sensor's reads after the correction by a default calibration.

    The correction takes the linear estimate of least squared error of each pixel's offset and gain
    (`focalloop.calibration.fitting.correction`). Where they vary by V and the reads tell them with
    an error of variance N, it leaves V N / (V + N). N follows from the temporal noise of the reads:
    for offsets from the dark ones, for gains as for a slope over all of them. Columns, which are
    means over all rows, are corrected entirely.
    """
    if not profile.adc:
        return profile
    shot, read = replace(
        profile, prnu=0.0, pixel_offset=0.0, column_offset=0.0, row_noise=0.0, frame_offset=0.0
    ).shot_and_read()
    levels = [level for level in DEFAULT_LEVEL_SET if level]
    dark = ones = x = xx = 0.0
    for step in span_steps(levels, top_light(profile), DEFAULT_READS):
        assert step.level is not None
        signal = step.light / step.level
        weight = step.windows * step.level / (shot**2 * signal + read**2)
        dark += weight * (step.light == 0)
        ones += weight
        x += weight * signal
        xx += weight * signal**2
    return replace(
        profile,
        pixel_offset=_left(profile.pixel_offset, 1 / dark),
        prnu=_left(profile.prnu, ones / (ones * xx - x**2)),
        column_offset=0.0,
    )


def _left(deviation: float, error: float) -> float:
    """Return the deviation that is left after an estimate whose error has this variance."""
    return deviation * math.sqrt(error / (deviation**2 + error))
