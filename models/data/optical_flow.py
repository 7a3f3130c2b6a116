"""How far the picture of a clip moves from frame to frame, by dense optical flow."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

STILL_DN = 4
"""Largest change, of 255, of a pixel that counts as still: more than compression leaves."""


@dataclass(frozen=True)
class Motion:
    """How a clip moves.

    Attributes
    ----------
    mean, fast : float
        Mean speed of the pixels, and what 5 % of them exceed, pixels per frame.
    still : float
        Share of the pixels of a window that change by at most `STILL_DN` in it.
    """

    mean: float
    fast: float
    still: float


def motion(clip: NDArray[np.uint8], *, window: int = 16, every: int = 1) -> Motion:
    """Measure the motion of a clip.

    The flow is that of dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse
    Search", ECCV 2016).

    Parameters
    ----------
    clip : ndarray of uint8, shape (T, H, W)
        Consecutive frames, two or more.
    window : int, optional
        Frames of a window; a shorter rest is left out.
    every : int, optional
        Measure the flow of one pair of frames of so many.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    pairs = list(pairwise(clip))[::every]
    flows = np.stack([estimator.calc(one, other, np.empty(0)) for one, other in pairs])
    speeds = np.hypot(flows[..., 0], flows[..., 1])
    windows = clip[: len(clip) // window * window].reshape(-1, window, *clip.shape[1:])
    still = np.ptp(windows, axis=1) <= STILL_DN
    return Motion(
        mean=float(speeds.mean()),
        fast=float(np.quantile(speeds, 0.95)),
        still=float(still.mean()) if still.size else float("nan"),
    )
