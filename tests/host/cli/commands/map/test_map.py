"""`focalloop map` as a user runs it."""

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from tests.support.command_line import complaint, run, run_json
from tests.support.tiny_bundle import write_tiny_bundle


def test_show_tells_what_a_map_asks_for():
    facts = run_json("map", "show", "tile-2of16")
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (256, 256))
    assert facts["r_avg"] == 0.125
    assert facts["mean_level"] == 2
    assert facts["tile"] == {"height": 2, "width": 2}
    assert facts["pixels_at_level"] == {"0": 0, "1": 32768, "2": 16384, "4": 16384, "8": 0}
    assert facts["reads_per_window"] == 2 * 256 * 256 == sum(facts["reads_per_slot"])
    assert facts["hash"] == ratio_map.hash_hex


def test_show_draws_the_tile_and_writes_it_as_a_png(tmp_path):
    result = run("map", "show", "tile-1of16", "--png", tmp_path / "drawn.png")
    assert result.exit_code == 0
    drawn = RatioMap.load(tmp_path / "drawn.png")
    np.testing.assert_array_equal(drawn.levels[:4, :4], NAMED_TILES["tile-1of16"])
    height, width = drawn.tile.shape
    assert f"the tile that repeats, {width}x{height}" in result.stdout


def test_show_thins_out_a_large_map_and_tells_an_aperture(tmp_path):
    aperture = np.zeros((16, 64, 64), bool)
    aperture[:4] = True
    RatioMap.random((64, 64)).with_aperture(aperture).save(tmp_path / "m.npz")
    assert "thinned" in run("map", "show", tmp_path / "m.npz").stdout
    assert run_json("map", "show", tmp_path / "m.npz")["open_share"] == 0.25


def test_show_takes_a_bundle_for_its_map(tmp_path):
    folder = write_tiny_bundle(tmp_path / "mine", RatioMap.from_tile([[4, 1], [1, 2]], (8, 8)))
    assert run_json("map", "show", folder)["mean_level"] == 2
    (tmp_path / "mine" / "ratio_map.npz").unlink()
    result = run("map", "show", folder)
    assert "ratio_map.npz" in complaint(result)


def test_a_map_is_made_under_the_coded_aperture(tmp_path):
    run_json("map", "make", "tile", "4,1/1,2", "--size", "40x24", "--aperture", "tile",
             "-o", tmp_path / "m.npz")  # fmt: skip
    made = RatioMap.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(made.aperture_tile, APERTURE_TILE)
    assert made.tiled_to(8, 8).shape == (8, 8)
    words = ("--slots", "8", "--aperture", "tile", "-o", tmp_path / "s.npz")
    assert isinstance(run("map", "make", "fixed", "1", *words).exception, RatioMapError)
    assert not (tmp_path / "s.npz").exists()


def test_a_random_aperture_covers_the_whole_array(tmp_path):
    def made(*words):
        path = tmp_path / "m.npz"
        run_json("map", "make", *words, "--size", "40x24", "--aperture", "random", "-o", path)
        return RatioMap.load(path)

    first = made("fixed", "1")
    assert first.aperture_tile.shape == (16, 24, 40)  # it repeats nowhere
    assert first.aperture.mean() == pytest.approx(0.5, abs=0.02)
    assert made("fixed", "1", "--seed", 0) == first
    assert made("fixed", "1", "--seed", 1) != first
    scattered = [made("random", "--r-avg", "0.1", "--seed", seed) for seed in (1, 2)]
    assert (scattered[0].levels != scattered[1].levels).any()
    assert (scattered[0].aperture != scattered[1].aperture).any()


def test_an_aperture_is_taken_from_a_file(tmp_path):
    own = RatioMap.uniform(2, (24, 40)).with_random_aperture(7)
    own.save(tmp_path / "own.npz")
    np.save(tmp_path / "own.npy", own.aperture.astype(np.uint8))
    np.save(tmp_path / "halves.npy", np.arange(32).reshape(16, 2, 1) % 2)
    for name, expected in (
        ("own.npz", own.aperture),
        ("own.npy", own.aperture),
        ("halves.npy", np.tile([[0], [1]], (16, 12, 40)).astype(bool)),
    ):
        words = ("--size", "40x24", "--aperture", tmp_path / name, "-o", tmp_path / "m.npz")
        run_json("map", "make", "fixed", "4", *words)
        np.testing.assert_array_equal(RatioMap.load(tmp_path / "m.npz").aperture, expected)


NO_APERTURES = {
    "without one": ("plain.npz", "has no coded aperture"),
    "of another T": ("short.npy", "(8, 2, 2)"),
    "with other numbers": ("grey.npy", "only 0 (shut) and 1 (open)"),
    "of objects": ("objects.npy", "cannot read the aperture"),
    "that is not there": ("absent.npy", "cannot read the aperture"),
    "of no name": ("rand", "no ratio map 'rand'"),
}


