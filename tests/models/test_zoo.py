"""The shipped bundles, on the real clip that `focalloop live` shows (it is never trained on)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.bundle_files import MANIFEST
from focalloop.host.reconstruction.quality import psnr
from focalloop.host.reconstruction.reconstruct import NetworkFree, initial_reconstruction
from focalloop.models import zoo
from focalloop.models.zoo import TOLD_BUNDLE, UNIVERSAL_BUNDLE


def test_the_table_names_what_the_folder_holds() -> None:
    assert set(zoo.BUNDLES) == {found.parent.name for found in zoo.FOLDER.glob(f"*/{MANIFEST}")}
    assert set(zoo.WEIGHTS) == {found.stem for found in zoo.FOLDER.glob("*.safetensors")}
    assert all((zoo.FOLDER / f"{name}.npz").is_file() for name in zoo.CONTROLLERS)
    assert {zoo.DEFAULT_BUNDLE, zoo.UNIVERSAL_BUNDLE, zoo.TOLD_BUNDLE} <= set(zoo.BUNDLES)
    assert all({**zoo.BUNDLES, **zoo.WEIGHTS}.values())


def clip_path() -> Path:
    return Path(str(files("focalloop.host"))) / "clips" / "box.mp4"


def seen_under(ratio_map: RatioMap) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """First window of the clip (T, H, W), and its reads (8, H, W) with the noise of the paper."""
    scene = load_clips(clip_path(), max_clips=1).clips[0]
    profile = preset("paper")
    codes = Emulator(ratio_map, profile, seed=0).read_out(scene)
    reads = ReadPlan.of(ratio_map).planes(profile.signal(codes))
    return scene.astype(np.float32) / 255, reads


@pytest.mark.parametrize("name", zoo.BUNDLES)
def test_a_shipped_network_beats_the_closed_form_clearly(name: str) -> None:
    bundle = Bundle.load(name)
    ratio_map = bundle.ratio_map.tiled_to(256, 256)
    scene, reads = seen_under(ratio_map)
    closed_form = initial_reconstruction(reads, ratio_map.levels, ratio_map.slots)
    network = bundle.reconstructor()(reads, ratio_map)

    # One level everywhere leaves no hole to fill, and one long exposure says nothing of motion.
    gain = 0 if np.ptp(bundle.ratio_map.levels) == 0 else 3
    assert psnr(network, scene) > psnr(closed_form, scene) + gain


@pytest.mark.parametrize("name", [UNIVERSAL_BUNDLE, TOLD_BUNDLE])
@pytest.mark.parametrize("tile", ["fixed-2of16", "fixed-8of16", "tile-1of16", "tile-2of16"])
def test_the_universal_networks_are_worth_it_under_any_map(tile: str, name: str) -> None:
    bundle = Bundle.load(name)
    ratio_map = RatioMap.from_tile(NAMED_TILES[tile], (256, 256))
    assert bundle.suits(ratio_map)
    scene, reads = seen_under(ratio_map)
    without, network = NetworkFree()(reads, ratio_map), bundle.reconstructor()(reads, ratio_map)
    assert psnr(network, scene) > psnr(without, scene) + 1


@pytest.mark.parametrize("name", zoo.BUNDLES)
def test_a_network_that_is_told_no_noise_states_what_other_noise_costs(name: str) -> None:
    bundle = Bundle.load(name)
    alone = bundle.noise_range is None and bundle.ratio_map.aperture is None
    assert (bundle.noise_cost is not None) == alone
    if bundle.noise_cost is not None:
        assert bundle.noise_cost.against == TOLD_BUNDLE
        s_ss, s_r = bundle.noise_profile.shot_and_read()
        assert bundle.noise_cost.at(4 * s_ss, 4 * s_r) > bundle.noise_cost.at(s_ss, s_r) + 0.2


@pytest.mark.parametrize("name", zoo.BUNDLES)
def test_a_shipped_bundle_says_where_it_comes_from(name: str) -> None:
    meta = Bundle.load(name).meta
    assert meta["name"] == name
    assert all(source["name"] and source["licence"] for source in meta["data"])
    noise = meta["training"]["settings"]["noise"]  # in older bundles, a name alone
    assert meta["noise_profile"]["name"] == (noise if isinstance(noise, str) else noise["name"])
    for score in meta["scores"]:
        assert score["command"].startswith("focalloop evaluate ")
        assert 20 < score["psnr"] < 60
