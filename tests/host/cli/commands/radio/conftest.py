"""A link to send over: clips, a bundle that senses, and networks for the air."""

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene
from focalloop.host.captures.writer import CaptureWriter
from tests.support.made_windows import BOARD, make_window
from tests.support.radio_networks import write_radio_bundle
from tests.support.tiny_bundle import write_tiny_bundle

SHAPE = (32, 48)


@pytest.fixture(scope="session")
def networks(tmp_path_factory):
    """Options that name the link's bundles."""
    folder = tmp_path_factory.mktemp("networks")
    ratio_map = RatioMap.load("tile-2of16", shape=SHAPE)
    sensing = write_tiny_bundle(folder / "tiny", ratio_map)
    return "--bundle", sensing, "--model", write_radio_bundle(folder / "radio", ratio_map)


@pytest.fixture
def clips(tmp_path):
    scene = SyntheticScene(*SHAPE, seed=1)
    path = tmp_path / "clips.npz"
    np.savez(path, clips=np.stack([scene.window(k) for k in range(3)]), names=["a", "b", "c"])
    return path


@pytest.fixture
def capture(tmp_path):
    """Make a capture of two windows under a named tile."""

    def made(tile):
        ratio_map = RatioMap.load(tile, shape=SHAPE)
        emulator = Emulator(ratio_map, preset("paper"))
        scene = SyntheticScene(*SHAPE, seed=2)
        with CaptureWriter(tmp_path / tile, BOARD) as writer:
            for number in (4, 9):
                codes = emulator.read_out(scene.window(number), number) >> 8
                writer.add(make_window(number, ratio_map, codes=codes.astype(np.uint8)))
        return tmp_path / tile

    return made
