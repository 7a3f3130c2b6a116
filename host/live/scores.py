"""PSNR and SSIM of one live window against its scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.host.live.state import ScoreState
from focalloop.host.reconstruction.quality import SSIM_WINDOW, psnr, ssim
from focalloop.host.reconstruction.reconstruct import Float32

SSIM_STEP = 4
"""Slots from one that SSIM scores to the next; scoring all 16 would cost a fifth of a core."""

MAX_PSNR_DB = 100.0
"""Stands for infinity, which JSON cannot express."""


def score(
    window: int, initial: Float32, final: Float32, truth: NDArray[np.uint8]
) -> ScoreState | None:
    """Compare both reconstructions of a window with its scene; None if it is too small for SSIM.

    Parameters
    ----------
    window : int
        Number of the window.
    initial, final : ndarray of float32, shape (T, H, W)
        Reconstructions, with white at 1.
    truth : ndarray of uint8, shape (T, H, W)
        Scene.
    """
    if min(truth.shape[1:]) < SSIM_WINDOW:
        return None
    return ScoreState(
        window=window,
        psnr_initial_db=min(psnr(initial, truth), MAX_PSNR_DB),
        psnr_final_db=min(psnr(final, truth), MAX_PSNR_DB),
        ssim_initial=ssim(initial[::SSIM_STEP], truth[::SSIM_STEP]),
        ssim_final=ssim(final[::SSIM_STEP], truth[::SSIM_STEP]),
    )
