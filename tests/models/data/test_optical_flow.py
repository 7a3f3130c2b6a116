"""Motion of clips whose motion is known."""

import cv2
import numpy as np
import pytest

from focalloop.models.data.optical_flow import motion


@pytest.mark.parametrize("speed", [0.0, 0.5, 1.4, 3.5])
def test_the_speed_of_a_shifted_texture_is_measured(speed: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 256), np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)
    shifts = [np.array([[1, 0, -speed * slot], [0, 1, 0]]) for slot in range(8)]
    clip = np.stack([cv2.warpAffine(texture, shift, (128, 128)) for shift in shifts])
    measured = motion(clip, window=8)
    assert measured.mean == pytest.approx(speed, abs=0.1)
    assert (measured.still == 1) == (speed == 0)


def test_what_moves_is_told_from_what_is_still() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 128), np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 2.0)
    clip = np.stack([texture[:, :64]] * 16)
    for slot in range(16):
        clip[slot, :32] = cv2.normalize(texture[:32, slot : 64 + slot], None, 0, 255, 32)
    measured = motion(clip)
    assert measured.still == pytest.approx(0.5, abs=0.06)
    assert measured.fast > 0.9 > measured.mean
