"""A network with memory: what the last frame adds, where it is trusted, and where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from focalloop.firmware_sim.noise import PRESETS
from focalloop.models.networks.edge import USUAL_NOISE, EdgeNetwork, EdgeSettings
from focalloop.models.networks.memory import NOTHING
from focalloop.models.networks.sensing import clean_reads
from focalloop.models.training.starting_weights import fitted

ALONE = EdgeSettings(width=16, context=8, blocks=1, coarse=1, noise=True)
REMEMBERING = replace(ALONE, memory=True)
NOISE = torch.tensor([USUAL_NOISE])
SIDE = 24


def network(settings: EdgeSettings = REMEMBERING) -> EdgeNetwork:
    torch.manual_seed(0)
    return EdgeNetwork(settings).eval()


def sparse_levels() -> Tensor:
    levels = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    levels[:, ::4, ::4] = 1
    return levels


@pytest.fixture
def still() -> Tensor:
    """A still scene (1, 16, SIDE, SIDE) with detail that a sparse tile misses."""
    frame = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return frame.expand(1, 16, SIDE, SIDE).contiguous()


def test_weights_without_memory_go_on_as_the_same_function_where_nothing_is_known(
    still: Tensor,
) -> None:
    alone = network(ALONE)
    with_memory = network()
    weights = fitted(ALONE, alone.state_dict(), with_memory.settings, PRESETS["paper"])
    with_memory.load_state_dict(weights)
    levels = sparse_levels()
    reads = clean_reads(still, levels)
    nothing = torch.full((1, SIDE, SIDE), NOTHING)
    found = with_memory(reads, levels, noise=NOISE, last=nothing)
    assert torch.equal(found, alone(reads, levels, noise=NOISE))


def test_the_last_frame_fills_in_what_stands_still_and_not_what_changed(still: Tensor) -> None:
    """Nothing has learned here: what closes the gate is only what the last frame misses."""
    open_gate, levels = network(), sparse_levels()
    torch.nn.init.constant_(open_gate.memory.gate.bias, 4.0)
    changed = still.clone()
    changed[..., : SIDE // 2] = 1 - changed[..., : SIDE // 2]  # the left half is another
    video = open_gate(clean_reads(changed, levels), levels, noise=NOISE, last=still[:, 0])
    nothing = torch.full_like(still[:, 0], NOTHING)
    without = open_gate(clean_reads(changed, levels), levels, noise=NOISE, last=nothing)
    error, before = ((each - changed).square().mean(1)[0] for each in (video, without))
    margin = 4  # of the cells around
    right, left = slice(SIDE // 2 + margin, None), slice(SIDE // 2 - margin)
    assert error[:, right].mean() < before[:, right].mean() / 20
    assert error[:, left].mean() < 1.5 * before[:, left].mean()


def test_pixels_of_which_nothing_is_known_are_rebuilt_from_their_reads_alone(
    still: Tensor,
) -> None:
    both, levels = network(), sparse_levels()
    reads = clean_reads(still, levels)
    last = still[:, 0].clone()
    last[:, :, : SIDE // 2] = NOTHING
    video = both(reads, levels, noise=NOISE, last=last)
    alone = both(reads, levels, noise=NOISE, last=torch.full_like(last, NOTHING))
    far = 12  # cells of 4, seen around
    assert torch.allclose(video[..., :far], alone[..., :far])
    assert not torch.allclose(video, alone)


@pytest.mark.parametrize(("height", "width"), [(5, 3), (17, 30), (1, 1)])
def test_any_size_has_a_memory(height: int, width: int) -> None:
    levels = torch.ones(2, height, width, dtype=torch.uint8)
    last = torch.rand(2, height, width)
    video = network()(torch.rand(2, 8, height, width), levels, noise=NOISE.expand(2, 2), last=last)
    assert video.shape == (2, 16, height, width)
    assert video.isfinite().all()


def test_a_network_with_memory_must_be_told_what_it_remembers() -> None:
    levels = torch.ones(1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="NOTHING everywhere"):
        network()(torch.rand(1, 8, 8, 8), levels, noise=NOISE)
