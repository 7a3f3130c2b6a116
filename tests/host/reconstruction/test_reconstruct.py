"""The closed form against its equations, filling against its bounds, ONNX against bad models."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.reconstruct import (
    NetworkFree,
    OnnxReconstructor,
    ReconstructError,
    initial_reconstruction,
)
from tests.support.tiny_bundle import tiny_network

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


def test_a_network_gets_reads_and_levels_and_gives_video():
    reads = np.random.default_rng(0).random((8, 12, 20), np.float32)
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (12, 20))
    network = OnnxReconstructor(tiny_network())
    video = network(reads, ratio_map)
    expected = np.repeat((reads.sum(axis=0) + ratio_map.levels)[None], 16, axis=0)
    assert video.dtype == np.float32
    np.testing.assert_allclose(video, expected, rtol=1e-5)
    np.testing.assert_allclose(network(np.stack([reads, reads]), ratio_map)[1], expected, rtol=1e-5)


def test_a_network_writes_where_it_is_told_and_nowhere_else():
    reads = np.random.default_rng(0).random((2, 8, 12, 20), np.float32)
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (12, 20))
    network = OnnxReconstructor(tiny_network())
    expected = network(reads, ratio_map)
    memory = np.full((4, 16, 12, 20), 7, np.float32)
    assert np.shares_memory(network(reads, ratio_map, out=memory[1:3]), memory)
    np.testing.assert_array_equal(memory[1:3], expected)
    network(reads[0], ratio_map, out=memory[3])
    np.testing.assert_array_equal(memory[3], network(reads[0], ratio_map))
    assert (memory[0] == 7).all()
    with pytest.raises(ReconstructError, match="does not take"):
        network(reads, ratio_map, out=memory[:1])
    assert (memory[0] == 7).all()


@pytest.mark.parametrize("level_set", [(0, 1), (0, 2, 4), (0, 1, 2, 4, 8, 16)])
def test_a_network_takes_the_reads_of_maps_of_other_level_sets(level_set):
    levels = np.full((4, 6), level_set[1], np.uint8)
    rng, planes = np.random.default_rng(1), level_set[-1]
    reads = (
        rng.random((2, planes, 4, 6), dtype=np.float32)
        * (np.arange(planes) < level_set[1])[:, None, None]
    )
    video = OnnxReconstructor(tiny_network())(reads, RatioMap(levels, 16, level_set))
    expected = reads.sum(axis=1, keepdims=True) + levels
    np.testing.assert_allclose(video, expected.repeat(16, axis=1), rtol=1e-6)


def test_a_network_gets_the_aperture_it_asks_for_and_only_that():
    reads = np.ones((8, 4, 4), np.float32)
    ratio_map = RatioMap.uniform(1, (4, 4))
    aperture = np.zeros((16, 4, 4), bool)
    aperture[3] = True
    network = OnnxReconstructor(tiny_network(aperture=True))
    video = network(reads, ratio_map.with_aperture(aperture))
    assert video[3].all()
    assert not np.delete(video, 3, axis=0).any()
    with pytest.raises(ReconstructError, match="needs the coded aperture"):
        network(reads, ratio_map)
    always_open = OnnxReconstructor(tiny_network(aperture=True), any_aperture=True)
    assert always_open(reads, ratio_map).all()
    with pytest.raises(ReconstructError, match="without a coded aperture"):
        OnnxReconstructor(tiny_network())(reads, ratio_map.with_aperture(aperture))


def test_a_network_gets_the_noise_it_asks_for():
    reads, ratio_map = np.ones((8, 4, 4), np.float32), RatioMap.uniform(2, (4, 4))
    network = OnnxReconstructor(tiny_network(noise=True), noise=(0.25, 0.5))
    assert network.uses_noise
    np.testing.assert_allclose(network(reads, ratio_map), 10 * 0.75)
    twice = network.told((0.5, 1.0))
    np.testing.assert_allclose(twice(np.stack([reads, reads]), ratio_map), 10 * 1.5)
    np.testing.assert_allclose(network(reads, ratio_map), 10 * 0.75)
    usual = OnnxReconstructor(tiny_network(noise=True))(reads, ratio_map)
    np.testing.assert_allclose(usual, 10 * sum(preset("paper").shot_and_read()), rtol=1e-6)
    assert not OnnxReconstructor(tiny_network(), noise=(0.25, 0.5)).uses_noise


@pytest.mark.parametrize("model", [b"", b"no model at all", tiny_network()[:200]])
def test_a_damaged_network_is_refused_with_one_sentence(model):
    with pytest.raises(ReconstructError) as caught:
        OnnxReconstructor(model)
    assert "cannot be loaded" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(ReconstructError, match=r"levels: tensor\(float\)"):
        OnnxReconstructor(tiny_network(levels_type=TensorProto.FLOAT))


@pytest.mark.parametrize("factor", [np.nan, np.inf, -np.inf])
def test_a_network_that_gives_no_finite_values_is_refused(factor):
    ratio_map = RatioMap.uniform(1, (8, 8))
    network = OnnxReconstructor(tiny_network(factor=factor))
    with pytest.raises(ReconstructError, match="not finite numbers"):
        network(np.ones((8, 8, 8), np.float32), ratio_map)


def test_measurements_that_do_not_fit_the_network_are_refused():
    network = OnnxReconstructor(tiny_network(slots=8))
    ratio_map = RatioMap.uniform(1, (4, 4))
    with pytest.raises(ReconstructError, match=r"\(8, 4, 4\), but the ratio map has T=16"):
        network(np.zeros((8, 4, 4), np.float32), ratio_map)
    with pytest.raises(ReconstructError, match="does not take"):
        network(np.zeros((16, 4, 4), np.float32), RatioMap.uniform(16, (4, 4), 16, (16,)))
    with pytest.raises(ReconstructError, match="4x5"):
        network(np.zeros((8, 4, 4), np.float32), RatioMap.uniform(1, (4, 5)))
