"""The first video: what near pixels know of time, and what each pixel measured itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from focalloop.models.networks.interpolation import consistent, interpolated
from focalloop.models.networks.sensing import (
    brightness,
    clean_reads,
    initial_reconstruction,
    spread,
)

LEVELS = (1, 2, 4, 8)


def first_video(scene: Tensor, levels: Tensor, aperture: Tensor | None = None) -> Tensor:
    planes = brightness(clean_reads(scene, levels, aperture), levels, 16, aperture)
    masks = torch.stack([levels == level for level in LEVELS], 1).float()
    return consistent(spread(interpolated(planes, masks)), planes, masks, aperture)


def random_levels(seed: int) -> Tensor:
    levels = np.random.default_rng(seed).choice((0, *LEVELS), (1, 9, 10))
    return torch.from_numpy(levels.astype(np.uint8))


@given(seed=st.integers(0, 10_000), coded=st.booleans())
@settings(max_examples=20, deadline=None)
def test_measuring_the_first_video_gives_the_measurements(seed: int, coded: bool) -> None:
    rng = np.random.default_rng(seed)
    levels = random_levels(seed)
    scene = torch.from_numpy(rng.random((1, 16, 9, 10), np.float32))
    aperture = torch.from_numpy(rng.random((1, 16, 9, 10)) < 0.5) if coded else None
    video = first_video(scene, levels, aperture)
    torch.testing.assert_close(
        clean_reads(video, levels, aperture),
        clean_reads(scene, levels, aperture),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_fixed_level_gives_the_initial_reconstruction(level: int) -> None:
    scene = torch.rand(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    levels = torch.full((1, 8, 8), level, dtype=torch.uint8)
    closed_form = initial_reconstruction(clean_reads(scene, levels), levels)
    torch.testing.assert_close(first_video(scene, levels), closed_form)


def test_every_pixel_shares_what_near_pixels_know_of_time() -> None:
    """A flat scene that flickers: one pixel of level 8 in 4x4 tells all the others."""
    flicker = torch.rand(8, generator=torch.Generator().manual_seed(0)).repeat_interleave(2)
    scene = flicker.view(1, 16, 1, 1).expand(-1, -1, 12, 12)
    levels = torch.ones(1, 12, 12, dtype=torch.uint8)
    levels[:, ::4, 1::4] = 8
    levels[:, 1::4, ::4] = 0
    torch.testing.assert_close(first_video(scene, levels), scene, atol=2e-2, rtol=0)


def test_trust_takes_a_share_of_the_way() -> None:
    levels = random_levels(3)
    masks = torch.stack([levels == level for level in LEVELS], 1).float()
    planes = brightness(clean_reads(torch.rand(1, 16, 9, 10), levels), levels)
    start = torch.zeros(1, 16, 9, 10)
    whole = consistent(start, planes, masks)
    half = consistent(start, planes, masks, share=torch.full((4,), 0.5))
    torch.testing.assert_close(half, whole / 2)
