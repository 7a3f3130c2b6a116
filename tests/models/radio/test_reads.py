"""Reads gathered by cell against the sensing layer of the project."""

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.noise import preset
from focalloop.models.errors import TrainError
from focalloop.models.networks.sensing import add_noise, clean_reads
from focalloop.models.radio.reads import CellReads

TILE = np.array([[1, 2, 1, 2], [4, 1, 8, 1], [1, 2, 1, 2], [8, 1, 4, 0]], np.uint8)


@pytest.fixture(scope="module")
def reads():
    return CellReads(TILE, preset("paper"))


def levels_over(height, width):
    return torch.from_numpy(np.tile(TILE, (height // 4, width // 4)))[None]


def test_cells_hold_what_the_sensor_measures(reads):
    scene = torch.rand(2, 16, 12, 20)
    wanted = clean_reads(scene, levels_over(12, 20))
    cells = reads.measure(scene)
    assert cells.shape == (2, TILE.sum(), 3, 5)
    torch.testing.assert_close(reads.planes(cells), wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(reads.gathered(wanted), cells, atol=1e-6, rtol=0)


def test_a_white_scene_is_one_in_every_channel(reads):
    torch.testing.assert_close(reads.measure(torch.ones(1, 16, 8, 8)), torch.ones(1, 39, 2, 2))


def test_planes_and_cells_are_inverses(reads):
    cells = torch.rand(1, reads.count, 3, 4)
    torch.testing.assert_close(reads.gathered(reads.planes(cells)), cells)


def test_noise_has_the_variance_of_the_sensing_layer(reads):
    scene = torch.full((1, 16, 256, 256), 0.7)
    clean = clean_reads(scene, levels_over(256, 256))
    generator = torch.Generator().manual_seed(0)
    noise = preset("paper")
    theirs = add_noise(
        clean, levels_over(256, 256), s_ss=noise.s_ss, s_r=noise.s_r, generator=generator
    )
    wanted = reads.gathered(theirs).std((0, 2, 3))
    found = reads.measure(scene, generator).std((0, 2, 3))
    np.testing.assert_allclose(found, wanted, rtol=0.06)


def test_noise_follows_from_the_generator(reads):
    scene = torch.rand(1, 16, 8, 8)
    first, again = (reads.measure(scene, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, reads.measure(scene, torch.Generator().manual_seed(6)))


@pytest.mark.parametrize("tile", [np.zeros((4, 4), np.uint8), np.ones((2, 4), np.uint8)])
def test_tiles_that_cannot_be_sent_are_refused(tile):
    with pytest.raises(TrainError, match="square tile"):
        CellReads(tile, preset("paper"))
