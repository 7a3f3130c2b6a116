"""Bundles from folders, zips and the zoo, and every way in which one can be broken."""

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.noise import preset
from focalloop.host.reconstruction import bundle_files
from focalloop.host.reconstruction.bundle import Bundle, BundleError, adaptive_bundle
from focalloop.host.reconstruction.reconstruct import ReconstructError
from focalloop.models import zoo
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle


def zip_of(folder, *, inside=""):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, inside + file.name)
    return path


@pytest.mark.parametrize("form", ["folder", "zip", "zip of the folder"])
def test_a_bundle_loads_and_reconstructs(tmp_path, form):
    path = write_tiny_bundle(tmp_path / "tiny", scores=[{"psnr": 30}])
    if form != "folder":
        path = zip_of(path, inside="tiny/" if form == "zip of the folder" else "")
    bundle = Bundle.load(path)
    assert bundle.name == "tiny"
    assert bundle.noise_profile == preset("paper")
    assert bundle.meta["scores"] == [{"psnr": 30}]
    assert bundle.ratio_map.mean_level == 2
    fitted = bundle.ratio_map.tiled_to(24, 32)
    video = bundle.reconstructor(threads=1)(np.ones((8, 24, 32), np.float32), fitted)
    np.testing.assert_array_equal(video, np.broadcast_to(8 + fitted.levels, (16, 24, 32)))


@pytest.mark.parametrize(
    ("scores", "psnr_db"),
    [
        ([], None),
        ([{"set": "mine.npz", "psnr": 31}], None),
        ([{"set": "mine.npz", "psnr": 31}, {"set": "test_set.npz", "psnr": 30}], 30.0),
        ([{"set": "test_set.npz", "psnr": "high"}, "none", {"set": "test_set.npz"}], None),
    ],
)
def test_the_psnr_of_a_bundle_is_that_on_the_open_test_set(tmp_path, scores, psnr_db):
    assert Bundle.load(write_tiny_bundle(tmp_path / "tiny", scores=scores)).psnr_db == psnr_db


OWN = RatioMap.from_tile([[8, 1], [0, 1]], (16, 16))


def with_unmeasured(ratio_map, count):
    levels = ratio_map.levels.copy()
    levels.flat[np.flatnonzero(levels)[: 7 * count : 7]] = 0
    return replace(ratio_map, levels=levels)


GAPS = RatioMap.from_tile([*[[0] * 6] * 3, [0, 0, 0, 8, 0, 0], *[[0] * 6] * 2], (24, 24))
"""One pixel of 6x6 is measured: each of the others has one within 3 rows and columns."""


@pytest.mark.parametrize(
    ("ratio_map", "by_its_own", "by_any"),
    [
        (OWN, True, True),
        (OWN.tiled_to(24, 30), True, True),
        (RatioMap.uniform(2, (16, 16)), False, True),
        (with_unmeasured(OWN.tiled_to(40, 40), 80), True, True),
        (with_unmeasured(OWN.tiled_to(40, 40), 81), False, True),
        (GAPS, False, True),
        (RatioMap.from_tile([[8, *[0] * 7], *[[0] * 8] * 7], (24, 24)), False, False),
        (RatioMap.uniform(0, (16, 16)), False, False),
        (RatioMap.uniform(2, (16, 16), slots=8), False, False),
        (OWN.with_aperture_tile(APERTURE_TILE), False, False),
        (RatioMap.uniform(16, (16, 16), level_set=(0, 16)), False, False),
        (replace(OWN, level_set=(0, 1, 2, 4, 8, 16)), True, True),
    ],
    ids=[
        "own",
        "own, larger",
        "flat",
        "own, with as many defects as a sensor may have",
        "own, with one more",
        "gaps",
        "wide gaps",
        "nothing",
        "T",
        "aperture",
        "a level that it does not know",
        "own, of a board that could do more",
    ],
)
def test_a_network_is_for_its_map_or_for_any_that_leaves_no_wide_gaps(
    tmp_path, ratio_map, by_its_own, by_any
):
    own = Bundle.load(write_tiny_bundle(tmp_path / "own", OWN))
    any_map = Bundle.load(write_tiny_bundle(tmp_path / "any", OWN, reach=3))
    assert (own.reach, any_map.reach) == (None, 3)
    assert (own.suits(ratio_map), any_map.suits(ratio_map)) == (by_its_own, by_any)


