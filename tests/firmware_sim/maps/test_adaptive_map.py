"""Adaptive maps: composition, packed palette and hashes byte for byte, files."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError

LEVELS = (0, 1, 2, 4, 8)
TILES = [[[0, 0, 0], [0, 0, 0]], [[1, 0, 2], [0, 4, 1]], [[8, 8, 8], [8, 8, 8]]]
SMALL = AdaptiveMap(RatioMap.uniform(1, (5, 7)), np.array(TILES), 3)


@st.composite
def adaptive_maps(draw: st.DrawFn) -> tuple[AdaptiveMap, np.ndarray[Any, Any]]:
    """Return a map and a grid for it."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tile = draw(st.integers(1, height)), draw(st.integers(1, width))
    tiles = rng.choice(LEVELS, (draw(st.integers(1, 5)), *tile))
    made = AdaptiveMap(RatioMap.uniform(2, (height, width)), tiles, draw(st.integers(1, 13)))
    return made, rng.integers(0, len(tiles), made.grid_shape)


@given(adaptive_maps())
def test_each_pixel_has_the_level_of_its_blocks_tile(made: Any) -> None:
    adaptive_map, grid = made
    tiles, block = adaptive_map.tiles, adaptive_map.block
    _, tile_height, tile_width = tiles.shape
    composed = adaptive_map.compose(grid)
    for y, x in np.ndindex(adaptive_map.shape):
        tile = tiles[grid[y // block, x // block]]
        assert composed.levels[y, x] == tile[y % tile_height, x % tile_width]
    assert adaptive_map.reads(grid) == composed.levels.sum()
    assert adaptive_map.compose(grid.astype(np.uint8).tobytes()) == composed


@given(adaptive_maps())
def test_a_palette_survives_packing(made: Any) -> None:
    adaptive_map, grid = made
    again = AdaptiveMap.unpack(adaptive_map.resting, adaptive_map.pack_palette())
    assert again.block == adaptive_map.block
    assert np.array_equal(again.tiles, adaptive_map.tiles)
    assert again.hash() == adaptive_map.hash()
    assert again.grid_hash(grid) == adaptive_map.grid_hash(grid)


def test_bytes_and_hashes_are_as_the_document_says() -> None:
    head = bytes([16, 5, *LEVELS]) + struct.pack("<HHBBHH", 5, 7, 3, 3, 2, 3)
    tiles = bytes([0, 0, 0, 0x01, 0x02, 0x13, 0x44, 0x44, 0x44])
    assert SMALL.pack_palette() == head + tiles
    assert SMALL.hash() == hashlib.sha256(SMALL.resting.hash() + head + tiles).digest()
    grid = [[0, 1, 2], [2, 1, 0]]
    expected = hashlib.sha256(SMALL.hash() + bytes([0, 1, 2, 2, 1, 0])).digest()
    assert SMALL.grid_hash(grid) == SMALL.grid_hash(bytes([0, 1, 2, 2, 1, 0])) == expected


def test_neighbouring_blocks_of_one_tile_join_seamlessly() -> None:
    ones = np.ones(SMALL.grid_shape, int)
    assert SMALL.compose(ones) == RatioMap.from_tile(TILES[1], (5, 7))


def test_a_resting_map_is_repeated_to_another_size() -> None:
    fitted = SMALL.tiled_to(20, 31)
    assert fitted.shape == (20, 31)
    assert fitted.grid_shape == (7, 11)
    assert np.array_equal(fitted.tiles, SMALL.tiles)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"block": 0}, "1 to 255 pixels wide, not 0"),
        ({"block": 256}, "not 256"),
        ({"block": 3.5}, r"a whole number of pixels, not 3\.5"),
        ({"tiles": [[[1]], [[1, 0]]]}, "of different sizes"),
        ({"tiles": [[1]]}, r"1 to 255 tiles.*\(1, 1\)"),
        ({"tiles": np.zeros((0, 1, 1), int)}, "1 to 255 tiles"),
        ({"tiles": np.zeros((256, 1, 1), int)}, "1 to 255 tiles"),
        ({"tiles": np.zeros((1, 6, 1), int)}, "1x6 pixels does not fit an array of 7x5"),
        ({"tiles": np.zeros((1, 0, 1), int)}, "does not fit"),
        ({"tiles": [[[1]], [[3]]]}, "tile 1 of the palette: .* level 3"),
        ({"tiles": [[[1.0]]]}, "integers"),
        ({"resting": RatioMap.uniform(1, (5, 7)).with_random_aperture()}, "no coded aperture"),
    ],
)
def test_what_is_no_adaptive_map_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(RatioMapError, match=said):
        AdaptiveMap(**{"resting": SMALL.resting, "tiles": SMALL.tiles, "block": 3, **arguments})


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ([[0, 0, 0], [0, 3, 0]], r"\(column 1, row 1\).*tile 3.*tiles 0 to 2"),
        ([[0, 0, -1], [0, 0, 0]], "tile -1"),
        ([[0, 0, 256], [0, 0, 0]], "tile 256"),
        ([[0, 0], [0, 0], [0, 0]], r"shape \(2, 3\)"),
        (np.zeros((2, 3)), "integers"),
        ([[0, 0, 0], [0, 0]], "of different sizes"),
        (bytes(5), "3x2 blocks has 6 bytes, not 5"),
        (bytes([0, 0, 0, 0, 0, 9]), "tile 9"),
    ],
)
def test_grids_that_do_not_fit_are_refused(grid: Any, said: str) -> None:
    for use in (SMALL.compose, SMALL.reads, SMALL.grid_hash):
        with pytest.raises(RatioMapError, match=said):
            use(grid)


