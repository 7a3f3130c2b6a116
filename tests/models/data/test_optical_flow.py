"""Motion of clips whose motion is known."""

import cv2
import numpy as np
import pytest

from focalloop.models.data.optical_flow import mean_motion


@pytest.mark.parametrize("speed", [0.0, 0.5, 1.4, 3.5])
def test_the_speed_of_a_shifted_texture_is_measured(speed: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 256), np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)
    shifts = [np.array([[1, 0, -speed * slot], [0, 1, 0]]) for slot in range(8)]
    clip = np.stack([cv2.warpAffine(texture, shift, (128, 128)) for shift in shifts])
    assert mean_motion(clip) == pytest.approx(speed, abs=0.1)