def test_a_network_for_any_aperture_is_also_for_none(tmp_path):
    folder = write_tiny_bundle(tmp_path / "any", OWN, reach=3, any_aperture=True)
    bundle = Bundle.load(folder)
    flat = RatioMap.uniform(1, (24, 30))
    assert all(bundle.suits(one) for one in (OWN, flat, flat.with_random_aperture(1)))
    assert bundle.suits(OWN.with_aperture_tile(APERTURE_TILE))
    assert not bundle.suits(RatioMap.uniform(0, (24, 30)).with_random_aperture(1))
    shut = np.ones((16, 24, 30), bool)
    shut[:, 8:15, 8:15] = False  # its middle has no other within 3 rows and columns
    assert not bundle.suits(flat.with_aperture(shut))
    shut[3, 11, 11] = True
    assert bundle.suits(flat.with_aperture(shut))


@pytest.mark.parametrize("changes", [{"any_aperture": 1, "reach": 3}, {"any_aperture": True}])
def test_an_invalid_any_aperture_is_refused(tmp_path, changes):
    with pytest.raises(BundleError, match="'any_aperture'"):
        Bundle.load(write_tiny_bundle(tmp_path / "tiny", **changes))


@pytest.mark.parametrize("reach", [-1, 257, 1.5, "3", True])
def test_an_invalid_reach_is_refused(tmp_path, reach):
    with pytest.raises(BundleError, match="'reach'"):
        Bundle.load(write_tiny_bundle(tmp_path / "tiny", reach=reach))


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("focalloop.models.zoo", {"numpy", "torch", "numba", "onnxruntime"}),
        ("focalloop.host.reconstruction.bundle", {"torch", "numba", "onnxruntime", "scipy"}),
    ],
)
def test_bundles_are_named_and_read_without_loading_what_runs_them(module, heavy):
    program = (
        f"import sys, {module}; loaded = {heavy} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_shipped_bundle_is_whole():
    assert {zoo.DEFAULT_BUNDLE, zoo.UNIVERSAL_BUNDLE} <= set(zoo.BUNDLES)
    for name in zoo.BUNDLES:
        bundle = Bundle.load(name)
        assert bundle.name == name
        # 20x28: no multiple of what the network halves, so that it has to pad
        fitted = bundle.ratio_map.tiled_to(20, 28)
        video = bundle.reconstructor()(np.zeros((8, 20, 28), np.float32), fitted)
        assert video.shape == (16, 20, 28)
        assert np.isfinite(video).all()


def test_a_shipped_name_is_found_in_the_zoo(tmp_path, monkeypatch):
    write_tiny_bundle(tmp_path / "zoo" / "mine", name="mine")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    monkeypatch.setattr(zoo, "BUNDLES", {"mine": ""})
    assert Bundle.load("mine").name == "mine"
    with pytest.raises(BundleError, match=r"no bundle 'yours'.*\(mine\)"):
        Bundle.load("yours")


def remove(file):
    return lambda folder: (folder / file).unlink()


def cut(file):
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-9])


def change(**values):
    def apply(folder):
        meta = json.loads((folder / "bundle.json").read_text()) | values
        (folder / "bundle.json").write_text(
            json.dumps({key: value for key, value in meta.items() if value is not None})
        )

    return apply


