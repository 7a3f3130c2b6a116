"""The shipped bundles, on the real clip that `focalloop live` shows (it is never trained on)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.clips import load_clips
from firmware_sim.emulator import Emulator
from firmware_sim.noise import preset
from firmware_sim.read_plan import ReadPlan
from host.bundle import Bundle, list_bundles
from host.metrics import psnr
from host.reconstruct import initial_reconstruction


def clip_path() -> Path:
    return Path(str(files("host"))) / "clips" / "box.mp4"


@pytest.mark.parametrize("name", list_bundles())
def test_a_shipped_network_beats_the_closed_form_clearly(name: str) -> None:
    bundle = Bundle.load(name)
    scene = load_clips(clip_path()).clips[0]
    ratio_map = bundle.ratio_map.tiled_to(*scene.shape[1:])
    profile = preset("paper")
    codes = Emulator(ratio_map, profile, seed=0).capture(scene)
    reads = ReadPlan.of(ratio_map).planes(profile.signal(codes))

    truth = scene.astype(np.float32) / 255
    closed_form = initial_reconstruction(reads, ratio_map.levels, ratio_map.slots)
    network = bundle.reconstructor()(reads, ratio_map)

    # One level everywhere leaves no hole to fill, and one long exposure says nothing of motion.
    gain = 0 if np.ptp(bundle.ratio_map.levels) == 0 else 3
    assert psnr(network, truth) > psnr(closed_form, truth) + gain


@pytest.mark.parametrize("name", list_bundles())
def test_a_shipped_bundle_says_where_it_comes_from(name: str) -> None:
    meta = Bundle.load(name).meta
    assert meta["name"] == name
    assert all(source["name"] and source["licence"] for source in meta["data"])
    assert meta["training"]["settings"]["noise"] == meta["noise_profile"]["name"]
    for score in meta["scores"]:
        assert score["command"].startswith("focalloop evaluate ")
        assert 20 < score["psnr"] < 60
