"""The paper network against its textbook form, and the registry of networks."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.models.errors import TrainError
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.networks.paper import (
    PaperNetwork,
    PaperSettings,
    SpectralAttention,
    reflected,
)
from focalloop.models.networks.profiles import (
    NetworkSettings,
    build_network,
    default_settings,
    settings_from,
)
from focalloop.models.networks.sensing import clean_reads, initial_reconstruction
from focalloop.models.training.checkpoint import CHECKPOINT
from focalloop.models.training.map_source import OneMap
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.optimizer import Muon
from focalloop.models.training.run import RunSettings
from focalloop.models.training.training_data import TrainingData

SMALL = PaperSettings(stages=1)


def some_levels(*shape: int) -> Tensor:
    draw = torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(0))
    return torch.tensor([0, 1, 2, 4, 8], dtype=torch.uint8)[draw]


def textbook(layer: SpectralAttention, x: Tensor) -> Tensor:
    """S-MSA as MST++ has it: queries and keys in full, one softmax a head, then the projection."""
    n, c, h, w = x.shape
    query, key, values = (part(x) for part in (layer.query, layer.key, layer.value))
    by_head = (n, layer.heads, c // layer.heads, h * w)
    query = functional.normalize(query.reshape(by_head), dim=-1)
    key = functional.normalize(key.reshape(by_head), dim=-1)
    attention = (key @ query.transpose(-1, -2) * layer.scale).softmax(-1)
    mixed = (attention @ values.reshape(by_head)).reshape(n, c, h, w)
    result: Tensor = layer.projection(mixed) + layer.offset + layer.position(values)
    return result


def test_it_has_as_many_parameters_as_the_papers() -> None:
    assert sum(p.numel() for p in PaperNetwork().parameters()) == 447_966


@pytest.mark.parametrize("channels", [16, 32, 64])
def test_attention_through_the_gram_matrix_is_textbook_attention(channels: int) -> None:
    torch.manual_seed(channels)
    layer = SpectralAttention(channels, 16)
    torch.nn.init.normal_(layer.scale, std=5)
    torch.nn.init.normal_(layer.offset)
    x = torch.randn(2, channels, 24, 20) + torch.randn(channels, 1, 1)
    torch.testing.assert_close(layer(x), textbook(layer, x), atol=3e-6, rtol=3e-6)


def test_attention_survives_a_picture_of_zeros() -> None:
    layer = SpectralAttention(16, 16)
    layer(torch.zeros(1, 16, 8, 8)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("length", [5, 8, 13])
def test_padding_is_reflection(length: int) -> None:
    x = torch.rand(2, 3, length, 4)
    expected = functional.pad(x, (0, 0, 0, -length % 8), mode="reflect")
    assert torch.equal(reflected(x, 2), expected)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (5, 3), (17, 30), (1, 1)])
@pytest.mark.parametrize("with_aperture", [False, True])
def test_an_untrained_network_gives_the_initial_reconstruction_of_any_size(
    height: int, width: int, with_aperture: bool
) -> None:
    torch.manual_seed(0)
    levels = some_levels(2, height, width)
    aperture = torch.rand(2, 16, height, width) < 0.5 if with_aperture else None
    reads = clean_reads(torch.rand(2, 16, height, width), levels, aperture)
    network = PaperNetwork(replace(SMALL, aperture=with_aperture))
    expected = initial_reconstruction(reads, levels, 16, aperture)
    torch.testing.assert_close(network(reads, levels, aperture), expected, atol=1e-6, rtol=0)


def test_one_window_can_be_learned_by_heart() -> None:
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    t = torch.arange(16)[:, None, None]
    scene = (0.5 + 0.4 * torch.sin(0.8 * x + 0.5 * y + 0.4 * t))[None]
    levels = some_levels(1, 16, 16)
    reads = clean_reads(scene, levels)
    torch.manual_seed(0)
    network = PaperNetwork(SMALL)
    optimizer = Muon(network.named_parameters(), outer=network.outer)
    first = float((network(reads, levels) - scene).square().mean().detach())
    for step in range(60):
        error = (network(reads, levels) - scene).square().mean()
        error.backward()
        optimizer.step(1e-2 * (1 - step / 60))
        network.zero_grad(set_to_none=True)
    assert float(error.detach()) < first / 20


@pytest.mark.parametrize(
    "settings",
    [EdgeSettings(width=16, aperture=True), PaperSettings(slots=8, stages=2), default_settings()],
)
def test_settings_of_every_profile_survive_a_file(settings: NetworkSettings) -> None:
    found = settings_from(json.loads(json.dumps(asdict(settings))))
    assert found == settings
    assert build_network(found).settings == settings


def test_settings_without_a_profile_are_the_edge_profiles() -> None:
    assert settings_from({"slots": 16, "width": 32}) == EdgeSettings(width=32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"profile": "huge"}, "'huge'.*edge, paper"),
        ({"profile": "paper", "width": 96}, "paper network.*width"),
        ("paper", "settings of a network"),
    ],
)
def test_settings_of_no_profile_are_refused(values: object, message: str) -> None:
    with pytest.raises(FocalloopError, match=message):
        settings_from(values)


def run_of(network: NetworkSettings, data: Path) -> NetworkRun:
    settings = RunSettings(steps=2, batch=1, crop=16, network=network)
    flat = RatioMap.from_tile(np.array([[2]], np.uint8), shape=(32, 32), slots=network.slots)
    return NetworkRun(OneMap(flat), TrainingData.load(data), settings)


def test_it_trains_in_bfloat16_and_resumes(training_file: Path, tmp_path: Path) -> None:
    run = run_of(SMALL, training_file)
    run.train(tmp_path)
    again = run_of(SMALL, training_file)
    again.resume(tmp_path / CHECKPOINT)
    assert again.progress.step == 2
    assert again.learner.average.keys() == run.learner.average.keys()


def test_a_checkpoint_of_another_profile_slots_or_size_is_refused(
    training_file: Path, tmp_path: Path
) -> None:
    data = dict(np.load(training_file))
    np.savez(tmp_path / "short.npz", **data | {"clips": data["clips"][:, :8]})
    short = run_of(PaperSettings(slots=8, stages=1), tmp_path / "short.npz")
    short.save(tmp_path / CHECKPOINT)
    for network, message in (
        (EdgeSettings(), "paper network, not of the edge network"),
        (SMALL, "windows of 8 frames, not of 16"),
    ):
        with pytest.raises(TrainError, match=message):
            run_of(network, training_file).resume(tmp_path / CHECKPOINT)
