"""Ratio maps: validation, tiles, the packed form and its hash, byte for byte."""

import contextlib
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap, RatioMapError
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE


@st.composite
def ratio_maps(draw, side=12):
    slots, level_set = draw(
        st.sampled_from([(16, (0, 1, 2, 4, 8)), (12, (0, 1, 2, 3, 4, 6, 12)), (255, (5, 51, 255))])
    )
    shape = draw(st.tuples(st.integers(1, side), st.integers(1, side)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tile = rng.choice(level_set, draw(st.tuples(st.integers(1, 4), st.integers(1, 4))))
    ratio_map = RatioMap.from_tile(tile, shape, slots, level_set)
    aperture = draw(st.sampled_from([None, shape, (2, 3)]))
    if aperture is None:
        return ratio_map
    return ratio_map.with_aperture_tile(rng.random((slots, *aperture)) < 0.5)


def same(a, b):
    return (
        np.array_equal(a.levels, b.levels)
        and (a.slots, a.level_set) == (b.slots, b.level_set)
        and (a.aperture is None) == (b.aperture is None)
        and (a.aperture is None or np.array_equal(a.aperture, b.aperture))
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"levels": [[1, 3]]}, r"\(x=1, y=0\).*level 3.*0, 1, 2, 4, 8"),
        ({"levels": [[-1]]}, "level -1"),
        ({"levels": [[257]]}, "level 257"),
        ({"levels": [1, 2]}, "two dimensions"),
        ({"levels": np.ones((2, 2, 2), int)}, "two dimensions"),
        ({"levels": np.ones((0, 4), int)}, "1 to 65535"),
        ({"levels": np.ones((1, 65536), np.uint8)}, "1 to 65535"),
        ({"levels": [[1.0]]}, "integers, not float64"),
        ({"levels": [["1"]]}, "integers"),
        ({"levels": [[1]], "slots": 12}, "level 8 does not divide a window of 12 slots"),
        ({"levels": [[1]], "slots": 0}, "1 to 255 slots, not 0"),
        ({"levels": [[1]], "slots": 256}, "1 to 255 slots, not 256"),
        ({"levels": [[1]], "level_set": ()}, "level set"),
        ({"levels": [[1]], "level_set": (2, 1)}, "ascending"),
        ({"levels": [[1]], "level_set": (1, 1)}, "different"),
        ({"levels": [[1]], "level_set": (-1, 1)}, "level -1"),
        ({"levels": [[1]], "slots": 240, "level_set": range(1, 18)}, "1 to 16 different"),
        ({"levels": [[1]], "aperture": np.ones((16, 2, 1), bool)}, r"\(16, 1, 1\)"),
        ({"levels": [[1]], "aperture": np.full((16, 1, 1), 2)}, "0 .* and 1"),
    ],
)
def test_what_is_wrong_with_a_map_is_said(arguments, said):
    with pytest.raises(RatioMapError, match=said) as caught:
        RatioMap(**arguments)
    assert isinstance(caught.value, FocalloopError | ValueError)


def test_a_map_keeps_its_own_read_only_levels():
    levels = np.ones((2, 3), np.int64)
    ratio_map = RatioMap(levels)
    levels[:] = 8
    assert ratio_map.levels.dtype == np.uint8
    assert ratio_map.levels.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        ratio_map.levels[0, 0] = 2


def test_averages():
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (256, 256))
    assert (ratio_map.mean_level, ratio_map.ratio) == (2.0, 1 / 8)


@pytest.mark.parametrize("name", NAMED_TILES)
def test_named_tiles_average_what_their_name_says(name):
    tile = RatioMap.from_tile(NAMED_TILES[name])
    assert name.endswith(f"-{tile.mean_level:g}of{tile.slots}")


def test_no_pixel_of_the_sparse_tile_is_far_from_a_measured_one():
    measured = RatioMap.from_tile(NAMED_TILES["tile-1of16"], (12, 12)).levels > 0
    near = measured | np.roll(measured, 1, 0) | np.roll(measured, -1, 0)
    near |= np.roll(measured, 1, 1) | np.roll(measured, -1, 1)
    assert near.all()


def test_every_default_level_has_its_own_colour():
    assert set(LEVEL_COLOURS) >= {0, 1, 2, 4, 8}
    assert len(set(LEVEL_COLOURS.values())) == len(LEVEL_COLOURS)
    lightness = [np.dot(LEVEL_COLOURS[level], (0.2126, 0.7152, 0.0722)) for level in LEVEL_COLOURS]
    assert lightness == sorted(lightness)


