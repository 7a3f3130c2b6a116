"""Quality of a reconstructed video: PSNR and SSIM, defined once.

Both compare the video clipped to [0, 1] and not rounded, with peak and data range 1. PSNR is that
of the mean squared error over all T frames of a clip; SSIM is the mean over its frames (Wang et
al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004: Gaussian
window of sigma 1.5, K1 = 0.01, K2 = 0.03, population covariance).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError

SSIM_SIGMA = 1.5
"""Standard deviation of SSIM's Gaussian window, pixels."""

SSIM_WINDOW = 11
"""Side of that window in pixels: the Gaussian is truncated at 3.5 sigma."""


class MetricsError(FocalloopError, ValueError):
    """The videos cannot be compared; the text says why."""


def mse(video: NDArray[np.generic], truth: NDArray[np.generic]) -> float:
    """Return the mean squared error of `video`, clipped to [0, 1], against `truth`.

    Parameters
    ----------
    video, truth : ndarray of float or uint8, same shape
        1.0 is white in floats, 255 in uint8.

    Raises
    ------
    MetricsError
        If the shapes differ or there is nothing to compare.
    """
    restored, reference = _comparable(video, truth)
    return float(np.mean(np.square(restored - reference), dtype=np.float64))


def psnr(video: NDArray[np.generic], truth: NDArray[np.generic]) -> float:
    """Return the peak signal-to-noise ratio in dB, peak 1; infinite if the videos are equal.

    Parameters and errors as in `mse`.
    """
    return psnr_of_mse(mse(video, truth))


def psnr_of_mse(value: float) -> float:
    """Return the PSNR, in dB, of a mean squared error, peak 1."""
    return float("inf") if value == 0 else float(-10 * np.log10(value))


def psnr_of_mean(errors: Sequence[float]) -> float:
    """Return the PSNR, in dB, of the mean of several clips' mean squared errors.

    By Jensen's inequality it never exceeds the mean of the clips' PSNRs, the usual figure for a
    set.
    """
    return psnr_of_mse(float(np.mean(errors)))


def ssim(video: NDArray[np.generic], truth: NDArray[np.generic]) -> float:
    """Return the mean structural similarity of the frames of ``(T, H, W)`` videos, data range 1.

    Parameters and errors as in `mse`; frames need at least 11x11 pixels.
    """
    from skimage.metrics import structural_similarity

    restored, reference = _comparable(video, truth)
    if restored.ndim != 3 or min(restored.shape[1:]) < SSIM_WINDOW:
        raise MetricsError(
            f"SSIM needs videos (T, H, W) of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, "
            f"not {restored.shape}"
        )
    return float(
        np.mean(
            [
                structural_similarity(  # type: ignore[no-untyped-call]
                    frame,
                    true_frame,
                    gaussian_weights=True,
                    sigma=SSIM_SIGMA,
                    use_sample_covariance=False,
                    data_range=1.0,
                )
                for frame, true_frame in zip(restored, reference, strict=True)
            ]
        )
    )


def _comparable(
    video: NDArray[np.generic], truth: NDArray[np.generic]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if video.shape != truth.shape or video.size == 0:
        raise MetricsError(f"a video of shape {video.shape} cannot be compared with {truth.shape}")
    return np.clip(_unit(video), 0, 1), np.clip(_unit(truth), 0, 1)


def _unit(video: NDArray[np.generic]) -> NDArray[np.float32]:
    if video.dtype == np.uint8:
        return video.astype(np.float32) / np.float32(255)
    return video.astype(np.float32)
