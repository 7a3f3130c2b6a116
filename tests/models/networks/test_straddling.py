"""Sensing with phases against the emulator, which sees frames that are shifted by each phase."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.models.networks.sensing import clean_reads
from focalloop.models.networks.straddling import span_ends, straddling_reads

SIZE = (5, 6)


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a scene of three windows, levels and phases."""
    rng = np.random.default_rng(seed)
    levels = rng.choice((0, 1, 2, 4, 8), SIZE)
    phases = np.where(levels > 0, rng.integers(16 // np.maximum(levels, 1)), 0)
    scene = rng.random((1, 48, *SIZE), np.float32)
    return torch.from_numpy(scene), torch.from_numpy(levels)[None], torch.from_numpy(phases)[None]


@given(seed=st.integers(0, 10_000), late=st.booleans())
@settings(max_examples=25, deadline=None)
def test_reads_are_those_of_the_emulator_on_shifted_frames(seed: int, late: bool) -> None:
    scene, levels, phases = drawn(seed)
    level, phase = levels[0].numpy(), phases[0].numpy()
    shifted = np.take_along_axis(scene[0].numpy(), np.arange(32)[:, None, None] + phase, axis=0)
    ratio_map = RatioMap(level.astype(np.uint8))
    readouts = Emulator(ratio_map, preset("ideal")).read_out(shifted.reshape(2, 16, *SIZE))
    before, after = ReadPlan.of(ratio_map).planes(readouts)

    reads = straddling_reads(scene, levels, phases, 16, late=late)[0].numpy()

    for (y, x), n in np.ndenumerate(level):
        expected = after[:n, y, x]
        if phase[y, x]:
            expected = [before[n - 1, y, x], *after[: n - (not late), y, x]]
        np.testing.assert_allclose(reads[: len(expected), y, x], expected, atol=1e-5)
        assert not reads[len(expected) :, y, x].any()


@given(seed=st.integers(0, 10_000), late=st.booleans())
@settings(max_examples=10, deadline=None)
def test_without_phases_nothing_changes(seed: int, late: bool) -> None:
    scene, levels, _ = drawn(seed)
    window = scene[:, 16:32]

    reads = straddling_reads(window, levels, torch.zeros_like(levels), 0, late=late)

    torch.testing.assert_close(reads[:, :8], clean_reads(window, levels), atol=1e-5, rtol=0)
    assert not reads[:, 8].any()


def test_with_late_reads_every_slot_of_the_window_is_seen_once() -> None:
    scene, levels, phases = drawn(3)
    scene.requires_grad_()

    total = straddling_reads(scene, levels, phases, 16, late=True).sum()

    (gradient,) = torch.autograd.grad(total, scene)
    seen = gradient[:, 16:32] * 16
    torch.testing.assert_close(seen, (levels > 0).float()[:, None].expand_as(seen))


@pytest.mark.parametrize("phase", [-1, 8])
def test_a_phase_is_shorter_than_its_span(phase: int) -> None:
    with pytest.raises(ValueError, match="shorter than the span"):
        span_ends(torch.tensor([[[2]]]), torch.tensor([[[phase]]]), late=True)


@pytest.mark.parametrize(("slots", "begin"), [(32, 0), (31, 16)])
def test_a_scene_has_what_the_reads_see(slots: int, begin: int) -> None:
    levels, phases = torch.tensor([[[1]]]), torch.tensor([[[15]]])
    with pytest.raises(ValueError, match="more frames before and after"):
        straddling_reads(torch.zeros(1, slots, 1, 1), levels, phases, begin, late=True)
