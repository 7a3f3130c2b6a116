"""What a bundle's network is given and may give, and the models that are refused."""

import numpy as np
import pytest
from onnx import TensorProto

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor
from focalloop.host.reconstruction.reconstruct import ReconstructError
from tests.support.tiny_bundle import tiny_network


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
