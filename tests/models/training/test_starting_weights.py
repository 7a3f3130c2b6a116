"""Weights that a training starts from, made to fit a network of another kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from focalloop.firmware_sim.noise import preset
from focalloop.models.errors import TrainError
from focalloop.models.networks.aperture import ApertureNetwork, ApertureSettings
from focalloop.models.networks.edge import EdgeNetwork, EdgeSettings
from focalloop.models.networks.profiles import default_settings
from focalloop.models.networks.sensing import clean_reads
from focalloop.models.training.starting_weights import find_start
from focalloop.models.training.weights import save_weights

SMALL = EdgeSettings(width=16, context=8, blocks=1)
PAPER = preset("paper")


def saved(settings: EdgeSettings, path: Path) -> EdgeNetwork:
    torch.manual_seed(3)
    network = EdgeNetwork(settings).requires_grad_(False).half().float()
    if settings.noise:
        network.told.layers[2].weight.copy_(torch.full_like(network.told.layers[2].weight, 0.125))
    save_weights(path, settings, network.state_dict(), {})
    return network


def started(path: Path, settings: EdgeSettings) -> EdgeNetwork:
    start = find_start(str(path), settings, [], PAPER)
    assert start.weights is not None
    assert find_start(str(path), settings, [], PAPER).name == start.name
    network = EdgeNetwork(settings).requires_grad_(False)
    network.load_state_dict(dict(start.weights))
    return network


def test_a_network_with_more_parts_begins_as_the_one_that_it_starts_from(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    small, grown = saved(SMALL, path), started(path, replace(SMALL, coarse=2, noise=True))
    levels = torch.full((1, 12, 12), 2, dtype=torch.uint8)
    reads = clean_reads(torch.rand(1, 16, 12, 12), levels)
    noise = torch.tensor([[1e-3, 3e-2]])
    assert torch.equal(grown(reads, levels, noise=noise), small(reads, levels))


def test_a_network_for_one_noise_starts_from_one_that_was_told_it(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    told, alone = saved(replace(SMALL, noise=True), path), started(path, SMALL)
    levels = torch.full((1, 12, 12), 2, dtype=torch.uint8)
    reads = clean_reads(torch.rand(1, 16, 12, 12), levels)
    noise = torch.tensor([[PAPER.s_ss, PAPER.s_r]])
    torch.testing.assert_close(alone(reads, levels), told(reads, levels, noise=noise))
    other = told(reads, levels, noise=noise * 4)
    assert float((other - alone(reads, levels)).abs().max()) > 1e-3


def test_an_aperture_network_begins_with_the_video_of_an_edge_network(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    told = saved(EdgeSettings(coarse=1, noise=True), path)
    start = find_start(str(path), ApertureSettings(), [], PAPER)
    assert start.weights is not None
    network = ApertureNetwork().requires_grad_(False)
    network.load_state_dict(dict(start.weights))
    levels = torch.full((1, 12, 12), 2, dtype=torch.uint8)
    reads = clean_reads(torch.rand(1, 16, 12, 12), levels)
    expected = told(reads, levels, noise=torch.tensor([[PAPER.s_ss, PAPER.s_r]]))
    torch.testing.assert_close(network.edge(reads, levels), expected)
    saved(SMALL, path)
    with pytest.raises(TrainError, match="of the edge network, not of the aperture network"):
        find_start(str(path), ApertureSettings(), [], PAPER)


def test_a_smaller_network_does_not_start_from_a_larger_one(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    saved(replace(SMALL, coarse=1), path)
    with pytest.raises(TrainError, match="another size"):
        find_start(str(path), SMALL, [], PAPER)


def test_other_noise_starts_from_weights_that_were_told_the_noise() -> None:
    network = default_settings("edge")
    assert isinstance(network, EdgeSettings)
    loud = replace(PAPER, name="loud", s_r=4 * PAPER.s_r)
    for settings, noise, name in (
        (network, PAPER, "edge-universal"),
        (network, loud, "edge-universal-told"),
        (replace(network, noise=True), PAPER, "edge-universal-told"),
    ):
        start = find_start(None, settings, [], noise)
        assert start.name.partition("@")[0] == name
        assert start.weights is not None
        EdgeNetwork(settings).load_state_dict(dict(start.weights))
