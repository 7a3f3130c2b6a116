"""The objects of the public API as a notebook shows them, and what they take by name."""

import io

import numpy as np
import pytest
from PIL import Image

from focalloop import (
    Emulator,
    EmulatorError,
    NoiseProfile,
    NoiseProfileError,
    RatioMap,
    RatioMapError,
)

SHAPE = (32, 48)
TILE = RatioMap.load("tile-2of16", shape=SHAPE)
SCENE = np.random.default_rng(0).random((16, *SHAPE), np.float32)


def picture(data):
    with Image.open(io.BytesIO(data)) as image:
        return getattr(image, "n_frames", 1), image.size, np.asarray(image.convert("RGB"))


def test_a_named_tile_fills_the_default_array_or_the_one_asked_for():
    assert RatioMap.load("tile-2of16").shape == (256, 256)
    assert TILE.shape == SHAPE
    assert RatioMap.load("tile-2of16").tiled_to(*SHAPE) == TILE


def test_a_map_that_is_not_there_says_what_there_is():
    with pytest.raises(RatioMapError, match=r"'tile-3of16'.*tile-2of16.*Bundle.load"):
        RatioMap.load("tile-3of16")
    with pytest.raises(RatioMapError, match="cannot be fitted to 40x40"):
        RatioMap.random((20, 20)).tiled_to(40, 40)


def test_maps_are_equal_by_value_coded_aperture_included(tmp_path):
    aperture = np.random.default_rng(1).random((16, *SHAPE)) < 0.5
    coded = TILE.with_aperture(aperture)
    coded.save(tmp_path / "map.npz")
    again = RatioMap.load(tmp_path / "map.npz")
    assert again == coded
    assert len({again, coded, TILE, RatioMap.load("tile-2of16", shape=SHAPE)}) == 2
    aperture[3, 4, 5] ^= True
    different = [
        TILE,
        TILE.with_aperture(aperture),
        RatioMap(TILE.levels, level_set=(1, 2, 4)).with_aperture(coded.aperture),
        RatioMap.uniform(2, SHAPE).with_aperture(coded.aperture),
    ]
    assert not any(coded == other for other in different)
    assert coded != "tile-2of16"


def test_maps_say_what_a_person_wants_to_know():
    assert repr(TILE) == "<RatioMap 48x32, tile 2x2, levels 1 2 4, T=16, r_avg 0.125>"
    scattered = RatioMap.random((8, 8)).with_aperture(np.ones((16, 8, 8)))
    assert repr(scattered).startswith("<RatioMap 8x8, no tile, levels 0 1 2 4 8, T=16, r_avg ")
    assert repr(scattered).endswith(", coded aperture>")


def test_a_map_is_drawn_in_the_colours_of_its_levels():
    count, size, pixels = picture(TILE._repr_png_())
    assert (count, size) == (1, (256, 256))  # 16x16 pixels of it, 16 times as large
    np.testing.assert_array_equal(pixels[::16, ::16], TILE.colours()[:16, :16])
    scattered = RatioMap.random((10, 300))
    assert picture(scattered._repr_png_())[1] == (300, 10)
    assert picture(RatioMap.random((1, 3000))._repr_png_())[1] == (1000, 1)
    odd = RatioMap([[3]], slots=15, level_set=(0, 3))
    assert (picture(odd._repr_png_())[2] == 128).all()


def test_profiles_are_taken_by_name_or_file_and_are_equal_by_value(tmp_path):
    paper = NoiseProfile.load("paper")
    paper.save(tmp_path / "paper.json")
    assert NoiseProfile.load(tmp_path / "paper.json") == paper
    assert len({paper, NoiseProfile.load(tmp_path / "paper.json")}) == 1
    assert NoiseProfile.load("ideal", slots=8).full_scale_dn == 255 * 8
    with pytest.raises(NoiseProfileError, match=r"'pape'.*ideal, paper, scamp5"):
        NoiseProfile.load("pape")


def test_profiles_list_what_is_on_and_escape_their_name():
    assert repr(NoiseProfile.load("paper")) == (
        "<NoiseProfile 'paper': ADC 16 bit, black 4096 DN, full scale 49152 DN, "
        "s_ss 0.00495 gaussian, s_r 0.00725>"
    )
    assert repr(NoiseProfile.load("ideal")) == "<NoiseProfile 'ideal': exact 4080 DN full scale>"
    table = NoiseProfile(name="<b>mine</b>", s_r=0.01)._repr_html_()
    assert "&lt;b&gt;mine&lt;/b&gt;" in table
    assert "<tr><th>s_r</th><td>0.01</td></tr>" in table
    assert "prnu" not in table


def test_an_emulator_by_names_captures_windows_as_a_board_would():
    emulator = Emulator(TILE, "paper", seed=3)
    assert repr(emulator).endswith("r_avg 0.125; profile 'paper'>")
    window = emulator.capture(SCENE, 5)
    assert window.ratio_map is TILE
    assert repr(window) == (
        "<Window 5, scene: 3072 reads of 16 bit, whole; "
        "48x32, tile 2x2, levels 1 2 4, T=16, r_avg 0.125>"
    )
    np.testing.assert_array_equal(window.codes, emulator.read_out(SCENE, 5))
    assert Emulator("tile-2of16", "scamp5").ratio_map.shape == (256, 256)


@pytest.mark.parametrize("scene", [SCENE, np.rint(SCENE * 255).astype(np.uint8)])
def test_without_noise_a_window_holds_the_light_itself(scene):
    window = Emulator(RatioMap.uniform(1, SHAPE), "ideal").capture(scene)
    white = 1 if scene.dtype == np.float32 else 255
    np.testing.assert_allclose(window.reads[0], scene.mean(axis=0) / white, rtol=1e-5)


def test_a_window_is_drawn_as_the_light_it_saw():
    bright = np.full((16, *SHAPE), 0.5, np.float32)
    count, size, pixels = picture(Emulator(TILE, "ideal").capture(bright)._repr_png_())
    assert (count, size) == (1, (288, 192))
    assert (abs(pixels.astype(int) - 128) <= 1).all()
    half_shut = TILE.with_aperture_tile(np.arange(16)[:, None, None] % 2)
    pixels = picture(Emulator(half_shut, "ideal").capture(bright)._repr_png_())[2]
    assert abs(int(pixels.mean()) - 128) <= 1


def test_an_emulator_refuses_what_it_cannot_mean():
    with pytest.raises(RatioMapError, match="no ratio map 'tile'"):
        Emulator("tile", "paper")
    with pytest.raises(NoiseProfileError, match="no noise profile 'loud'"):
        Emulator(TILE, "loud")
    with pytest.raises(NoiseProfileError, match="not from 5"):
        Emulator(TILE, 5)
    with pytest.raises(RatioMapError, match="of different lengths"):
        RatioMap([[1, 2], [4]])
    emulator = Emulator(TILE, "paper")
    with pytest.raises(EmulatorError, match=r"\(slots, height, width\)"):
        emulator.capture(SCENE[0])
    with pytest.raises(EmulatorError, match="one window"):
        emulator.capture(SCENE[None])
    with pytest.raises(EmulatorError, match="int16"):
        emulator.capture(SCENE.astype(np.int16))
