"""Rate maps: which values are sent, and the bytes of a map."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.rate_map import (
    EDGE_RATE_TABLE,
    decoded,
    encoded,
    kept,
    raw_bytes,
)

MAPS = st.integers(1, 16).flatmap(
    lambda levels: st.tuples(
        arrays(
            np.uint8,
            array_shapes(min_dims=2, max_dims=2, max_side=9),
            elements=st.integers(0, levels - 1),
        ),
        st.just(levels),
    )
)


def smooth_map(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Levels as of a scene: patches of similar ones, with grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-1, 8, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    fine = np.kron(coarse, np.ones((4, 4)))[: shape[0], : shape[1]]
    return np.clip(np.rint(fine + rng.normal(0, 0.5, shape)), 0, 7).astype(np.uint8)


@given(MAPS)
def test_a_map_comes_back_and_never_costs_more_than_its_raw_bits(case):
    rate_map, levels = case
    data = encoded(rate_map, levels)
    assert len(data) <= raw_bytes(rate_map.shape, levels)
    back = decoded(data, rate_map.shape, levels)
    assert back.dtype == np.uint8
    assert np.array_equal(back, rate_map)


def test_context_saves_where_neighbours_are_alike():
    raw = raw_bytes((16, 16), 8)
    assert raw == 96
    coded = [len(encoded(smooth_map((16, 16), seed), 8)) for seed in range(20)]
    assert np.mean(coded) < 0.7 * raw
    assert len(encoded(np.full((16, 16), 3, np.uint8), 8)) < 8
    # Half of the levels in each half: what an ideal static code would take as raw bits.
    halves = np.repeat(np.uint8([1, 6]), 128).reshape(16, 16)
    assert len(encoded(halves, 8)) < 16


def test_noise_takes_its_raw_bits():
    noise = np.random.default_rng(0).integers(0, 8, (16, 16), np.uint8)
    assert len(encoded(noise, 8)) == raw_bytes((16, 16), 8)


def test_the_code_is_the_same_on_every_machine():
    """Whoever changes these bytes must raise the version of the window's header."""
    digest = hashlib.sha256()
    for seed, shape in enumerate([(16, 16), (1, 40), (33, 7), (64, 64)]):
        digest.update(encoded(smooth_map(shape, seed), 8))
    assert digest.hexdigest()[:16] == "b098bb90cfd90fcb"


@given(st.binary(max_size=40), st.integers(1, 9), st.integers(1, 9), st.integers(1, 16))
def test_any_bytes_give_a_map_of_valid_levels_or_an_error(data, height, width, levels):
    try:
        rate_map = decoded(data, (height, width), levels)
    except RadioError:
        return
    assert rate_map.shape == (height, width)
    assert rate_map.max() < levels


@given(st.integers(0, 100), st.data())
def test_damaged_bytes_give_a_map_of_valid_levels_or_an_error(seed, data):
    coded = bytearray(encoded(smooth_map((8, 8), seed), 8))
    coded[data.draw(st.integers(0, len(coded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        rate_map = decoded(bytes(coded), (8, 8), 8)
    except RadioError:
        return
    assert rate_map.max() < 8


def test_bytes_of_an_impossible_length_are_refused():
    for size in (0, 25, 1000):
        with pytest.raises(RadioError, match=f"at most 24 bytes.* not {size}"):
            decoded(bytes(size), (8, 8), 8)


@given(MAPS)
def test_the_first_values_of_each_location_are_kept(case):
    rate_map, levels = case
    table = [3 * level + 2 for level in range(levels)]
    mask = kept(rate_map, table)
    assert mask.shape == (table[-1], *rate_map.shape)
    assert np.array_equal(mask.sum(axis=0), np.asarray(table)[rate_map])
    # Nested: no value without those before it.
    assert np.all(mask[:-1] >= mask[1:])


def test_values_go_back_to_their_places():
    rate_map = smooth_map((5, 7), 1)
    x = np.random.default_rng(2).standard_normal((192, 5, 7)).astype(np.float32)
    mask = kept(rate_map, EDGE_RATE_TABLE)
    back = np.zeros_like(x)
    back[mask] = x[mask]
    assert np.array_equal(back, np.where(mask, x, 0))


@pytest.mark.parametrize(
    ("rate_map", "table", "problem"),
    [
        (np.full((2, 2), 3, np.uint8), (1, 2, 3), "3 levels cannot hold level 3"),
        (np.zeros((2, 2)), (1, 2), r"uint8 .*not float64 of shape \(2, 2\)"),
        (np.zeros(4, np.uint8), (1, 2), r"not uint8 of shape \(4,\)"),
        (np.zeros((0, 3), np.uint8), (1, 2), "one location or more"),
        (np.zeros((2, 2), np.uint8), (2, 2), r"rising counts .*not \(2, 2\)"),
        (np.zeros((2, 2), np.uint8), (0, 2), "of 1 and more"),
        (np.zeros((2, 2), np.uint8), (), r"not \(\)"),
    ],
)
def test_what_is_no_rate_map_is_refused(rate_map, table, problem):
    with pytest.raises(RadioError, match=problem):
        kept(rate_map, table)