@given(ratio_maps())
@settings(deadline=None)
def test_the_tile_is_the_smallest_that_repeats(ratio_map):
    tile = ratio_map.tile
    height, width = ratio_map.shape
    y, x = np.indices((height, width))
    assert np.array_equal(tile[y % tile.shape[0], x % tile.shape[1]], ratio_map.levels)
    for h in range(1, height // 2 + 1):
        repeats = np.array_equal(ratio_map.levels[h:], ratio_map.levels[:-h])
        assert repeats <= (tile.shape[0] <= h)
    for w in range(1, width // 2 + 1):
        repeats = np.array_equal(ratio_map.levels[:, w:], ratio_map.levels[:, :-w])
        assert repeats <= (tile.shape[1] <= w)


def test_a_periodic_map_fits_any_array():
    ratio_map = RatioMap.from_tile([[4, 1], [1, 2]], (10, 10))
    y, x = np.indices((3, 25))
    fitted = ratio_map.tiled_to(3, 25)
    assert np.array_equal(fitted.levels, np.array([[4, 1], [1, 2]])[y % 2, x % 2])
    assert ratio_map.tiled_to(10, 10) is ratio_map


@given(ratio_maps(), st.tuples(st.integers(1, 20), st.integers(1, 20)))
@settings(deadline=None)
def test_a_fitted_map_goes_on_in_levels_and_aperture_alike(ratio_map, size):
    try:
        fitted = ratio_map.tiled_to(*size)
    except RatioMapError:
        return
    assert fitted.shape == size
    assert (fitted.aperture is None) == (ratio_map.aperture is None)
    common = np.s_[..., : min(size[0], ratio_map.shape[0]), : min(size[1], ratio_map.shape[1])]
    assert np.array_equal(fitted.levels[common], ratio_map.levels[common])
    if fitted.aperture is not None:
        assert np.array_equal(fitted.aperture[common], ratio_map.aperture[common])


def test_levels_and_aperture_go_on_each_with_its_own_period():
    small = RatioMap.from_tile([[4, 1, 2]], (6, 8)).with_aperture_tile(APERTURE_TILE[:, :3])
    assert (small.tile.shape, small.aperture_tile.shape) == ((1, 3), (16, 3, 4))
    fitted = small.tiled_to(20, 30)
    y, x = np.indices((20, 30))
    assert np.array_equal(fitted.levels, np.array([4, 1, 2])[x % 3])
    assert np.array_equal(fitted.aperture, APERTURE_TILE[:, y % 3, x % 4])
    assert fitted.tiled_to(6, 8).hash() == small.hash()


def test_an_aperture_leaves_the_packed_form_of_the_levels_as_it_is():
    bare = RatioMap.from_tile([[4, 1], [1, 2]], (16, 16))
    assert bare.with_aperture_tile(APERTURE_TILE).pack() == bare.pack()


@pytest.mark.parametrize("shape", [(16,), (4, 4), (15, 4, 4), (1, 16, 4, 4), (16, 0, 4)])
def test_what_is_no_tile_of_an_aperture_is_refused(shape):
    with pytest.raises(RatioMapError, match=r"aperture|high and wide"):
        RatioMap.uniform(1, (8, 8)).with_aperture_tile(np.ones(shape, bool))


def test_the_aperture_tile_is_the_first_draw_that_opens_enough():
    def draw(seed):
        return np.random.default_rng(seed).random((16, 4, 4)) < 0.5

    def opens_enough(aperture):
        return aperture.sum(axis=0).min() >= 4 and aperture.sum(axis=(1, 2)).min() >= 4

    first = next(seed for seed in range(1000) if opens_enough(draw(seed)))
    assert first == 0
    assert APERTURE_TILE.dtype == np.bool_
    assert np.array_equal(APERTURE_TILE, draw(first))


def test_what_does_not_repeat_does_not_fit():
    aperiodic = RatioMap.random((7, 9), seed=1)
    with pytest.raises(RatioMapError, match=r"9x7.*8x8.*does not repeat"):
        aperiodic.tiled_to(8, 8)
    masked = RatioMap.uniform(1, (4, 4)).with_aperture_tile(APERTURE_TILE)  # one tile alone
    with pytest.raises(RatioMapError, match="coded aperture does not repeat"):
        masked.tiled_to(8, 8)
    columns = RatioMap([[1, 2, 4, 8]] * 6)  # repeats downwards alone
    assert columns.tiled_to(20, 4).shape == (20, 4)
    with pytest.raises(RatioMapError):
        columns.tiled_to(6, 8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
@settings(max_examples=30)
def test_random_maps_have_exact_shares(height, width, seed):
    ratio_map = RatioMap.random((height, width), {0: 1, 4: 3}, seed=seed)
    assert abs((ratio_map.levels == 4).sum() - 0.75 * height * width) <= 0.5
    assert set(np.unique(ratio_map.levels)) <= {0, 4}
    assert same(ratio_map, RatioMap.random((height, width), {0: 1, 4: 3}, seed=seed))


@pytest.mark.parametrize("shares", [{1: -1.0, 2: 2.0}, {1: 0.0}, {1: float("nan")}, {}])
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(RatioMapError, match="shares"):
        RatioMap.random((4, 4), shares)


@given(ratio_maps())
@settings(deadline=None)
def test_packing_loses_nothing(ratio_map):
    aperture = None if ratio_map.aperture is None else ratio_map.pack_aperture()
    again = RatioMap.unpack(ratio_map.pack(), aperture)
    assert same(again, ratio_map)
    assert again.hash() == ratio_map.hash()


def test_the_packed_form_is_these_bytes():
    ratio_map = RatioMap.from_tile([[4, 0, 8]], (2, 6))
    assert ratio_map.pack() == bytes.fromhex(
        "10 05 00 01 02 04 08"  # T, five levels
        "0200 0600 0100 0300"  # H, W, tile height and width
        "03 04"  # indices 3, 0, 4, and a zero to fill the byte
    )
    aperture = np.zeros((16, 2, 6), bool)
    aperture[0, 0, 1] = aperture[0, 1, 2] = aperture[15, 1, 5] = True
    masked = ratio_map.with_aperture(aperture)
    assert masked.pack_aperture() == bytes([0b10, 0b1]) + bytes(21) + bytes([0x80])
    head = bytes([16, 5, 0, 1, 2, 4, 8]) + struct.pack("<HH", 2, 6) + bytes([4, 0, 8] * 4)
    assert ratio_map.hash() == hashlib.sha256(head + b"\x00").digest()
    assert masked.hash() == hashlib.sha256(head + b"\x01" + masked.pack_aperture()).digest()
    assert masked.hash_hex == masked.hash().hex()


@given(ratio_maps(side=6), ratio_maps(side=6))
@settings(deadline=None)
def test_maps_have_one_hash_exactly_if_they_are_the_same(a, b):
    assert (a.hash() == b.hash()) == same(a, b)


def test_a_map_without_aperture_has_none_to_pack():
    with pytest.raises(RatioMapError, match="no coded aperture"):
        RatioMap.uniform(1, (2, 2)).pack_aperture()


@given(ratio_maps(side=6), st.data())
@settings(deadline=None)
def test_damaged_packed_maps_are_refused_or_valid(ratio_map, data):
    packed = bytearray(ratio_map.pack())
    if data.draw(st.booleans()):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del packed[data.draw(st.integers(0, len(packed) - 1)) :]
    with contextlib.suppress(RatioMapError):
        assert RatioMap.unpack(bytes(packed)).levels.size


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"", "is truncated"),
        (b"\x10\x05\x00\x01", "is truncated"),
        (bytes.fromhex("1001 01 ffff ffff 0100 0100 00"), "limit"),
        (bytes.fromhex("1001 01 0000 0100 0100 0100 00"), "1 to 65535"),
        (bytes.fromhex("1001 01 0100 0100 0200 0100 00"), "tile of 1x2"),
        (bytes.fromhex("1001 01 0100 0100 0100 0100 01"), "level index 1"),
        (bytes.fromhex("1001 01 0100 0100 0100 0100 00 00"), "1 bytes, not 2"),
        (bytes.fromhex("1001 03 0100 0100 0100 0100 00"), "does not divide"),
    ],
)
def test_what_is_wrong_with_a_packed_map_is_said(packed, said):
    with pytest.raises(RatioMapError, match=said):
        RatioMap.unpack(packed)


def test_an_aperture_of_another_size_is_refused():
    with pytest.raises(RatioMapError, match="8 bytes, not 7"):
        RatioMap.uniform(1, (2, 2)).with_packed_aperture(bytes(7))
