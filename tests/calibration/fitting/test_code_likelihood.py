"""The likelihood of codes: the rectangle of a bivariate normal, and no bias where moments fail."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from focalloop.calibration import Level
from focalloop.calibration.fitting.code_likelihood import fit_codes
from focalloop.calibration.fitting.moments import moments_of


def draw(seed, mean, noise, pattern, reads=2, shape=(64, 64), frame=0.0, top=255):
    rng = np.random.default_rng(seed)
    codes = mean + pattern * rng.standard_normal(shape)
    codes = codes + noise * rng.standard_normal((reads, *shape))
    codes += frame * rng.standard_normal((reads, 1, 1))
    codes = np.clip(np.round(codes), 0, top).astype(np.uint8)
    return moments_of(Level(codes, True, 1.0), 8)


def rectangle_loss(moments, fit, mean, variance, pattern):
    """Negative log-likelihood of pairs, by scipy's bivariate normal."""
    shifts = (moments.frame_means - moments.mean) / fit.slope
    normal = multivariate_normal(
        mean + shifts, [[variance + pattern, pattern], [pattern, variance + pattern]]
    )
    pairs, counts = np.unique(moments.level.reads.reshape(2, -1).T, axis=0, return_counts=True)
    low = np.where(pairs == 0, -1e3, pairs - 0.5)
    high = np.where(pairs == 255, 1e3, pairs + 0.5)
    inside = [normal.cdf(upper, lower_limit=lower) for lower, upper in zip(low, high, strict=True)]
    return -counts @ np.log(inside)


@pytest.mark.parametrize(("mean", "noise", "pattern"), [(0.3, 1.2, 0.8), (10.3, 0.35, 0.2)])
def test_the_fit_is_the_maximum_of_the_rectangles_likelihood(mean, noise, pattern):
    moments = draw(1, mean, noise, pattern)
    fit = fit_codes(moments, 8)
    at = np.array([fit.mean, fit.variance, fit.pattern_variance])
    least = rectangle_loss(moments, fit, *at)
    for index in range(3):
        for side in (-1, 1):
            step = np.zeros(3)
            step[index] = side * (0.05 if index == 0 else 0.1 * at[index])
            assert rectangle_loss(moments, fit, *(at + step)) > least


@pytest.mark.parametrize(
    ("mean", "noise", "pattern", "reads"),
    [(0.0, 1.6, 1.0, 4), (-1.0, 1.6, 0.5, 4), (0.0, 1.6, 0.0, 6), (10.3, 0.3, 0.1, 4)],
)
def test_clipped_and_coarse_codes_give_the_noise_without_bias(mean, noise, pattern, reads):
    fits = [fit_codes(draw(seed, mean, noise, pattern, reads, frame=0.2), 8) for seed in range(8)]
    scores = [(f.variance - noise**2) / f.variance_error for f in fits]
    assert abs(np.mean(scores)) < 4 / np.sqrt(8)
    assert 0.3 < np.std(scores) < 1.8
    assert np.mean([f.variance for f in fits]) == pytest.approx(noise**2, rel=0.03)


def test_codes_that_hardly_change_give_no_precise_variance():
    moments = draw(5, 10.0, 0.05, 0.0)
    assert moments.variance == 0
    few = draw(5, 10.0, 0.12, 0.0, shape=(32, 32))
    fit = fit_codes(few, 8)
    assert not fit.variance_error < 0.1 * fit.variance
