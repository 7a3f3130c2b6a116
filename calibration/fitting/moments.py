"""Moments of a level: its temporal variance by source, with exact degrees of freedom.

The model of read ``r`` at pixel ``p`` in row ``y`` is ``pattern[p] + frame[r] + row[r, y] +
flicker[r] * pattern[p] + noise[r, p]``; ``docs/calibration-math.md`` derives the mean squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.fitting.intervals import VarianceComponent
from focalloop.calibration.readings import Level


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of one level; variances in DN^2, quantisation included.

    Attributes
    ----------
    level : Level
        The level itself.
    pixels : ndarray of bool, shape (H, W)
        The N pixels measured.
    pixel_means : ndarray of float64, shape (H, W)
        Mean of each pixel over the reads, DN; 0 where not measured.
    lowest, highest : ndarray of uint16, shape (H, W)
        Lowest and highest code of each pixel; 65535 and 0 where not measured.
    frame_means : ndarray of float64, shape (R,)
        Mean of each read, DN.
    mean : float
        Mean of all codes, DN.
    variance, dof : float
        Temporal variance per pixel without frame offsets, flicker and row noise, and its exact
        degrees of freedom.
    total_variance, total_dof : float
        The same with row noise and flicker of the pattern: for two reads, the temporal variance
        of EMVA 1288 Release 4 section 6.6 (photon transfer method).
    row, column : VarianceComponent
        Temporal variance of the offset common to the pixels of a row, and of a column.
    frame_variance : float
        Variance of the frame means with R - 1 degrees of freedom: frame offsets and flicker of
        the light.
    histogram : ndarray of int64, shape (2**bits,)
        Number of occurrences of each code.
    """

    level: Level
    pixels: NDArray[np.bool_]
    pixel_means: NDArray[np.float64]
    lowest: NDArray[np.uint16]
    highest: NDArray[np.uint16]
    frame_means: NDArray[np.float64]
    mean: float
    variance: float
    dof: float
    total_variance: float
    total_dof: float
    row: VarianceComponent
    column: VarianceComponent
    frame_variance: float
    histogram: NDArray[np.int64]

    @property
    def reads(self) -> int:
        """Reads per pixel R."""
        return len(self.frame_means)

    @property
    def count(self) -> int:
        """Pixels measured N."""
        return int(self.pixels.sum())

    def fraction_at(self, code: int) -> float:
        """Return the share of all codes that are `code`."""
        return float(self.histogram[code] / self.histogram.sum())

    def spatial_variance(self) -> float:
        """Return the variance of the pixel means, minus the temporal noise left in them; DN^2."""
        variance = self.pixel_means[self.pixels].var(ddof=1) - self.total_variance / self.reads
        return max(float(variance), 0.0)


def moments_of(level: Level, bits: int) -> Moments:
    """Measure the moments of one level in two passes over its reads.

    Parameters
    ----------
    level : Level
        A level of two reads or more, with codes below ``2**bits``.
    bits : int
        Resolution of the ADC.

    Raises
    ------
    CalibrationError
        If fewer than three rows with two pixels, or fewer than three columns, were measured.
    """
    count_of_reads = len(level.reads)
    shape = level.reads.shape[1:]
    pixels = np.ones(shape, np.bool_) if level.pixels is None else level.pixels
    row_counts, column_counts = pixels.sum(1), pixels.sum(0)
    count = int(row_counts.sum())
    if np.count_nonzero(row_counts > 1) < 3 or np.count_nonzero(column_counts) < 3:
        raise CalibrationError(
            f"{level.name or 'a level'} measures {count} pixels, which is too few: "
            "noise needs at least three rows and columns"
        )
    histogram = np.zeros(1 << bits, np.int64)
    sums = np.zeros(shape, np.int64)
    squares = np.zeros(shape, np.int64)
    lowest, highest = np.full(shape, 0xFFFF, np.uint16), np.zeros(shape, np.uint16)
    row_sums = np.empty((count_of_reads, shape[0]))
    column_sums = np.empty((count_of_reads, shape[1]))
    for index, read in enumerate(level.reads):
        measured = read if level.pixels is None else read[pixels]
        histogram += np.bincount(measured.ravel(), minlength=len(histogram))
        codes = np.multiply(read, pixels, dtype=np.int64)
        sums += codes
        np.minimum(lowest, read, out=lowest, where=pixels)
        np.maximum(highest, read, out=highest, where=pixels)
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

    read_dof = count_of_reads - 1
    flicker_dof = read_dof if flicker_sum > 0 else 0
    dof = read_dof * (count - np.count_nonzero(rows)) - flicker_dof
    variance = max(within - row_sum - flicker_sum, 0.0) / dof
    total_dof = read_dof * (count - 1)
    row = _offset_variance(row_means[:, rows], row_counts[rows], variance)
    columns = column_counts > 0
    # Where columns have pixels in different rows, as in a tiled map, row noise reaches their means:
    # as much of it as in a sample of that share of all rows.
    unread = 1 - count / (np.count_nonzero(rows) * np.count_nonzero(columns))
    leak = unread * max(row.variance, 0.0)
    column = _offset_variance(column_means[:, columns], column_counts[columns], variance + leak)
    return Moments(
        level=level,
        pixels=pixels,
        pixel_means=pixel_means,
        lowest=lowest,
        highest=highest,
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
    """Return the sum of squares due to the pattern being brighter in one read than in another.

    Tukey's degree of freedom for non-additivity, one per read ("One degree of freedom for
    non-additivity", Biometrics 5, 1949). Pattern and noise are independent, so it takes exactly
    R - 1 degrees of freedom from the noise.
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
) -> VarianceComponent:
    """Return the temporal variance of the offsets of lines, from their means (R, lines).

    Flicker of the pattern of the lines is not an offset and is projected out.
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
    return VarianceComponent(
        square, square * (2 / dof) ** 0.5, variance * float(np.mean(1 / counts))
    )
