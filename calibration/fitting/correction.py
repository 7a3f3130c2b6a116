"""The fixed pattern that a host corrects reads by: offset, gain and defects of every pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.fitting.analysis import Analysis
from focalloop.calibration.fitting.intervals import VarianceComponent
from focalloop.calibration.fitting.nonuniformity import Parts
from focalloop.calibration.result import Pattern
from focalloop.firmware_sim.fixed_pattern import (
    Defect,
    FixedPattern,
    FixedPatternError,
    check_defect_count,
)


def correction_of(analysis: Analysis) -> FixedPattern | CalibrationError:
    """Return the fixed pattern of the sensor, or why these readings do not tell it."""
    try:
        return _pattern(analysis)
    except FixedPatternError as error:
        return CalibrationError(str(error))
    except CalibrationError as error:
        return error


def _pattern(analysis: Analysis) -> FixedPattern:
    readings, full_scale, found = analysis.readings, analysis.full_scale_dn, analysis.defects
    if found is not None:
        check_defect_count(found.kinds)
    if found is None or analysis.pattern.offset is None or analysis.pattern.gain is None:
        raise CalibrationError(
            "the offset and gain of each pixel need dark levels and levels of different light, "
            "none of which may be clipped: add the captures that are missing"
        )
    black = analysis.black.level_dn
    declared = black if readings.black_level_dn is None else readings.black_level_dn
    offset = (_shrunk(*analysis.pattern.offset) + black - declared) / full_scale
    gain = 1 + _shrunk(*analysis.pattern.gain)
    lit = [point.moments.pixels for point in analysis.used if not point.moments.level.dark]
    known = np.any(lit, axis=0) & np.isfinite(offset + gain) | (found.kinds != Defect.GOOD)
    if not known.all():
        raise CalibrationError(
            f"{np.count_nonzero(~known)} pixels were not read both dark and lit, so their offset "
            "and gain are not known: add captures under maps that read them"
        )
    excess = found.levels_dn / full_scale
    if readings.slots is not None:  # in a full window, which an exposure in seconds is not part of
        excess *= readings.slots / found.exposure
    stays = (found.levels_dn - declared) / full_scale
    offset = np.choose(found.kinds, [offset, excess, np.zeros_like(offset), stays])
    gain = np.where(found.kinds == Defect.GOOD, gain, 1.0)
    serial = readings.origin.get("board", {}).get("serial") or None
    return FixedPattern(offset.astype(np.float32), gain.astype(np.float32), found.kinds, serial)


def _shrunk(pattern: Pattern, parts: Parts) -> NDArray[np.float64]:
    """Return the values of a pattern, less the share of each part that is noise by its variance.

    The estimate of least squared error: what was measured no better than chance is left alone.
    """
    rows, columns = pattern.rows[:, None], pattern.columns
    pixels = pattern.values - rows - columns
    height, width = pattern.values.shape
    own = max(parts.pixel.variance, 0.0)  # is in the means of lines too, and no noise there
    return np.asarray(
        _share(parts.row, own / width) * rows
        + _share(parts.column, own / height) * columns
        + _share(parts.pixel) * pixels
    )


def _share(part: VarianceComponent, more: float = 0.0) -> float:
    """Return which share of a mean square is no noise, with `more` variance than the part's own."""
    return min(max(part.variance + more, 0.0) / part.square, 1.0) if part.square > 0 else 0.0
