"""How near the reconstructions of one window are to the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.host.live.state import ScoreState
from focalloop.host.reconstruction.quality import psnr, ssim
from focalloop.host.reconstruction.reconstruct import Float32

SSIM_STEP = 4
"""Slots from one scored by SSIM to the next: all 16 would cost a fifth of a core."""

PSNR_CAP_DB = 100.0
"""Stands for infinity, which JSON does not have."""


def score(window: int, initial: Float32, final: Float32, truth: NDArray[np.uint8]) -> ScoreState:
    """Compare both reconstructions of a window with its scene, all of shape (T, H, W)."""
    return ScoreState(
        window=window,
        psnr_initial_db=min(psnr(initial, truth), PSNR_CAP_DB),
        psnr_final_db=min(psnr(final, truth), PSNR_CAP_DB),
        ssim_initial=ssim(initial[::SSIM_STEP], truth[::SSIM_STEP]),
        ssim_final=ssim(final[::SSIM_STEP], truth[::SSIM_STEP]),
    )
