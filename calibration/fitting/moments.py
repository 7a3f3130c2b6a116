"""The reads of a level: temporal variance by its sources, with exact degrees of freedom.

A read is taken as ``pattern[p] + frame[r] + row[r, y] + noise[r, p]`` and the pattern's own flicker
``flicker[r] * pattern[p]``; ``docs/calibration-math.md`` derives the mean squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.fitting.intervals import Component
from focalloop.calibration.readings import Level


@dataclass(frozen=True, eq=False)
class Moments:
    """What the moments of one level say; variances in DN^2, quantisation included.

    Attributes
    ----------
    level : Level
        What they are of.
    pixels : bool (H, W)
        Pixels measured, N of them.
    pixel_means : float64 (H, W)
        Mean over reads; 0 where not measured.
    frame_means : float64 (R,)
        Mean of each read.
    mean : float
        Of all codes.
    variance, dof : float
        Temporal variance of a pixel free of frame offsets, flicker and row noise, and its exact
        degrees of freedom.
    total_variance, total_dof : float
        The same with row noise and flicker of the pattern in it: EMVA 1288 Release 4 section
        6.6 for two reads.
    row, column : Component
        Temporal variance of the offset that a row's pixels share, or a column's.
    frame_variance : float
        Of the frame means, R - 1 degrees of freedom: offsets and the light's flicker.
    histogram : int64 (codes,)
        How often each code occurs.
    """

    level: Level
    pixels: NDArray[np.bool_]
    pixel_means: NDArray[np.float64]
    frame_means: NDArray[np.float64]
    mean: float
    variance: float
    dof: float
    total_variance: float
    total_dof: float
    row: Component
    column: Component
    frame_variance: float
    histogram: NDArray[np.int64]

    @property
    def reads(self) -> int:
        """R, reads of each pixel."""
        return len(self.frame_means)

    @property
    def count(self) -> int:
        """N, pixels measured."""
        return int(self.pixels.sum())

    def fraction_at(self, code: int) -> float:
        """Share of all codes that are `code`."""
        return float(self.histogram[code] / self.histogram.sum())

    def spatial_variance(self) -> float:
        """Variance over pixels of their means, less the temporal noise left in them; DN^2."""
        variance = self.pixel_means[self.pixels].var(ddof=1) - self.total_variance / self.reads
        return max(float(variance), 0.0)


def moments_of(level: Level, bits: int) -> Moments:
    """Measure the moments of one level in two walks over its reads.

    Parameters
    ----------
    level : Level
        Two reads or more, codes below ``2**bits``.
    bits : int
        Of the converter.

    Raises
    ------
    CalibrationError
        Fewer than three rows of two pixels, or than three columns, were measured.
    """
    count_of_reads = len(level.reads)
    shape = level.reads.shape[1:]
    pixels = np.ones(shape, np.bool_) if level.pixels is None else level.pixels
    row_counts, column_counts = pixels.sum(1), pixels.sum(0)
    count = int(row_counts.sum())
    if np.count_nonzero(row_counts > 1) < 3 or np.count_nonzero(column_counts) < 3:
        raise CalibrationError(
            f"{level.name or 'a level'} measures {count} pixels, which is too few: "
            "noise needs three rows and columns or more"
        )
    histogram = np.zeros(1 << bits, np.int64)
    sums = np.zeros(shape, np.int64)
    squares = np.zeros(shape, np.int64)
    row_sums = np.empty((count_of_reads, shape[0]))
    column_sums = np.empty((count_of_reads, shape[1]))
    for index, read in enumerate(level.reads):
        measured = read if level.pixels is None else read[pixels]
        histogram += np.bincount(measured.ravel(), minlength=len(histogram))
        codes = np.multiply(read, pixels, dtype=np.int64)
        sums += codes
        row_sums[index] = codes.sum(1)
        column_sums[index] = codes.sum(0)
        squares += np.square(codes, out=codes)

    with np.errstate(invalid="ignore", divide="ignore"):
        row_means = row_sums / row_counts
        column_means = column_sums / column_counts
    pixel_means = sums / count_of_reads
    within = float(np.sum(squares - sums * pixel_means))
    frame_means = row_sums.sum(1) / count
    frame_sum = count * float(np.sum((frame_means - frame_means.mean()) ** 2))
    rows = row_counts > 0
    row_sum = float(np.sum(row_counts[rows] * _about_mean(row_means[:, rows]) ** 2))
    pattern = np.where(pixels, pixel_means - np.nan_to_num(row_means.mean(0))[:, None], 0.0)
    flicker_sum = _flicker_sum(level, pattern)

    turns = count_of_reads - 1
    flicker_turns = turns if flicker_sum > 0 else 0
    dof = turns * (count - np.count_nonzero(rows)) - flicker_turns
    variance = max(within - row_sum - flicker_sum, 0.0) / dof
    total_dof = turns * (count - 1)
    row = _offset_variance(row_means[:, rows], row_counts[rows], variance)
    columns = column_counts > 0
    # Pixels of a tiled map lie in different rows from column to column, so that row noise
    # reaches the column means too.
    leak = 0.0 if level.pixels is None else max(row.variance, 0.0)
    column = _offset_variance(column_means[:, columns], column_counts[columns], variance + leak)
    return Moments(
        level=level,
        pixels=pixels,
        pixel_means=pixel_means,
        frame_means=frame_means,
        mean=float(frame_means.mean()),
        variance=variance,
        dof=float(dof),
        total_variance=max(within - frame_sum, 0.0) / total_dof,
        total_dof=float(total_dof),
        row=row,
        column=column,
        frame_variance=float(frame_means.var(ddof=1)),
        histogram=histogram,
    )


def _flicker_sum(level: Level, pattern: NDArray[np.float64]) -> float:
    """Sum of squares that a pattern brighter in one read than in another accounts for.

    Tukey's degree of freedom for non-additivity, one a read; pattern and noise are independent,
    so it takes exactly R - 1 degrees of freedom from the noise.
    """
    size = float(np.sum(pattern**2))
    if size == 0.0:
        return 0.0
    flat = pattern.astype(np.float32).ravel()
    shares = np.array([np.dot(read.ravel().astype(np.float32), flat) for read in level.reads])
    return float(np.sum((shares - shares.mean()) ** 2) / size)


def _about_mean(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(means - means.mean(0))


def _offset_variance(
    means: NDArray[np.float64], counts: NDArray[np.int_], variance: float
) -> Component:
    """Variance of the offsets that lines (R, lines) share.

    The flicker of the lines' own pattern is projected out, as it is no offset.
    """
    reads, lines = means.shape
    residuals = _about_mean(means)
    residuals = residuals - residuals.mean(1, keepdims=True)
    pattern = means.mean(0) - means.mean()
    size = float(np.sum(pattern**2))
    if size > 0:
        residuals = residuals - np.outer(residuals @ pattern, pattern) / size
    dof = (reads - 1) * (lines - 2)
    square = float(np.sum(residuals**2)) / dof
    return Component(square, square * (2 / dof) ** 0.5, variance * float(np.mean(1 / counts)))
