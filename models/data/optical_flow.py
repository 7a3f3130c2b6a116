"""How far the picture of a clip moves from frame to frame, by dense optical flow."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray


def mean_motion(clip: NDArray[np.uint8]) -> float:
    """Measure the mean speed of a clip's pixels.

    The flow is that of dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse
    Search", ECCV 2016).

    Parameters
    ----------
    clip : ndarray of uint8, shape (T, H, W)
        Consecutive frames, two or more.

    Returns
    -------
    float
        Pixels per frame.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = (estimator.calc(one, other, np.empty(0)) for one, other in pairwise(clip))
    return float(np.mean([np.hypot(flow[..., 0], flow[..., 1]).mean() for flow in flows]))
