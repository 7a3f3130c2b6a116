"""Tiles of locations that together give an array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.tiles import is_tiled, tiles_of, whole_locations

SIDES = st.integers(1, 60)


@given(SIDES, SIDES, st.integers(0, 3), st.integers(1, 9))
def test_tiles_give_each_location_once_and_see_their_margin(height, width, margin, inner):
    largest = 2 * margin + inner
    array = np.arange(4 * height * width).reshape(2 * height, 2 * width)
    found = np.zeros((height, width), int)
    rebuilt = np.zeros_like(array)
    for tile in tiles_of(height, width, largest=largest, margin=margin):
        seen = array[tile.seen(2)]
        assert max(seen.shape) <= 2 * largest
        found[tile.given()] += 1
        rebuilt[tile.given(2)] = seen[tile.middle(2)]
        for (start, stop), (first, last), side in (
            (tile.rows, tile.seen_rows, height),
            (tile.columns, tile.seen_columns, width),
        ):
            assert first <= max(start - margin, 0)
            assert last >= min(stop + margin, side)
    assert (found == 1).all()
    assert np.array_equal(rebuilt, array)


def test_a_small_array_is_one_tile():
    (tile,) = tiles_of(16, 64)
    assert (tile.seen_rows, tile.seen_columns) == ((0, 16), (0, 64))


@given(st.integers(4, 50), st.integers(4, 50))
def test_reads_go_on_to_whole_locations_with_the_tile_in_phase(height, width):
    row, column = np.indices((height, width))
    reads = np.broadcast_to((1000 * row + column).astype(np.float32), (8, height, width))
    whole = whole_locations(reads, 4)
    assert whole.shape == (8, -(-height // 16) * 16, -(-width // 16) * 16)
    np.testing.assert_array_equal(whole[:, :height, :width], reads)
    rows, columns = np.divmod(whole[0].astype(int), 1000)
    there_row, there_column = np.indices(rows.shape)
    for place, there, length in ((rows, there_row, height), (columns, there_column, width)):
        assert ((there - place) % 4 == 0).all()
        beyond = there >= length
        assert (place[beyond] >= length - 4).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (3, 40), (40, 3)])
def test_windows_smaller_than_a_cell_cannot_go_on_in_phase(shape):
    with pytest.raises(RadioError, match="smaller than a cell of its map, 4x4"):
        whole_locations(np.zeros((8, *shape), np.float32), 4)
    assert whole_locations(np.zeros((8, 4, 5), np.float32), 4).shape == (8, 16, 16)


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_map_is_tiled_if_it_repeats_the_tile_and_not_if_a_pixel_differs(height, width, data):
    tile = np.array([[1, 2, 4], [8, 1, 2], [4, 4, 1]], np.uint8)
    levels = np.tile(tile, (3, 3))[:height, :width]
    assert is_tiled(RatioMap(levels), tile)
    changed = levels.copy()
    at = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    changed[at] = 1 if levels[at] == 8 else 8
    assert not is_tiled(RatioMap(changed), tile)
