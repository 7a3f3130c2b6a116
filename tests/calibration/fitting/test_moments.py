"""Moments of a level, against least squares on every term of the model."""

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from focalloop.calibration import CalibrationError, Level
from focalloop.calibration.fitting.moments import moments_of

SIZES = st.tuples(st.integers(2, 4), st.integers(3, 5), st.integers(3, 5))


def residual_variance(reads, pixels):
    """Residual mean square of pixels, rows of each read, and each read's share of the pattern."""
    count, height, width = reads.shape
    pattern = np.where(pixels, reads.mean(0), 0)
    row_means = pattern.sum(1) / np.maximum(pixels.sum(1), 1)
    pattern = np.where(pixels, pattern - row_means[:, None], 0)
    columns, values = [], []
    for r in range(count):
        for y, x in np.argwhere(pixels):
            column = np.zeros((3, max(count, 1), height * width))
            column[0, 0, y * width + x] = 1
            column[1, r, y] = 1
            column[2, r, 0] = pattern[y, x]
            columns.append(column.ravel())
            values.append(float(reads[r, y, x]))
    design = np.array(columns)
    values = np.array(values)
    fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=1e-10)
    return np.sum((values - design @ fitted) ** 2), len(values) - rank


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 2**32 - 1))
def test_variance_is_the_residual_mean_square(size, seed):
    rng = np.random.default_rng(seed)
    reads = rng.integers(0, 256, size).astype(np.uint8)
    pixels = rng.random(size[1:]) < 0.9
    assume((pixels.sum(1) > 1).all() and (pixels.sum(0) > 0).all())
    square, dof = residual_variance(reads, pixels)
    assume(square > 1 and dof > 0)
    found = moments_of(Level(reads, False, 1.0, pixels=pixels), 8)
    assert found.dof == dof
    assert found.variance == pytest.approx(square / dof, rel=1e-3)


def test_two_reads_give_the_variance_of_emva_1288():
    reads = np.random.default_rng(1).integers(0, 4096, (2, 30, 40)).astype(np.uint16)
    first, second = reads.astype(float)
    difference = first - second
    expected = difference.var() / 2
    found = moments_of(Level(reads, False, 1.0), 12)
    # The standard divides by N, we by N - 1.
    assert found.total_variance * 1199 / 1200 == pytest.approx(expected, rel=1e-12)
    assert found.mean == pytest.approx(reads.mean())


def draw(seed, row=0.0, column=0.0, flicker=0.0, reads=4, shape=(96, 96)):
    rng = np.random.default_rng(seed)
    scene = 150 * (1 + 0.2 * np.linspace(-1, 1, shape[1])) * (1 + 0.01 * rng.standard_normal(shape))
    codes = scene * (1 + flicker * rng.standard_normal((reads, 1, 1)))
    codes = codes + 2.0 * rng.standard_normal((reads, *shape))
    codes += row * rng.standard_normal((reads, shape[0], 1))
    codes += column * rng.standard_normal((reads, 1, shape[1]))
    return Level(np.clip(np.round(codes), 0, 255).astype(np.uint8), False, 1.0)


def test_flicker_of_an_uneven_scene_is_not_noise():
    found = [moments_of(draw(seed, flicker=0.03), 8) for seed in range(10)]
    error = 4.083 * np.sqrt(2 / (10 * found[0].dof))
    assert np.mean([m.variance for m in found]) == pytest.approx(4 + 1 / 12, abs=4 * error)
    assert all(m.row.significance < 4 and m.column.significance < 4 for m in found)
    assert np.mean([m.total_variance for m in found]) > 4.2


@pytest.mark.parametrize("noisy", ["row", "column"])
def test_noise_of_rows_and_columns_is_separated_from_that_of_pixels(noisy):
    found = [moments_of(draw(seed, **{noisy: 0.5}), 8) for seed in range(10)]
    quiet = "column" if noisy == "row" else "row"
    variances = [getattr(m, noisy).variance for m in found]
    assert np.mean(variances) == pytest.approx(0.25, rel=0.1)
    assert all(getattr(m, noisy).significance > 4 for m in found)
    assert all(getattr(m, quiet).significance < 4 for m in found)


def test_tiled_pixels_are_measured_as_if_alone():
    level = draw(3, row=0.4)
    pixels = np.zeros((96, 96), bool)
    pixels[::2, 1::2] = True
    masked = moments_of(Level(level.reads, False, 1.0, pixels=pixels), 8)
    alone = moments_of(Level(level.reads[:, ::2, 1::2], False, 1.0), 8)
    assert masked.variance == pytest.approx(alone.variance, rel=1e-6)
    assert masked.dof == alone.dof
    assert masked.row.variance == pytest.approx(alone.row.variance, rel=1e-6)
    assert masked.frame_variance == pytest.approx(alone.frame_variance, rel=1e-6)
    assert (masked.histogram == alone.histogram).all()


def test_too_few_pixels_are_refused():
    with pytest.raises(CalibrationError, match="too few"):
        moments_of(Level(np.zeros((2, 2, 5), np.uint8), True, 1.0, name="tiny"), 8)
