"""Features of blocks, against plain sums."""

import numpy as np
import pytest

from focalloop.firmware_sim.block_features import (
    ENERGIES,
    FEATURES,
    FLOOR,
    READING,
    block_features,
    reading,
)


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    return rng.random((2, 16, 20, 27), np.float32)  # the last blocks are cut off


def energies(windows, block=8):
    readings = np.zeros((2 * READING, 3, 4), np.float32)
    found = block_features(windows[0], windows[1], readings, block)
    assert found.shape == (FEATURES, 3, 4)
    return np.exp(3 * found[:ENERGIES] - 9) - FLOOR, found[ENERGIES]


def mean_squares(difference):
    """Of the block of row 1 and column 3, 8 rows and 3 columns."""
    return np.square(difference)[..., 8:16, 24:27].sum((-1, -2)).mean() / 24


def test_energies_are_mean_squares(windows):
    video, previous = windows.astype(np.float64)
    found, brightness = energies(windows)
    steps = (video[1:] - video[:-1])[::2]
    quarters = video[[4, 8, 12]] - video[[0, 4, 8]]
    expected = [
        mean_squares(steps),
        mean_squares(quarters),
        mean_squares(video[15] - video[0]),
        mean_squares((video - previous)[[0, 15]]),
        mean_squares(video[0] - previous[15]),
    ]
    assert found[:5, 1, 3] == pytest.approx(expected, rel=1e-3)
    assert brightness[1, 3] == pytest.approx(video[8, 8:16, 24:27].mean(), rel=1e-4)


def test_texture_is_that_of_the_middle_slot(windows):
    middle = windows[0, 8].astype(np.float64)
    down = np.diff(middle, axis=0, append=middle[-1:])
    right = np.diff(middle, axis=1, append=middle[:, -1:])
    both = np.diff(down, axis=1, append=down[:, -1:])
    found, _ = energies(windows)
    assert found[5, 1, 3] == pytest.approx(mean_squares(down) + mean_squares(right), rel=1e-3)
    assert found[6, 1, 3] == pytest.approx(mean_squares(both), rel=1e-3)


def test_a_still_window_has_no_energy_in_time():
    still = np.broadcast_to(np.random.default_rng(1).random((20, 27), np.float32), (16, 20, 27))
    found, _ = energies(np.stack([still, still]))
    assert np.abs(found[:5]).max() < 1e-7
    assert found[5:].min() > 0.01


def test_reading_describes_tiles():
    tiles = np.array([[[0, 0], [0, 0]], [[1, 0], [0, 2]], [[8, 4], [4, 8]]], np.uint8)
    assert reading(tiles) == pytest.approx(
        np.array([np.log([0.05, 0.8, 6.05]), [0, 0.5, 1], [0, 0.25, 1], [0, 0, 1]]), rel=1e-5
    )


def test_every_block_is_told_how_fast_the_picture_moves():
    """Twice the shift over the window, of a ramp: four times the energy."""
    ramp = np.tile(np.linspace(0, 0.5, 32, dtype=np.float32), (24, 1))
    readings = np.zeros((2 * READING, 3, 4), np.float32)
    told = []
    for shift in (0.1, 0.2):
        video = np.stack([ramp + np.float32(shift * slot / 15) for slot in range(16)])
        speed = block_features(video, video, readings, 8)[-1]
        assert (speed == speed[0, 0]).all()
        told.append(speed[0, 0])
    assert told[1] - told[0] == pytest.approx(np.log(4) / 3, rel=1e-2)
