"""The PyTorch sensing layer against the emulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import NoiseProfile, preset
from focalloop.models.networks.sensing import (
    add_noise,
    clean_reads,
    initial_reconstruction,
    read_out,
)

LEVELS = (0, 1, 2, 4, 8)


def random_map(seed: int, height: int = 6, width: int = 7) -> RatioMap:
    return RatioMap(np.random.default_rng(seed).choice(LEVELS, (height, width)).astype(np.uint8))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_clean_reads_equal_the_emulator_without_noise(seed: int) -> None:
    ratio_map = random_map(seed)
    scene = np.random.default_rng(seed).random((16, 6, 7), np.float32)
    emulator = Emulator(ratio_map, preset("ideal"))
    expected = ReadPlan.of(ratio_map).planes(emulator.read_out(scene))

    levels = torch.from_numpy(ratio_map.levels.copy())[None]
    reads = clean_reads(torch.from_numpy(scene)[None], levels)[0].numpy()

    np.testing.assert_allclose(reads, expected, atol=1e-6)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_coded_aperture_shuts_the_same_slots_as_in_the_emulator(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratio_map = random_map(seed).with_aperture(rng.random((16, 6, 7)) < 0.5)
    scene = rng.random((16, 6, 7), np.float32)
    expected = ReadPlan.of(ratio_map).planes(Emulator(ratio_map, preset("ideal")).read_out(scene))

    levels = torch.from_numpy(ratio_map.levels.copy())[None]
    aperture = torch.from_numpy(ratio_map.aperture.copy())[None]
    reads = clean_reads(torch.from_numpy(scene)[None], levels, aperture)
    np.testing.assert_allclose(reads[0].numpy(), expected, atol=1e-6)

    video = initial_reconstruction(reads, levels, 16, aperture)[0].numpy()
    for (y, x), level in np.ndenumerate(ratio_map.levels):
        open_slots = ratio_map.aperture[:, y, x]
        exposure = np.kron(np.eye(level), np.ones((1, 16 // max(level, 1)))).reshape(level, 16)
        # Least norm (CRL Eq. 5); a span that was never open has no row to invert.
        expected_video = np.linalg.pinv(exposure * open_slots) @ (expected[:level, y, x] * 16)
        np.testing.assert_allclose(video[:, y, x], expected_video, atol=1e-4)


def test_gradients_reach_the_scene_through_the_measurements() -> None:
    levels = torch.tensor([[0, 1], [2, 8]], dtype=torch.uint8)[None]
    scene = torch.rand(1, 16, 2, 2, requires_grad=True)
    clean_reads(scene, levels).sum().backward()
    assert scene.grad is not None
    # Each slot counts once for a measured pixel, as 1/T of full scale, and never for another.
    torch.testing.assert_close(scene.grad, (levels[:, None] > 0).expand(-1, 16, -1, -1) / 16)


def test_noise_has_the_emulators_mean_and_variance_per_level() -> None:
    ratio_map = RatioMap.from_tile([[1, 2], [4, 8]], shape=(128, 128))
    profile = preset("paper")
    scene = np.full((16, 128, 128), 0.6, np.float32)
    codes = Emulator(ratio_map, profile, seed=1).read_out(scene)
    emulated = ReadPlan.of(ratio_map).planes(profile.signal(codes))

    levels = torch.from_numpy(ratio_map.levels.copy())[None]
    generator = torch.Generator().manual_seed(1)
    reads = add_noise(
        clean_reads(torch.from_numpy(scene)[None], levels),
        levels,
        s_ss=profile.s_ss,
        s_r=profile.s_r,
        generator=generator,
    )[0].numpy()

    for level in (1, 2, 4, 8):
        ours = reads[:level, ratio_map.levels == level]
        theirs = emulated[:level, ratio_map.levels == level]
        sigma = np.sqrt(0.6 / level * profile.s_ss**2 + profile.s_r**2)
        # Five standard errors of the difference of two means, and of the ratio of two variances.
        assert abs(ours.mean() - theirs.mean()) < 5 * sigma * np.sqrt(2 / ours.size)
        assert abs(ours.var() / theirs.var() - 1) < 5 * np.sqrt(4 / ours.size)
        assert ours.var() == pytest.approx(sigma**2, rel=5 * np.sqrt(2 / ours.size))


FULL_SCALE = {"black_level_dn": 100.0, "full_scale_dn": 3000.0, "bits": 12}
TERMS: dict[str, dict[str, Any]] = {
    "gaussian": {"shot": "gaussian", "s_ss": 0.02, "s_r": 0.01},
    "gaussian apart": {"shot": "gaussian", "s_ss": 0.02, "s_r": 0.01, "full_well": 5.0},
    "poisson": {"shot": "poisson", "s_ss": 0.05},
    "read": {"s_r": 0.01},
    "row": {"row_noise": 0.01},
    "frame": {"frame_offset": 0.01},
    "pixel": {"pixel_offset": 0.01},
    "column": {"column_offset": 0.01},
    "gain": {"prnu": 0.05},
    "dark": {"dark_signal": 0.2, "shot": "gaussian", "s_ss": 0.02},
    "full well": {"full_well": 0.2, "shot": "gaussian", "s_ss": 0.02, "s_r": 0.01},
    "few bits": {"bits": 4, "black_level_dn": 3.0, "full_scale_dn": 10.0, "s_r": 0.02},
    "clipped": {"bits": 8, "black_level_dn": 2.0, "full_scale_dn": 900.0, "s_r": 0.01},
    "bent": {"bend": -0.05, "bend_cubic": 0.02, "shot": "gaussian", "s_ss": 0.02, "s_r": 0.01},
}


@pytest.mark.parametrize("term", TERMS)
def test_every_term_has_the_emulators_distribution(term: str) -> None:
    """Mean, spread and correlations along rows, columns, pixels and time, over many sensors."""
    profile = NoiseProfile(name=term, **(FULL_SCALE | TERMS[term]))
    sensors, side = 150, 12
    ratio_map = RatioMap.from_tile([[1, 2], [4, 8]], shape=(side, side))
    scene = np.full((16, side, side), 0.6, np.float32)
    emulated = np.stack(
        [
            ReadPlan.of(ratio_map).planes(
                profile.signal(Emulator(ratio_map, profile, seed=seed).read_out(scene))
            )
            for seed in range(sensors)
        ]
    )
    emulated = profile.linearise(emulated)
    levels = torch.from_numpy(ratio_map.levels.copy())[None].expand(sensors, -1, -1)
    clean = clean_reads(torch.from_numpy(scene)[None].expand(sensors, -1, -1, -1), levels)
    reads = read_out(clean, levels, profile, generator=torch.Generator().manual_seed(2)).numpy()

    for level in (1, 2, 4, 8):
        top, left = divmod((1, 2, 4, 8).index(level), 2)
        # (sensors, time, rows, columns), and parts of it that share some of the noise.
        both = [each[:, :level, top::2, left::2] for each in (reads, emulated)]
        spread = max(float(both[1].std()), 1e-4)
        for axes in ((), (3,), (2,), (2, 3), (1,)):
            ours, theirs = (each.mean(axis=axes) if axes else each for each in both)
            error = spread * np.sqrt(2 / sensors)  # all else may be common to a sensor
            assert abs(ours.mean() - theirs.mean()) < 5 * error, axes
            assert ours.std() == pytest.approx(theirs.std(), rel=0.25, abs=0.02 * spread), axes


def test_reads_of_an_even_sensor_have_no_fixed_pattern() -> None:
    pattern = {"pixel_offset": 0.1, "column_offset": 0.1, "prnu": 0.1}
    profile = NoiseProfile(name="pattern", **FULL_SCALE, **pattern)
    levels = torch.full((1, 8, 8), 2, dtype=torch.uint8)
    clean = clean_reads(torch.full((1, 16, 8, 8), 0.5), levels)
    even = read_out(clean, levels, NoiseProfile(name="even", **FULL_SCALE))
    torch.testing.assert_close(even, clean, atol=1 / 6000, rtol=0)
    assert (read_out(clean, levels, profile) - clean).std() > 0.03


@pytest.mark.parametrize("profile", [preset("scamp5"), preset("ideal")], ids=["scamp5", "ideal"])
def test_planes_that_are_not_measured_are_zero_for_any_profile(profile: NoiseProfile) -> None:
    levels = torch.from_numpy(random_map(3).levels.copy())[None]
    reads = read_out(clean_reads(torch.rand(1, 16, 6, 7), levels), levels, profile)
    assert (reads[torch.arange(8).view(1, 8, 1, 1) >= levels[:, None]] == 0).all()


def test_noise_leaves_planes_that_are_not_measured_at_zero() -> None:
    levels = torch.from_numpy(random_map(3).levels.copy())[None]
    reads = add_noise(torch.zeros(1, 8, 6, 7), levels, s_ss=0.1, s_r=0.1)
    measured = torch.arange(8).view(1, 8, 1, 1) < levels[:, None]
    assert (reads[measured] != 0).all()
    assert (reads[~measured] == 0).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_initial_reconstruction_is_the_least_norm_solution(seed: int) -> None:
    """CRL Eq. 3 pixel by pixel: ``A^T (A A^T)^-1 I``, I in units of one slot's light."""
    ratio_map = random_map(seed)
    reads = np.random.default_rng(seed).random((8, 6, 7), np.float32)
    levels = torch.from_numpy(ratio_map.levels.copy())[None]

    video = initial_reconstruction(torch.from_numpy(reads)[None], levels)[0].numpy()

    for (y, x), level in np.ndenumerate(ratio_map.levels):
        exposure = np.kron(np.eye(level), np.ones((1, 16 // max(level, 1)))).reshape(level, 16)
        measured = reads[:level, y, x] * 16
        expected = exposure.T @ np.linalg.inv(exposure @ exposure.T) @ measured
        np.testing.assert_allclose(video[:, y, x], expected, atol=1e-5)
