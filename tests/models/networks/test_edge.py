"""The edge network's shapes, its start, and that it can learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.networks.sensing import clean_reads
from focalloop.models.training.optimizer import Muon

SMALL = EdgeSettings(width=16, context=8, blocks=1)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (5, 3), (17, 30), (1, 1)])
def test_any_size_gives_a_video_of_that_size(height: int, width: int) -> None:
    levels = torch.ones(2, height, width, dtype=torch.uint8)
    video = EdgeNetwork(SMALL)(torch.rand(2, 8, height, width), levels)
    assert video.shape == (2, 16, height, width)


def test_unmeasured_pixels_start_from_their_measured_neighbours() -> None:
    levels = torch.tensor([[4, 0], [0, 4]], dtype=torch.uint8).repeat(4, 4)[None]
    reads = clean_reads(torch.full((1, 16, 8, 8), 0.7), levels)
    video = EdgeNetwork(SMALL)(reads, levels)
    torch.testing.assert_close(video, torch.full_like(video, 0.7), atol=1e-3, rtol=0)


def test_a_coded_aperture_is_allowed_for() -> None:
    """A still scene stays one, however long each measurement was open."""
    aperture = torch.from_numpy(np.tile(APERTURE_TILE, (1, 2, 2)).copy())[None]
    levels = torch.tensor([[1, 2], [2, 1]], dtype=torch.uint8).repeat(4, 4)[None]
    reads = clean_reads(torch.full((1, 16, 8, 8), 0.5), levels, aperture)
    video = EdgeNetwork(SMALL)(reads, levels, aperture)
    torch.testing.assert_close(video, torch.full_like(video, 0.5), atol=2e-2, rtol=0)


def test_one_window_can_be_learned_by_heart(tile_map: RatioMap) -> None:
    y, x = np.mgrid[:16, :16]
    frames = [0.5 + 0.4 * np.sin(0.8 * x + 0.5 * y + 0.4 * t) for t in range(16)]
    scene = torch.from_numpy(np.stack(frames)).float()[None]
    levels = torch.from_numpy(tile_map.tiled_to(16, 16).levels.copy())[None]
    reads = clean_reads(scene, levels)
    torch.manual_seed(0)
    network = EdgeNetwork(SMALL)
    optimizer = Muon(network.named_parameters(), outer=network.outer)
    first = float((network(reads, levels) - scene).square().mean().detach())
    for step in range(120):
        error = (network(reads, levels) - scene).square().mean()
        error.backward()
        optimizer.step(5e-3 * (1 - step / 120))
        network.zero_grad(set_to_none=True)
    assert float(error.detach()) < first / 20
