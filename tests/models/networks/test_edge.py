"""The edge network's shapes, its start, and that it can learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.models.networks.edge import NOISE_SPAN, USUAL_NOISE, EdgeNetwork, EdgeSettings
from focalloop.models.networks.interpolation import by_plane, consistent
from focalloop.models.networks.sensing import brightness, clean_reads, spread
from focalloop.models.training.optimizer import Muon

SMALL = EdgeSettings(width=16, context=8, blocks=1)
TOLD = replace(SMALL, noise=True, coarse=1)


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


def lively(settings: EdgeSettings) -> EdgeNetwork:
    """Build a network in which no part is zero."""
    torch.manual_seed(0)
    network = EdgeNetwork(settings).requires_grad_(False)
    for name, value in network.named_parameters():
        if name.startswith(("told.", "head.", "gain.")) or name.endswith("second.weight"):
            value.normal_(std=0.05)
    return network


def window() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    levels = torch.tensor([[8, 1], [4, 0]], dtype=torch.uint8).repeat(5, 7)[None]
    return clean_reads(torch.rand(1, 16, 10, 14, generator=rng), levels), levels


def test_a_network_for_one_noise_does_what_it_did_when_it_was_told_that_noise() -> None:
    told, inputs = lively(TOLD), window()
    videos = []
    for s_ss, s_r in ((2e-3, 2e-2), (1e-2, 3e-3)):
        alone = told.for_noise(s_ss, s_r)
        assert alone.settings == replace(TOLD, noise=False)
        videos.append(told(*inputs, noise=torch.tensor([[s_ss, s_r]])))
        torch.testing.assert_close(alone.eval()(*inputs), videos[-1], atol=1e-5, rtol=1e-5)
    assert float((videos[0] - videos[1]).abs().mean()) > 1e-3


def test_noise_beyond_the_range_counts_as_its_limit() -> None:
    told, inputs = lively(TOLD), window()
    limits = torch.tensor([USUAL_NOISE]) * torch.tensor([[1 / NOISE_SPAN, NOISE_SPAN]])
    for beyond in (torch.tensor([[0.0, 10.0]]), limits * torch.tensor([[0.5, 2.0]])):
        torch.testing.assert_close(told(*inputs, noise=beyond), told(*inputs, noise=limits))


def test_a_network_that_is_told_the_noise_does_not_guess_it() -> None:
    with pytest.raises(ValueError, match="told the noise"):
        EdgeNetwork(TOLD)(*window())


@pytest.mark.parametrize("coded", [False, True])
def test_moving_twice_towards_the_measurements_is_done_at_once(coded: bool) -> None:
    """The end of the network equals its definition: towards, plus the residual, towards again."""
    network, (_, levels) = lively(SMALL), window()
    rng = torch.Generator().manual_seed(1)
    scene, residual = torch.rand(2, 1, 16, 10, 14, generator=rng)
    aperture = torch.randint(0, 2, scene.shape, generator=rng) if coded else None
    planes = brightness(clean_reads(scene, levels, aperture), levels, 16, aperture)
    masks = torch.stack([levels == level for level in (1, 2, 4, 8)], dim=1).float()
    details, _ = network.begun(planes, masks)
    first = spread(details * by_plane(network.octaves))
    first = consistent(first, planes, masks, aperture, network.first_trust)
    expected = consistent(first + residual, planes, masks, aperture, network.trust)
    found = network.ended(details, residual, planes, masks, aperture)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
