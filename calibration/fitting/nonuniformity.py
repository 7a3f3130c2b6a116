"""Fixed pattern: DSNU and PRNU and their row, column and pixel parts.

As in EMVA 1288 Release 4 section 8 (spatial nonuniformity).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.fitting.intervals import VarianceComponent
from focalloop.calibration.fitting.transfer_points import TransferPoint
from focalloop.calibration.result import Pattern

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Variances of a fixed pattern without temporal noise: in DN^2 for offsets, relative for gains.

    Attributes
    ----------
    pixel, row, column : VarianceComponent
        Variance over pixels without rows and columns, over rows, and over columns.
    shading : float
        Standard deviation of the smooth surface that was subtracted first; 0 for offsets.
    """

    pixel: VarianceComponent
    row: VarianceComponent
    column: VarianceComponent
    shading: float

    @property
    def total(self) -> VarianceComponent:
        """Variance of all parts together."""
        return self.pixel + self.row + self.column


@dataclass(frozen=True)
class FixedPattern:
    """Offset and gain of each pixel with their parts; None where the levels hold neither."""

    offset: tuple[Pattern, Parts] | None
    gain: tuple[Pattern, Parts] | None


def fixed_pattern(
    points: Sequence[TransferPoint], signals: Sequence[float], row_variance: float
) -> FixedPattern:
    """Measure the fixed pattern from levels that are not clipped.

    Offsets come from the dark levels, as in EMVA 1288 Release 4 section 8; gains are each pixel's
    slope over all levels, weighted by their temporal noise, where the standard uses one level.
    All parts are corrected for the temporal noise left in the mean of the reads.

    Parameters
    ----------
    points : sequence of TransferPoint
        Usable points that are not clipped.
    signals : sequence of float
        How much the mean of each point grows with a relative gain, DN: its mean above black, or
        less where the response bends down.
    row_variance : float
        Variance of the temporal row noise, which is left in the mean of the reads too; DN^2.
    """
    dark = [point for point in points if point.moments.level.dark]
    offset = None
    if dark:
        offset = _parted(*_offsets(dark, row_variance), smooth=False)
    slopes = _slopes(points, signals, row_variance)
    return FixedPattern(offset, None if slopes is None else _parted(*slopes, smooth=True))


def _offsets(dark: Sequence[TransferPoint], row_variance: float) -> tuple[_Array, float, float]:
    """Return the offset (H, W) of each pixel in DN, and pixel and row noise left in it, DN^2."""
    shape = dark[0].moments.pixels.shape
    weight, total = np.zeros(shape), np.zeros(shape)
    for point in dark:
        moments = point.moments
        share = 1 / point.pixel_mean_noise
        weight += share * moments.pixels
        total += share * moments.pixels * (moments.pixel_means - moments.mean)
    measured = weight > 0
    values = np.divide(total, weight, out=np.full(shape, np.nan), where=measured)
    noise = float(np.mean(1 / weight[measured]))
    return values, noise, row_variance / sum(point.moments.reads for point in dark)


def _slopes(
    points: Sequence[TransferPoint], signals: Sequence[float], row_variance: float
) -> tuple[_Array, float, float] | None:
    """Return the relative gain (H, W) of each pixel minus 1, and pixel and row noise left in it."""
    if len(points) < 2:
        return None
    shape = points[0].moments.pixels.shape
    ones, x, xx, y, xy = (np.zeros(shape) for _ in range(5))
    for point, signal in zip(points, signals, strict=True):
        moments = point.moments
        share = moments.pixels / point.pixel_mean_noise
        deviation = share * (moments.pixel_means - moments.mean)
        ones += share
        x += share * signal
        xx += share * signal**2
        y += deviation
        xy += deviation * signal
    determinant = ones * xx - x * x
    measured = determinant > 1e-9 * ones * xx
    if np.count_nonzero(measured.any(1)) < 3 or np.count_nonzero(measured.any(0)) < 3:
        return None
    nothing = np.full(shape, np.nan)
    values = np.divide(ones * xy - x * y, determinant, out=nothing, where=measured)
    noise = float(np.mean(ones[measured] / determinant[measured]))
    brightest = max(points, key=lambda point: point.mean)
    # The brightest level has most of the weight, so the ratio of its noises holds for the slopes.
    return values, noise, noise * row_variance / brightest.variance


def _parted(
    values: _Array, noise: float, row_noise: float, *, smooth: bool
) -> tuple[Pattern, Parts]:
    """Split a pattern (H, W) by analysis of variance.

    The temporal variance `noise` is in every value, and `row_noise` is common to those of a row.
    """
    values = values - np.nanmean(values)
    shading = 0.0
    if smooth:
        surface = smooth_surface(values)
        shading = float(np.nanstd(surface))
        values = values - surface
    measured = np.isfinite(values)
    rows, row_counts = _line_means(values, measured, 1)
    columns, column_counts = _line_means(values, measured, 0)
    count = int(measured.sum())
    residual = (values - rows[:, None] - columns)[measured]
    dof = count - np.count_nonzero(row_counts) - np.count_nonzero(column_counts) + 1
    square = float(residual @ residual) / dof
    # Hot pixels give the pattern heavy tails, and so its variance a larger error.
    fourth = float(np.mean(residual**4))
    parts = Parts(
        pixel=VarianceComponent(
            square, math.sqrt(max(fourth - square**2, square**2) / count), noise
        ),
        row=_line_variance(rows, row_counts, square, row_noise),
        column=_line_variance(columns, column_counts, square, 0.0),
        shading=shading,
    )
    return Pattern(values.astype(np.float32), rows, columns), parts


def _line_means(
    values: _Array, measured: NDArray[np.bool_], axis: int
) -> tuple[_Array, NDArray[np.int_]]:
    counts = measured.sum(axis)
    sums = np.where(measured, values, 0.0).sum(axis)
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0), counts


def _line_variance(
    means: _Array, counts: NDArray[np.int_], square: float, noise: float
) -> VarianceComponent:
    lines = counts > 0
    variance = float(means[lines].var(ddof=1))
    error = variance * math.sqrt(2 / (np.count_nonzero(lines) - 1))
    return VarianceComponent(variance, error, square * float(np.mean(1 / counts[lines])) + noise)


def smooth_surface(values: _Array) -> _Array:
    """Return the least-squares surface of second order: uneven light, not part of the sensor."""
    height, width = values.shape
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(u), u, v, u * v, u * u, v * v], axis=-1)
    measured = np.isfinite(values)
    design = terms[measured]
    coefficients = np.linalg.solve(design.T @ design, design.T @ values[measured])
    return np.asarray(terms @ coefficients)
