"""Checks before the fit: readings that give no noise profile are refused with the reason."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.fitting.moments import Moments
from focalloop.calibration.readings import Level, Readings
from focalloop.calibration.settings import MAX_DRIFT

_MIN_DRIFT = 0.01
"""Smallest change, as a share of the highest code, that counts as drift: smaller ones may be frame
offsets that a few dark reads do not reveal."""

_MIN_CODES = 8
"""Distinct codes below which their spacing reveals nothing about the ADC."""


def check_readings(readings: Readings) -> tuple[Level, ...]:
    """Check types, sizes and settings, and return the levels of two reads or more.

    Raises
    ------
    CalibrationError
        The text says what is wrong, in which level, and what to do.
    """
    if not readings.levels:
        raise CalibrationError("there is nothing to calibrate from: give dark and flat captures")
    if readings.bits not in range(1, 17):
        raise CalibrationError(
            f"the ADC has 1 to 16 bits, not {readings.bits}: correct the number of bits"
        )
    full_scale, black = readings.full_scale_dn, readings.black_level_dn
    if full_scale is not None and not (math.isfinite(full_scale) and full_scale > 0):
        raise CalibrationError(f"the full scale must be a number of DN above 0, not {full_scale}")
    if black is not None and not math.isfinite(black):
        raise CalibrationError(f"the black level must be a number of DN, not {black}")
    for level in readings.levels:
        _check_level(level, readings)
    shapes = {level.reads.shape[1:] for level in readings.levels}
    if len(shapes) > 1:
        sizes = ", ".join(f"{width}x{height}" for height, width in sorted(shapes))
        raise CalibrationError(f"the levels have different sizes, {sizes}: calibrate one at a time")
    repeated = tuple(level for level in readings.levels if len(level.reads) > 1)
    if not repeated:
        raise CalibrationError(
            "every level has only one read, and noise shows in the difference of two: take at "
            "least 2 reads of each level, better 4"
        )
    if all(level.dark for level in repeated):
        raise CalibrationError(
            "all levels are dark, and shot noise shows only in light: add flat captures"
        )
    if not any(level.dark for level in repeated) and black is None:
        raise CalibrationError(
            "there is no dark level and no declared black level: add a dark capture"
        )
    return repeated


def _check_level(level: Level, readings: Readings) -> None:
    name = level.name or "a level"
    reads = level.reads
    if reads.ndim != 3 or reads.size == 0:
        raise CalibrationError(f"{name} must hold reads of shape (R, H, W), not {reads.shape}")
    if reads.dtype.kind == "f":
        count = int(np.count_nonzero(~np.isfinite(reads)))
        what = f"{count} of its values are not numbers" if count else "its values are floats"
        raise CalibrationError(
            f"{name} does not hold raw codes, {what}: calibrate from the unprocessed integers"
        )
    if reads.dtype not in (np.uint8, np.uint16):
        raise CalibrationError(f"{name} must be uint8 or uint16, not {reads.dtype}")
    for what, value in (("exposure", level.exposure), ("light", level.light)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise CalibrationError(f"the {what} of {name} must be 0 or larger, not {value}")
    if level.pixels is not None and level.pixels.shape != reads.shape[1:]:
        raise CalibrationError(
            f"the pixels of {name} have the shape {level.pixels.shape}, its reads {reads.shape[1:]}"
        )
    if readings.bits > 8 and reads.dtype == np.uint8:
        raise CalibrationError(
            f"{name} holds 8-bit codes but {readings.bits} bits are declared: declare 8"
        )
    largest = int(reads.max() if level.pixels is None else reads[:, level.pixels].max(initial=0))
    if largest >= 1 << readings.bits:
        raise CalibrationError(
            f"{name} has a code {largest}, but {readings.bits} bits end at "
            f"{(1 << readings.bits) - 1}: declare the bits of the ADC"
        )


def check_codes(measured: list[Moments], bits: int) -> None:
    """Refuse codes of an ADC with a different number of bits than declared.

    Raises
    ------
    CalibrationError
        If no code needs more than 8 bits though more are declared, or if all codes are multiples
        of a step.
    """
    histogram: NDArray[np.int64] = np.sum([moments.histogram for moments in measured], axis=0)
    codes = np.flatnonzero(histogram)
    if bits > 8 and codes[-1] <= 255:
        raise CalibrationError(
            f"no code is above {codes[-1]}, though {bits} bits reach {(1 << bits) - 1}: declare "
            "8 bits if this is 8-bit data, or use more light"
        )
    top = (1 << bits) - 1
    # The last code need not be a multiple: 12 bits in steps of 16 may end at 4095.
    step = int(np.gcd.reduce(np.diff(codes[codes < top])))
    if step > 1 and len(codes) >= _MIN_CODES:
        fewer = bits - int(math.log2(step))
        raise CalibrationError(
            f"all codes are {step} DN apart, so these data have {fewer} bits and not {bits}: "
            f"divide the codes by {step} and declare {fewer} bits"
        )


def check_drift(measured: list[Moments], black_dn: float, bits: int) -> None:
    """Refuse a level whose light changed from read to read.

    Raises
    ------
    CalibrationError
        If the frame means of a lit level differ by more than flicker and frame offsets explain.
    """
    allowance = max(3 * _largest_offset(measured), _MIN_DRIFT * ((1 << bits) - 1))
    for moments in measured:
        signal = moments.mean - black_dn
        change = float(np.ptp(moments.frame_means))
        if moments.level.dark or change <= MAX_DRIFT * signal + allowance:
            continue
        raise CalibrationError(
            f"the light of {moments.level.name or 'a level'} drifts: its reads differ by "
            f"{change:.1f} DN, {100 * change / max(signal, 1e-9):.1f} % of the signal; let the "
            "lamp settle, feed it direct current, and capture again"
        )


def _largest_offset(measured: list[Moments]) -> float:
    """Return the 95 % upper limit of the frame offset in the dark, DN."""
    dark = [moments for moments in measured if moments.level.dark]
    dof = sum(moments.reads - 1 for moments in dark)
    if dof == 0:
        return 0.0
    square = sum(moments.frame_variance * (moments.reads - 1) for moments in dark)
    return math.sqrt(square / float(chi2.ppf(0.05, dof)))
