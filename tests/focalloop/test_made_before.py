"""Files that were written before the packages got one name still load.

``tests/data/before`` was written by version 0.1.0: two maps, a bundle with a network of a few
nodes, a capture of a scene, one of dark and flat reads, and the noise profile fitted to it.
"""

import pytest

from focalloop import Bundle, Capture, Emulator, NoiseProfile, RatioMap, calibrate
from tests.support import ROOT

BEFORE = ROOT / "tests" / "data" / "before"
CODED = "7192665e4fd2f6b2d2edbe42b30d4b27208365beb7bad2e81b4be188ecdd3298"
SCATTERED = "4bbd4446ff61e173be814928536c60e937d4d3a1da608336bb4cc2d91e829a99"


@pytest.mark.parametrize(("name", "its_hash"), [("map.npz", CODED), ("map.png", SCATTERED)])
def test_maps(name, its_hash):
    assert RatioMap.load(BEFORE / name).hash_hex == its_hash


def test_a_bundle_reconstructs():
    bundle = Bundle.load(BEFORE / "bundle")
    window = Emulator(bundle.ratio_map, "paper").capture([[[0.5] * 16] * 12] * 16)
    assert bundle.reconstruct(window).shape == (16, 12, 16)


def test_a_capture():
    windows = list(Capture.load(BEFORE / "scene").windows())
    assert [window.number for window in windows] == [3, 4]
    assert {window.ratio_map.hash_hex for window in windows} == {CODED}
    assert [int(window.codes.sum()) for window in windows] == [19880, 19816]


def test_a_profile_and_the_capture_that_it_was_fitted_to():
    profile = NoiseProfile.load(BEFORE / "profile.json")
    again = calibrate(BEFORE / "dark-and-flat", name="before")
    for name in ("black_level_dn", "pixel_offset", "column_offset"):
        assert getattr(again.profile, name) == pytest.approx(getattr(profile, name), rel=1e-6)
    for name in ("s_ss", "s_r"):  # are found along the measured response since
        low, high = again.estimates[name].ci95
        assert low < getattr(profile, name) < high
    assert Emulator("tile-2of16", BEFORE / "profile.json").profile == profile
