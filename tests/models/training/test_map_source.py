"""What random maps and apertures are drawn for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from focalloop.firmware_sim.maps.tiles import APERTURE_TILE, tile_of
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.models.training.map_source import (
    LEVEL_ONE_SHARE,
    OPEN_SHARES,
    AnyMap,
    Coding,
    RandomApertures,
    RandomTiles,
    map_source,
    named_map,
)


def test_maps_have_names_of_tiles_of_shipped_bundles_and_of_files(tmp_path: Path) -> None:
    learned = named_map("edge-learned-2of16")
    assert learned == Bundle.load("edge-learned-2of16").ratio_map
    learned.save(tmp_path / "map.npz")
    assert named_map(str(tmp_path / "map.npz")) == learned
    source = map_source("tile-2of16", aperture=True)
    assert (source.levels(np.random.default_rng(0), 1, 8).mean(), source.slots) == (2, 16)
    assert np.array_equal(
        source.apertures(np.random.default_rng(0), np.ones((1, 4, 4), np.uint8))[0], APERTURE_TILE
    )


def test_random_apertures_are_of_all_kinds_and_reproducible() -> None:
    def drawn() -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(3)
        source = RandomApertures()
        levels = source.levels(rng, 200, 32)
        return levels, source.apertures(rng, levels)

    levels, apertures = drawn()
    again = drawn()
    np.testing.assert_array_equal(levels, again[0])
    np.testing.assert_array_equal(apertures, again[1])
    assert (levels.shape, apertures.shape) == ((200, 32, 32), (200, 16, 32, 32))

    of_level_one = (levels == 1).all(axis=(1, 2))
    assert abs(of_level_one.mean() - LEVEL_ONE_SHARE) < 0.15
    assert {0, 1, 2, 4, 8} == set(np.unique(levels[~of_level_one]))

    always_open = apertures.all(axis=(1, 2, 3))
    tiled = np.array([tile_of(one).shape[-1] <= 4 for one in apertures]) & ~always_open
    everywhere = ~tiled & ~always_open
    assert always_open.sum() > 10
    assert tiled.sum() > 8
    assert everywhere.sum() > 130
    shares = apertures[everywhere & of_level_one].mean(axis=(1, 2, 3))
    assert OPEN_SHARES[0] - 0.02 < shares.min() < 0.35
    assert 0.65 < shares.max() < OPEN_SHARES[1] + 0.02


def test_some_random_apertures_code_long_spans_alone() -> None:
    rng = np.random.default_rng(3)
    source = RandomApertures()
    levels = source.levels(rng, 200, 32)
    apertures = source.apertures(rng, levels)
    shut = ~apertures.all(axis=1)
    mixed = [k for k in range(200) if (levels[k] > 2).any() and shut[k].any()]
    spared = [not shut[k][levels[k] > 2].any() for k in mixed]
    assert 0.25 < np.mean(spared) < 0.75


def test_a_coding_spares_pixels_above_its_level() -> None:
    levels = np.array([[[1, 2], [4, 0]]], np.uint8)
    shut = np.zeros((16, 1, 1), np.bool_)
    assert Coding(shut, max_level=1).over(levels).any(axis=1).tolist() == [
        [[False, True], [True, False]]
    ]
    assert not Coding(shut).over(levels).any()


def test_half_of_the_crops_of_any_map_show_the_shipped_maps() -> None:
    learned = named_map("edge-learned-2of16").levels[:32, :32]
    source = map_source("random-tiles", aperture=False)
    assert isinstance(source, AnyMap)
    levels = source.levels(np.random.default_rng(0), 600, 32)
    # A few pixels of some crops are not measured; two different tiles differ in far more.
    like_learned = ((levels != learned) & (levels != 0)).mean((1, 2)) < 0.01
    assert 0.02 < like_learned.mean() < 0.1, "one of nine maps"
    both = [named_map(name).levels[:32, :32] for name in ("edge-tile-1of16", "edge-fixed-4of16")]
    for shipped in both:
        assert ((levels != shipped) & (levels != 0)).mean((1, 2)).min() < 0.01


def test_random_tiles_have_the_aperture_that_they_were_given() -> None:
    rng = np.random.default_rng(0)
    assert RandomTiles().apertures(rng, np.ones((3, 8, 8), np.uint8)) is None
    (aperture,) = RandomTiles(aperture=APERTURE_TILE).apertures(rng, np.ones((3, 8, 8), np.uint8))
    np.testing.assert_array_equal(aperture, np.tile(APERTURE_TILE, (1, 2, 2)))


def test_some_random_crops_have_a_tile_of_their_own_in_each_block() -> None:
    levels = RandomTiles().levels(np.random.default_rng(1), 300, 64).astype(np.float64)
    blocks = levels.reshape(300, 4, 16, 4, 16).mean(axis=(2, 4)).reshape(300, 16)
    # A tile that repeats over a crop reads all its blocks alike, but for 5 % of defects.
    mixed = np.ptp(blocks, axis=1) > 0.3 * blocks.max(axis=1)
    assert 0.2 < mixed.mean() < 0.4
    assert (blocks[mixed] == 0).any(), "some blocks are not measured at all"
    assert np.unique(blocks[mixed].mean(axis=1).round(1)).size > 20
