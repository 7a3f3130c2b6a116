"""The emulator, compared bit for bit with the reference model, and its documented behaviour."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import PRESETS, NoiseProfile, preset
from tests.support import reference_model

SIDES = st.integers(1, 9)


@st.composite
def maps(draw):
    slots, level_set = draw(
        st.sampled_from([(16, (0, 1, 2, 4, 8)), (12, (0, 1, 3, 6)), (1, (0, 1)), (8, (2, 8))])
    )
    shape = draw(st.tuples(SIDES, SIDES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    aperture = rng.random((slots, *shape)) < 0.6 if draw(st.booleans()) else None
    return RatioMap(rng.choice(level_set, shape), slots, level_set, aperture)


@st.composite
def profiles(draw):
    term = st.one_of(st.just(0.0), st.floats(1e-4, 0.2))
    shot = draw(st.sampled_from(["off", "gaussian", "poisson"]))
    return NoiseProfile(
        name="drawn",
        bits=draw(st.sampled_from([4, 8, 10, 16])),
        black_level_dn=draw(st.floats(0, 14)),
        full_scale_dn=draw(st.floats(10, 60000)),
        shot=shot,
        s_ss=draw(st.floats(1e-3, 0.5)),
        s_r=draw(term),
        full_well=draw(st.one_of(st.none(), st.floats(0.1, 1.5))),
        bend=draw(st.one_of(st.just(0.0), st.floats(-0.15, 0.3))),
        bend_cubic=draw(st.one_of(st.just(0.0), st.floats(-0.05, 0.3))),
        prnu=draw(term),
        dark_signal=draw(term),
        row_noise=draw(term),
        frame_offset=draw(term),
        pixel_offset=draw(term),
        column_offset=draw(term),
    )


def scene_for(ratio_map, dtype, seed=0, windows=None):
    shape = (ratio_map.slots, *ratio_map.shape)
    shape = shape if windows is None else (windows, *shape)
    rng = np.random.default_rng(seed)
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.random(shape, dtype=np.float32)


@given(maps(), st.sampled_from([np.uint8, np.float32]), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_without_noise_the_sums_are_the_reference_s(ratio_map, dtype, scene_seed):
    profile = preset("ideal", ratio_map.slots)
    scene = scene_for(ratio_map, dtype, scene_seed)
    codes = Emulator(ratio_map, profile).read_out(scene)
    expected = reference_model.readout(ratio_map, profile, 0, 0, scene)
    assert codes.dtype == (np.uint16 if dtype == np.uint8 else np.float32)
    np.testing.assert_array_equal(codes, expected)


@given(
    maps(),
    profiles(),
    st.sampled_from([np.uint8, np.float32]),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**40),
)
@settings(max_examples=120, deadline=None)
def test_with_noise_every_code_is_the_reference_s(ratio_map, profile, dtype, seed, window):
    scene = scene_for(ratio_map, dtype, seed % 1000)
    codes = Emulator(ratio_map, profile, seed=seed).read_out(scene, first_window=window)
    expected = reference_model.readout(ratio_map, profile, seed, window, scene)
    assert codes.dtype == profile.code_dtype
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize("name", ["paper", "scamp5"])
def test_presets_match_the_reference_on_a_tile_wider_than_a_vector(name):
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (50, 130))
    scene = scene_for(ratio_map, np.uint8)
    codes = Emulator(ratio_map, preset(name), seed=5).read_out(scene, first_window=77)
    expected = reference_model.readout(ratio_map, preset(name), 5, 77, scene)
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.parametrize("shot", ["gaussian", "poisson"])
@given(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_bits_do_not_depend_on_threads_or_batches(shot, threads, batches, first_window):
    everything = NoiseProfile(
        name="everything", bits=12, black_level_dn=200, full_scale_dn=3000, shot=shot, s_ss=0.01,
        s_r=0.01, full_well=0.8, bend=-0.1, bend_cubic=0.04, prnu=0.05, dark_signal=0.1,
        row_noise=0.02, frame_offset=0.02, pixel_offset=0.03, column_offset=0.03,
    )  # fmt: skip
    ratio_map = RatioMap.random((13, 10), seed=3)
    scene = scene_for(ratio_map, np.uint8, windows=sum(batches))
    whole = Emulator(ratio_map, everything, seed=9).read_out(scene, first_window)
    emulator = Emulator(ratio_map, everything, seed=9, threads=threads)
    at, parts = 0, []
    for count in batches:
        parts.append(emulator.read_out(scene[at : at + count], first_window + at))
        at += count
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(emulator.read_out(scene[0], first_window), whole[0])


def test_the_bits_are_these_on_every_machine():
    """Pinned, so that a new compiler, processor or version cannot change a recorded experiment."""
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (64, 64))
    t, y, x = np.indices((16, 64, 64))
    scene = ((3 * t + 5 * y + 7 * x) % 256).astype(np.uint8)
    digests = {
        name: hashlib.sha256(
            Emulator(ratio_map, preset(name), seed=1).read_out(scene).astype("<u2").tobytes()
        ).hexdigest()[:16]
        for name in PRESETS
    }
    assert digests == {
        "ideal": "7fa25992ce6247f4",
        "paper": "a17411b8558ef12b",
        "scamp5": "fab155c414664b09",
    }


def test_a_readout_goes_to_planes_and_the_signal_is_near_the_scene():
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (32, 32))
    emulator = Emulator(ratio_map, preset("paper"), seed=1)
    codes = emulator.read_out(np.full((16, 32, 32), 128, np.uint8))
    planes = emulator.plan.planes(emulator.profile.signal(codes))
    last = np.take_along_axis(planes, ratio_map.levels[None].astype(int) - 1, axis=0)[0]
    np.testing.assert_allclose(last * ratio_map.levels, 128 / 255, atol=0.2)


def test_codes_clip_at_both_ends_and_nonsense_light_is_dark():
    ratio_map = RatioMap.uniform(1, (1, 4), slots=1, level_set=(1,))
    profile = NoiseProfile(name="adc", bits=8, black_level_dn=20, full_scale_dn=220, s_r=1e-9)
    light = np.array([[[-5.0, 50.0, np.nan, 0.5]]], np.float32)
    assert Emulator(ratio_map, profile).read_out(light).tolist() == [0, 255, 0, 130]


@pytest.mark.parametrize("shot", ["gaussian", "poisson"])
def test_light_that_is_no_number_ends(shot):
    ratio_map = RatioMap.uniform(1, (1, 3), slots=1, level_set=(1,))
    profile = NoiseProfile(name="well", bits=8, full_scale_dn=255, shot=shot, s_ss=0.1, full_well=1)
    light = np.array([[[-np.inf, np.inf, np.nan]]], np.float32)
    codes = Emulator(ratio_map, profile).read_out(light)
    assert codes[0] == 0
    assert len(codes) == 3


def test_a_map_without_reads_gives_an_empty_readout():
    ratio_map = RatioMap.uniform(0, (4, 4))
    for name in PRESETS:
        assert Emulator(ratio_map, preset(name)).read_out(np.zeros((16, 4, 4), np.uint8)).size == 0


def test_the_fixed_pattern_belongs_to_the_seed_and_not_to_the_map_or_window():
    pattern = NoiseProfile(name="p", full_scale_dn=60000, pixel_offset=0.1, black_level_dn=30000)
    dark = np.zeros((16, 20, 20), np.uint8)
    mixed = RatioMap.random((20, 20), {1: 1, 4: 1}, seed=1)
    once = RatioMap.uniform(1, (20, 20))
    offsets = Emulator(once, pattern, seed=4).read_out(dark).reshape(20, 20)
    emulator = Emulator(mixed, pattern, seed=4)
    planes = emulator.plan.planes(emulator.read_out(dark, first_window=50))
    np.testing.assert_array_equal(planes[0], offsets)
    assert (Emulator(once, pattern, seed=5).read_out(dark).reshape(20, 20) != offsets).mean() > 0.9


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (np.zeros((16, 4, 5), np.uint8), "(16, 4, 4)"),
        (np.zeros((8, 4, 4), np.uint8), "(16, 4, 4)"),
        (np.zeros((4, 4), np.uint8), "(16, 4, 4)"),
        (np.zeros((16, 4, 4)), "float64"),
    ],
)
def test_a_scene_that_does_not_fit_is_refused(scene, said):
    emulator = Emulator(RatioMap.uniform(1, (4, 4)), preset("paper"))
    with pytest.raises(FocalloopError, match=said.replace("(", r"\(").replace(")", r"\)")):
        emulator.read_out(scene)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"threads": 0}, "thread"),
        ({"profile": preset("ideal", slots=8)}, "slots=16"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(arguments, said):
    arguments = {"profile": preset("paper"), **arguments}
    with pytest.raises(FocalloopError, match=said):
        Emulator(RatioMap.uniform(1, (4, 4)), **arguments)


@pytest.mark.parametrize("first_window", [-1, 2**64])
def test_a_window_number_out_of_range_is_refused(first_window):
    emulator = Emulator(RatioMap.uniform(1, (4, 4)), preset("paper"))
    with pytest.raises(FocalloopError, match=f"not from {first_window}"):
        emulator.read_out(np.zeros((16, 4, 4), np.uint8), first_window)


def test_the_package_starts_without_numba():
    check = "import sys, firmware_sim; sys.exit('numba' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", check], env=os.environ, check=False).returncode == 0
    )