BROKEN = {
    "no manifest": (remove("bundle.json"), "bundle.json"),
    "manifest cut": (cut("bundle.json"), "bundle.json is damaged"),
    "manifest no object": (lambda f: (f / "bundle.json").write_text("[]"), "schema None"),
    "manifest nested": (lambda f: (f / "bundle.json").write_text("[" * 10**5), "damaged"),
    "another schema": (change(schema=2), "schema 2"),
    "no network": (remove("reconstruct.onnx"), "reconstruct.onnx"),
    "network cut": (cut("reconstruct.onnx"), "reconstruct.onnx is not the file"),
    "map cut": (cut("ratio_map.npz"), "ratio_map.npz is not the file"),
    "no hashes": (change(sha256={}), "ratio_map.npz is not the file"),
    "no licence": (change(licence=None), "lacks 'licence'"),
    "slots a text": (change(slots="16"), "needs int as 'slots'"),
    "another T": (change(slots=8), "T=16"),
    "other levels": (change(level_set=[0, 1, 2, 4]), "(0, 1, 2, 4, 8)"),
    "a path outside": (change(network="../../secret"), "plain file name"),
    "a path outside, the other slash": (change(network="..\\secret"), "plain file name"),
    "noise of another kind": (change(noise_profile={"s_ss": 1}), "schema_version"),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("breakage", "told"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_bundle_is_refused_with_one_sentence(tmp_path, breakage, told, zipped):
    path = write_tiny_bundle(tmp_path / "tiny")
    breakage(path)
    if zipped:
        path = zip_of(path)
    with pytest.raises(BundleError) as caught:
        Bundle.load(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x00" * 5000])
def test_a_file_that_is_not_a_zip_is_refused(tmp_path, content):
    (tmp_path / "bundle.zip").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.zip is not a readable zip"):
        Bundle.load(tmp_path / "bundle.zip")


def test_a_zip_cut_or_flipped_anywhere_never_loads_as_something_else(tmp_path):
    path = zip_of(write_tiny_bundle(tmp_path / "tiny"))
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:place])
        with pytest.raises(BundleError):
            Bundle.load(path)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            bundle = Bundle.load(path)
        except BundleError:
            continue
        assert bundle.network == tiny_network()  # the flip fell on a field that nobody reads


def test_a_file_above_the_limit_is_refused(tmp_path, monkeypatch):
    path = write_tiny_bundle(tmp_path / "tiny")
    monkeypatch.setattr(bundle_files, "MAX_FILE_BYTES", 600)
    for form in (path, zip_of(path)):
        with pytest.raises(BundleError, match="too large"):
            Bundle.load(form)


def test_a_map_that_is_a_png_loads(tmp_path):
    path = write_tiny_bundle(tmp_path / "tiny")
    RatioMap.uniform(4, (8, 8)).save(path / "map.png")
    digest = hashlib.sha256((path / "map.png").read_bytes()).hexdigest()
    hashes = json.loads((path / "bundle.json").read_text())["sha256"]
    change(ratio_map="map.png", sha256=hashes | {"map.png": digest})(path)
    assert Bundle.load(path).ratio_map.mean_level == 4


def test_a_network_of_another_kind_is_refused_when_it_is_loaded(tmp_path):
    bundle = Bundle.load(write_tiny_bundle(tmp_path / "tiny", network=b"no network"))
    with pytest.raises(ReconstructError, match="cannot be loaded"):
        bundle.reconstructor()


@pytest.mark.parametrize("shipped", [True, False])
def test_adaptive_maps_have_a_bundle_of_their_own_where_it_is_shipped(monkeypatch, shipped):
    known = {name: "" for name in zoo.BUNDLES if name != zoo.ADAPTIVE_BUNDLE}
    monkeypatch.setattr(zoo, "BUNDLES", known | dict.fromkeys([zoo.ADAPTIVE_BUNDLE] * shipped, ""))
    alone, told = (zoo.ADAPTIVE_BUNDLE,) * 2 if shipped else (zoo.UNIVERSAL_BUNDLE, zoo.TOLD_BUNDLE)
    assert (adaptive_bundle(), adaptive_bundle(preset("paper"))) == (alone, told)
