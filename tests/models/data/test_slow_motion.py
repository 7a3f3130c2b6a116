"""Frames in between: of motion that is known, and where nothing moves."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.models.data.slow_motion import STILL_PATCH, frames_needed, slowed

MARGIN = 16


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    smooth = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 2.5)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX))


def moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """Shift a picture exactly, by its Fourier transform; it wraps around."""
    rows, cols = (np.fft.fftfreq(n)[:, None] for n in picture.shape)
    phase = np.exp(-2j * np.pi * (rows * y + cols.T * x))
    shifted = np.fft.ifft2(np.fft.fft2(picture) * phase).real
    return np.clip(np.rint(shifted), 0, 255).astype(np.uint8)


@settings(deadline=None, max_examples=6)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_frames_that_are_equal_give_equal_frames(numerator, denominator, seed):
    factor = max(Fraction(1), Fraction(numerator, denominator))
    frame = np.random.default_rng(seed).integers(0, 256, (32, 40), np.uint8)
    frames = np.stack([frame] * frames_needed(factor, 12))
    np.testing.assert_array_equal(slowed(frames, factor, 12), np.stack([frame] * 12))


@settings(deadline=None, max_examples=6)
@given(st.sampled_from([Fraction(4), Fraction(48, 5), Fraction(3, 2), Fraction(1)]))
def test_the_frames_filmed_are_kept_at_whole_times(factor):
    count = 12
    frames = np.random.default_rng(1).integers(
        0, 256, (frames_needed(factor, count), 32, 32), np.uint8
    )
    made = slowed(frames, factor, count)
    for number in range(count):
        if (number / factor).denominator == 1:
            np.testing.assert_array_equal(made[number], frames[int(number / factor)])


@settings(deadline=None, max_examples=5)
@given(st.floats(-6, 6), st.floats(-6, 6), st.integers(0, 9))
def test_a_shift_is_interpolated_to_a_fifth_of_a_pixel(x, y, seed):
    picture = texture(96, 128, seed)
    frames = np.stack([moved(picture, 0, 0), moved(picture, x, y)])
    for number, made in enumerate(slowed(frames, Fraction(4), 5)):
        inner = made[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(float)

        def error(share: float, inner: np.ndarray = inner) -> float:
            truth = moved(picture, share * x, share * y)[MARGIN:-MARGIN, MARGIN:-MARGIN]
            return float(np.mean((inner - truth) ** 2))

        share, length = number / 4, np.hypot(x, y)
        assert error(share) < 1.5  # of 65025: 46 dB
        if length > 0.5:
            off = 0.2 / length
            assert error(share) < min(error(share - off), error(share + off))


def test_what_is_still_keeps_its_bits_beside_what_moves():
    still, square = texture(96, 128, 3).astype(np.uint8), texture(24, 24, 4).astype(np.uint8)
    frames = np.stack([still, still])
    for number, left in enumerate((40, 46)):
        frames[number, 36:60, left : left + 24] = square
    made = slowed(frames, Fraction(8), 9)
    reach = STILL_PATCH // 2
    untouched = np.ones_like(still, bool)
    untouched[36 - reach : 60 + reach, 40 - reach : 70 + reach] = False
    assert (made[:, untouched] == still[untouched]).all()
    # The square itself moves evenly, and what it uncovers is the ground, not a blend of both.
    for number in (2, 4, 6):
        truth = still.copy().astype(float)
        left = 40 + 6 * number / 8
        x, y = np.meshgrid(np.arange(128) - left, np.arange(96) - 36)
        read = cv2.remap(square, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
        inside = (x >= 0) & (x <= 23) & (y >= 0) & (y <= 23)
        truth[inside] = read[inside]
        blend = frames[0] + (frames[1].astype(float) - frames[0]) * number / 8
        error, of_blend = (np.mean((each - truth) ** 2) for each in (made[number], blend))
        assert error < of_blend / 3


def test_too_few_frames_are_an_error():
    with pytest.raises(ValueError, match="9 frames, 4 times as slow, are not in 2"):
        slowed(np.zeros((2, 8, 8), np.uint8), Fraction(4), 9)


def test_the_number_of_threads_changes_nothing():
    frames = np.stack([moved(texture(64, 96), 3 * k, k) for k in range(2)])
    before, made = cv2.getNumThreads(), []
    try:
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            made.append(slowed(frames, Fraction(2), 3))
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(*made)