@pytest.mark.parametrize(("name", "told"), NO_APERTURES.values(), ids=NO_APERTURES.keys())
def test_what_holds_no_aperture_is_refused(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    RatioMap.uniform(1, (2, 2)).save("plain.npz")
    np.save("short.npy", np.ones((8, 2, 2)))
    np.save("grey.npy", np.full((16, 2, 2), 0.5))
    np.save("objects.npy", np.array([None]), allow_pickle=True)
    result = run("map", "make", "fixed", "1", "--aperture", name, "-o", "m.npz")
    assert told in complaint(result)
    assert result.exit_code == 2
    assert not (tmp_path / "m.npz").exists()


def test_a_seed_without_anything_random_is_refused(tmp_path):
    words = ("--aperture", "tile", "--seed", "1", "-o", tmp_path / "m.npz")
    assert "--aperture random" in complaint(run("map", "make", "fixed", "1", *words))


MAKES = {
    "fixed": (["fixed", "2"], [[2]]),
    "named tile": (["tile", "tile-1of16"], NAMED_TILES["tile-1of16"]),
    "own tile": (["tile", "4,1/1,2"], [[4, 1], [1, 2]]),
}


@pytest.mark.parametrize("suffix", [".npz", ".png"])
@pytest.mark.parametrize(("words", "tile"), MAKES.values(), ids=MAKES.keys())
def test_make_writes_the_map(tmp_path, words, tile, suffix):
    path = tmp_path / f"made{suffix}"
    facts = run_json("map", "make", *words, "--size", "32x24", "-o", path)
    made = RatioMap.load(path)
    assert made.shape == (24, 32)
    np.testing.assert_array_equal(made.levels, RatioMap.from_tile(tile, (24, 32)).levels)
    assert facts["output"] == str(path)
    assert facts["hash"] == made.hash_hex


def test_make_random_gives_the_ratio_and_the_histogram_asked_for(tmp_path):
    path = tmp_path / "random.npz"
    run_json("map", "make", "random", "--r-avg", "0.1", "--size", "120x100", "-o", path)
    assert RatioMap.load(path).ratio == pytest.approx(0.1, abs=1e-3)
    first = RatioMap.load(path).levels
    run_json("map", "make", "random", "--r-avg", "0.1", "--size", "120x100", "-o", path)
    np.testing.assert_array_equal(RatioMap.load(path).levels, first)
    run_json(
        "map", "make", "random", "--r-avg", "0.1", "--size", "120x100", "--seed", "1", "-o", path
    )
    assert (RatioMap.load(path).levels != first).any()
    facts = run_json("map", "make", "random", "--shares", "1:3,4:1", "--size", "8x8", "-o", path)
    assert facts["pixels_at_level"] == {"0": 0, "1": 48, "2": 0, "4": 16, "8": 0}


def test_make_takes_another_window_and_level_set(tmp_path):
    path = tmp_path / "twelve.npz"
    run_json(
        "map", "make", "fixed", "3", "--slots", "12", "--level-set", "0,1,3", "--size", "4x4",
        "-o", path,
    )  # fmt: skip
    made = RatioMap.load(path)
    assert (made.slots, made.level_set) == (12, (0, 1, 3))


def test_convert_goes_to_png_and_back(tmp_path):
    made = RatioMap.random((20, 30), seed=3)
    made.save(tmp_path / "a.npz")
    run_json("map", "convert", tmp_path / "a.npz", tmp_path / "b.png")
    run_json("map", "convert", tmp_path / "b.png", tmp_path / "c.npz")
    run_json("map", "make", "png", tmp_path / "b.png", "-o", tmp_path / "d.npz")
    for name in ("b.png", "c.npz", "d.npz"):
        assert RatioMap.load(tmp_path / name).hash() == made.hash()


BAD = {
    "no such map": (["map", "show", "tile-9of16"], "tile-2of16"),
    "level off the set": (["map", "make", "fixed", "3", "-o", "OUT"], "level 3"),
    "ragged tile": (["map", "make", "tile", "4,1/1", "-o", "OUT"], "different lengths"),
    "ratio out of reach": (["map", "make", "random", "--r-avg", "0.7", "-o", "OUT"], "0 to 8"),
    "negative share": (["map", "make", "random", "--shares", "1:-1", "-o", "OUT"], "shares"),
    "size of nothing": (["map", "make", "fixed", "1", "--size", "0x8", "-o", "OUT"], "1 to 65535"),
    "T that divides badly": (["map", "make", "fixed", "1", "--slots", "10", "-o", "OUT"], "4"),
    "another suffix": (["map", "convert", "tile-2of16", "OUT.jpg"], ".jpg"),
}


@pytest.mark.parametrize(("words", "told"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_sentence_and_changes_nothing(tmp_path, words, told):
    before = RatioMap.uniform(8, (4, 4))
    for name in ("OUT.npz", "OUT.jpg"):
        before.save(tmp_path / "OUT.npz")
        (tmp_path / name).write_bytes((tmp_path / "OUT.npz").read_bytes())
    kept = (tmp_path / "OUT.npz").read_bytes()
    names = {"OUT": tmp_path / "OUT.npz", "OUT.jpg": tmp_path / "OUT.jpg"}
    result = run(*(names.get(word, word) for word in words))
    assert told in complaint(result)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {kept}


WRONG_USE = [
    ["map", "make", "random", "-o", "x.npz"],
    ["map", "make", "random", "--r-avg", "0.1", "--shares", "1:1", "-o", "x.npz"],
    ["map", "make", "random", "--shares", "many", "-o", "x.npz"],
    ["map", "make", "tile", "a,b", "-o", "x.npz"],
    ["map", "make", "fixed", "1", "--size", "large", "-o", "x.npz"],
    ["map", "make", "fixed", "1"],
]


@pytest.mark.parametrize("words", WRONG_USE, ids=" ".join)
def test_wrong_use_exits_with_2(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words).exit_code == 2
    assert not list(tmp_path.iterdir())