def test_damaged_palettes_are_refused() -> None:
    good = SMALL.pack_palette()
    odd = AdaptiveMap(SMALL.resting, np.ones((2, 1, 3), int), 3).pack_palette()
    for data, said in (
        (good[:10], "truncated"),
        (good[:-1], "9 bytes of tiles, not 8"),
        (good + b"\0", "not 10"),
        (bytes([15]) + good[1:], "another size, number of slots or level set"),
        (good[:7] + b"\x06" + good[8:], "another size"),
        (good[:-1] + b"\x54", "level index 5"),
        (odd[:-1] + bytes([odd[-1] | 0x10]), "unused half"),
        (good[:11] + b"\0" + good[12:], "1 to 255 pixels wide, not 0"),
        (good[:12] + bytes([0, 2, 0, 3, 0]), "1 to 255 tiles"),
    ):
        with pytest.raises(RatioMapError, match=said):
            AdaptiveMap.unpack(SMALL.resting, data)


def test_a_saved_map_comes_back(tmp_path: Path) -> None:
    SMALL.save(tmp_path / "map.npz")
    again = AdaptiveMap.load(tmp_path / "map.npz")
    assert (again.hash(), again.block) == (SMALL.hash(), 3)
    assert [file.name for file in tmp_path.iterdir()] == ["map.npz"]
    with pytest.raises(RatioMapError, match=r"an adaptive map is saved as \.npz, not as '.png'"):
        SMALL.save(tmp_path / "map.png")
    with pytest.raises(RatioMapError, match=r"AdaptiveMap\.load take it, and a single ratio"):
        RatioMap.load(tmp_path / "map.npz")


def test_files_that_hold_no_adaptive_map_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    SMALL.save(path)
    with np.load(path, allow_pickle=False) as file:
        good = dict(file)
    for change, said in (
        ({"version": np.uint8(2)}, "version 2.*update it"),
        ({"version": None}, "lacks version"),
        ({"tiles": None}, "lacks tiles"),
        ({"mask": np.uint8([1])}, "holds 'mask', which no adaptive map has"),
        ({"block": np.uint8(4)}, "its hash differs"),
        ({"block": np.uint8([4, 4])}, "block in the .npz is not one integer"),
        ({"tiles": np.ones((1, 1, 1))}, "tiles in the .npz holds float64"),
        ({"tiles": np.zeros((1 << 25, 1, 1), np.uint8)}, "too large"),
    ):
        members = {name: array for name, array in {**good, **change}.items() if array is not None}
        np.savez_compressed(path, **members)
        with pytest.raises(RatioMapError, match=said):
            AdaptiveMap.load(path)
    path.write_bytes(b"PK rubbish")
    with pytest.raises(RatioMapError, match="not a readable zip"):
        AdaptiveMap.load(path)
    with pytest.raises(RatioMapError, match="cannot read the map"):
        AdaptiveMap.load(tmp_path / "none.npz")
