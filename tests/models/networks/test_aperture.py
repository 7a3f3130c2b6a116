"""The aperture network's shapes, its start, and that it learns what an aperture tells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from focalloop.models.networks.aperture import ApertureNetwork, ApertureSettings
from focalloop.models.networks.sensing import clean_reads
from focalloop.models.training.optimizer import Muon

SMALL = ApertureSettings(width=16, context=16, stages=2)


def random_aperture(*shape: int, open_share: float = 0.5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(*shape, generator=generator) < open_share).float()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (5, 3), (17, 30), (1, 1)])
def test_any_size_gives_a_video_of_that_size(height: int, width: int) -> None:
    levels = torch.ones(2, height, width, dtype=torch.uint8)
    aperture = random_aperture(2, 16, height, width)
    video = ApertureNetwork(SMALL)(torch.rand(2, 8, height, width), levels, aperture)
    assert video.shape == (2, 16, height, width)


@pytest.mark.parametrize("open_share", [0.3, 0.7, 1.0])
def test_a_still_scene_starts_as_one_under_any_aperture(open_share: float) -> None:
    levels = torch.tensor([[4, 1], [0, 2]], dtype=torch.uint8).repeat(6, 6)[None]
    aperture = random_aperture(1, 16, 12, 12, open_share=open_share)
    reads = clean_reads(torch.full((1, 16, 12, 12), 0.7), levels, aperture)
    video = ApertureNetwork(SMALL)(reads, levels, aperture)
    torch.testing.assert_close(video, torch.full_like(video, 0.7), atol=5e-2, rtol=0)
    assert float((video - 0.7).abs().mean().detach()) < 5e-3


def test_it_learns_to_see_motion_through_an_aperture_and_not_without() -> None:
    """Waves that move either way look the same to one long exposure."""
    y, x, t = np.mgrid[:16, :16, :16].astype(np.float32)
    waves = [0.5 + 0.4 * np.sin(0.8 * x + 0.5 * y + 0.4 * way * (t - 7.5)) for way in (1, -1)]
    scene = torch.from_numpy(np.stack(waves).transpose(0, 3, 1, 2).copy())
    levels = torch.ones(2, 16, 16, dtype=torch.uint8)
    errors = []
    for aperture in (random_aperture(1, 16, 16, 16), torch.ones(1, 16, 16, 16)):
        seen = aperture.expand(2, -1, -1, -1)
        reads = clean_reads(scene, levels, seen)
        torch.manual_seed(0)
        network = ApertureNetwork(SMALL)
        optimizer = Muon(network.named_parameters(), outer=network.outer)
        for step in range(60):
            error = (network(reads, levels, seen) - scene).square().mean()
            error.backward()
            optimizer.step(1e-2 * (1 - step / 60))
            network.zero_grad(set_to_none=True)
        errors.append(float(error.detach()))
    assert errors[0] < errors[1] / 4
