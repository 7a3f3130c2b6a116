"""PSNR and SSIM against values computed by hand and against a plain SSIM."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.host.reconstruction.quality import (
    MetricsError,
    mse,
    psnr,
    psnr_of_mean,
    psnr_of_mse,
    ssim,
)


def plain_ssim(x, y):
    """Wang et al. 2004 for one frame, by explicit weighted sums at every whole window."""
    radius = 5
    offsets = np.arange(-radius, radius + 1)
    weight = np.exp(-(offsets**2) / (2 * 1.5**2))
    weight = np.outer(weight, weight) / weight.sum() ** 2
    values = []
    for i in range(radius, x.shape[0] - radius):
        for j in range(radius, x.shape[1] - radius):
            a = x[i - radius : i + radius + 1, j - radius : j + radius + 1]
            b = y[i - radius : i + radius + 1, j - radius : j + radius + 1]
            ma, mb = (weight * a).sum(), (weight * b).sum()
            va, vb = (weight * a * a).sum() - ma**2, (weight * b * b).sum() - mb**2
            cov = (weight * a * b).sum() - ma * mb
            c1, c2 = 0.01**2, 0.03**2
            values.append(
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return np.mean(values)


def test_psnr_of_a_known_error():
    truth = np.full((16, 8, 8), 0.5, np.float32)
    assert psnr(truth + np.float32(0.1), truth) == pytest.approx(20, abs=1e-4)
    assert psnr(truth, truth) == math.inf


def test_video_is_clipped_and_not_rounded():
    truth = np.ones((1, 2, 2), np.float32)
    assert mse(truth * 7, truth) == 0
    assert mse(-truth, truth) == 1
    below_a_code = np.full((1, 2, 2), 1 - 1e-3, np.float32)
    assert mse(below_a_code, truth) == pytest.approx(1e-6, rel=1e-3)


def test_uint8_is_taken_as_255_white():
    truth = np.full((2, 4, 4), 51, np.uint8)
    assert mse(np.full((2, 4, 4), 0.3, np.float32), truth) == pytest.approx(0.01, rel=1e-4)
    assert psnr(truth, truth) == math.inf


@given(st.lists(st.floats(1e-8, 1), min_size=1, max_size=9))
def test_psnr_of_the_mean_never_exceeds_the_mean_psnr(errors):
    mean_of_psnr = np.mean([psnr_of_mse(error) for error in errors])
    assert psnr_of_mean(errors) <= mean_of_psnr + 1e-9


def test_ssim_is_wangs_with_a_gaussian_window():
    rng = np.random.default_rng(0)
    truth = rng.random((2, 15, 14), np.float32)
    video = np.clip(truth + 0.2 * rng.standard_normal(truth.shape, np.float32), 0, 1)
    expected = np.mean([plain_ssim(*frames) for frames in zip(video, truth, strict=True)])
    assert ssim(video, truth) == pytest.approx(expected, abs=1e-5)
    assert ssim(truth, truth) == pytest.approx(1)


def test_videos_that_cannot_be_compared_are_refused():
    with pytest.raises(MetricsError, match=r"\(1, 2, 2\).*\(1, 2, 3\)"):
        psnr(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))
    with pytest.raises(MetricsError, match="11x11"):
        ssim(np.zeros((1, 10, 20)), np.zeros((1, 10, 20)))
