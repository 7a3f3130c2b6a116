"""The closed form against its equations, and filling against its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.reconstruction.reconstruct import (
    NetworkFree,
    ReconstructError,
    initial_reconstruction,
)

LEVELS = st.sampled_from([0, 1, 2, 4, 8])


def level_maps(max_side=6):
    shapes = st.tuples(st.integers(1, max_side), st.integers(1, max_side))
    return shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=LEVELS))


def sensing_matrix(level, slots):
    """CRL section II: row i of A covers slots i*L to (i+1)*L - 1."""
    matrix = np.zeros((level, slots))
    for i in range(level):
        matrix[i, i * slots // level : (i + 1) * slots // level] = 1
    return matrix


def least_norm(reads, levels, slots, aperture=None):
    """CRL Eq. 3 and Eq. 5 as they stand, pixel by pixel: A^T (A A^T)^-1 I, I = T e."""
    video = np.zeros((slots, *levels.shape))
    for y, x in np.argwhere(levels):
        n = int(levels[y, x])
        matrix = sensing_matrix(n, slots)
        if aperture is not None:
            matrix = matrix * aperture[:, y, x]
        video[:, y, x] = np.linalg.pinv(matrix) @ (slots * reads[:n, y, x])
    return video


@settings(deadline=None, max_examples=60)
@given(level_maps(), st.booleans(), st.integers(0, 2**32))
def test_initial_reconstruction_is_least_norm(levels, coded, seed):
    rng = np.random.default_rng(seed)
    reads = rng.random((8, *levels.shape), np.float32)
    aperture = rng.random((16, *levels.shape)) < 0.4 if coded else None
    video = initial_reconstruction(reads, levels, 16, aperture)
    assert video.dtype == np.float32
    np.testing.assert_allclose(video, least_norm(reads, levels, 16, aperture), rtol=2e-6)


@pytest.mark.parametrize(
    ("slots", "level_set"), [(12, (0, 1, 2, 3, 4, 6, 12)), (8, (0, 8)), (6, (2, 3))]
)
def test_initial_reconstruction_takes_any_window_and_level_set(slots, level_set):
    rng = np.random.default_rng(0)
    levels = rng.choice(np.array(level_set, np.uint8), (5, 7))
    reads = rng.random((12, 5, 7), np.float32)
    video = initial_reconstruction(reads, levels, slots)
    np.testing.assert_allclose(video, least_norm(reads, levels, slots), rtol=2e-6)


def test_a_batch_is_its_windows():
    rng = np.random.default_rng(0)
    reads = rng.random((3, 8, 8, 12), np.float32)
    ratio_map = RatioMap.random((8, 12), seed=1)
    for reconstruct in (
        lambda r: initial_reconstruction(r, ratio_map.levels, 16),
        lambda r: NetworkFree()(r, ratio_map),
    ):
        batch = reconstruct(reads)
        assert batch.shape == (3, 16, 8, 12)
        for window, video in zip(reads, batch, strict=True):
            np.testing.assert_allclose(reconstruct(window), video, rtol=1e-6)


def test_reads_of_another_shape_are_refused():
    levels = np.full((4, 4), 4, np.uint8)
    with pytest.raises(ReconstructError, match=r"\(8, 4, 5\).*4x4"):
        initial_reconstruction(np.zeros((8, 4, 5), np.float32), levels, 16)
    with pytest.raises(ReconstructError, match="up to 4"):
        initial_reconstruction(np.zeros((2, 4, 4), np.float32), levels, 16)


@settings(deadline=None, max_examples=60)
@given(level_maps(9), st.integers(0, 2**32))
def test_network_free_keeps_what_was_measured_and_fills_within_its_range(levels, seed):
    reads = np.random.default_rng(seed).random((8, *levels.shape), np.float32)
    video = NetworkFree()(reads, RatioMap(levels))
    measured = levels > 0
    closed_form = initial_reconstruction(reads, levels, 16)
    np.testing.assert_array_equal(video[:, measured], closed_form[:, measured])
    if measured.any():
        low = closed_form[:, measured].min(axis=1)[:, None]
        high = closed_form[:, measured].max(axis=1)[:, None]
        filled = video[:, ~measured]
        assert (filled >= low * (1 - 1e-5)).all()
        assert (filled <= high * (1 + 1e-5)).all()
    else:
        assert not video.any()


def test_network_free_fills_a_hole_with_the_mean_of_its_four_neighbours():
    ratio_map = RatioMap.from_tile([[2, 0], [0, 2]], (6, 6))
    reads = np.zeros((8, 6, 6), np.float32)
    reads[0], reads[1] = np.add.outer(np.arange(6), 2 * np.arange(6)) / 100, 0.25
    video = NetworkFree()(reads, ratio_map)
    np.testing.assert_allclose(video[0, 2, 3], 2 * reads[0, 2, 3], rtol=1e-6)  # linear: exact
    np.testing.assert_allclose(video[15], 0.5, rtol=1e-6)


def test_network_free_fills_a_pixel_whose_aperture_never_opens_like_any_other_hole():
    shut = np.ones((16, 6, 6), bool)
    shut[:, 2, 3] = False
    flat = RatioMap.uniform(1, (6, 6))
    reads = np.zeros((8, 6, 6), np.float32)
    reads[0] = np.add.outer(np.arange(6), 2 * np.arange(6)) / 100
    video = NetworkFree()(reads, flat.with_aperture(shut))
    np.testing.assert_allclose(video[:, 2, 3], reads[0, 2, 3], rtol=1e-6)
    levels = flat.levels.copy()
    levels[2, 3] = 0
    np.testing.assert_array_equal(video, NetworkFree()(reads, RatioMap(levels)))


def test_network_free_follows_a_change_of_map():
    reads = np.full((8, 4, 4), 0.1, np.float32)
    reconstruct = NetworkFree()
    sparse = RatioMap.from_tile([[1, 0], [0, 0]], (4, 4))
    np.testing.assert_allclose(reconstruct(reads, sparse), 0.1, rtol=1e-6)
    assert not reconstruct(reads, RatioMap.uniform(0, (4, 4))).any()
    np.testing.assert_allclose(reconstruct(reads, sparse), 0.1, rtol=1e-6)
