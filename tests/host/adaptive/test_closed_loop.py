"""The loop in simulation: who knows what when, and what is counted."""

import numpy as np

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.adaptive.closed_loop import DELAY, block_errors, closed_loop

TILES = np.array([[[1, 0], [0, 1]], [[1, 1], [1, 1]], [[8, 4], [4, 8]]], np.uint8)


def test_a_choice_knows_the_windows_before_the_last():
    adaptive = AdaptiveMap(RatioMap.uniform(1, (24, 32)), TILES, 16)
    frames = np.random.default_rng(0).integers(256, size=(16 * 4 + 3, 24, 32)).astype(np.uint8)
    known = []

    def choose(number, seen):
        known.append((number, len(seen), [int(one.grid[0, 0]) for one in seen]))
        return np.full((2, 2), number % 3, np.uint8)

    def gray(reads, ratio_map):
        assert reads.shape == (8, 24, 32)
        assert np.array_equal((reads != 0).sum(0), ratio_map.levels)
        return np.full((16, 24, 32), 0.5, np.float32)

    loop = closed_loop(frames, adaptive, choose, gray, preset("paper"))
    assert DELAY == 2
    assert known == [(0, 0, []), (1, 0, []), (2, 1, [0]), (3, 2, [0, 1])]
    assert loop.reads.tolist() == [adaptive.reads(np.full((2, 2), k % 3)) for k in range(4)]
    expected = np.mean((0.5 - frames[:64] / 255) ** 2)
    np.testing.assert_allclose(loop.error.sum() / (4 * 24 * 32), expected, rtol=1e-5)


def test_errors_of_blocks_that_are_cut_off():
    video = np.zeros((16, 20, 20), np.float32)
    scene = np.zeros((16, 20, 20), np.uint8)
    scene[:, 16:, 16:] = 255
    scene[:8, 0, 0] = 255
    assert block_errors(video, scene, 16).tolist() == [[0.5, 0], [0, 16]]
