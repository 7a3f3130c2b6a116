"""What tests of several commands are given."""

import numpy as np
import pytest

from focalloop.firmware_sim.scenes.synthetic import SyntheticScene


@pytest.fixture
def clips(tmp_path):
    scene = SyntheticScene(24, 32, seed=1)
    path = tmp_path / "clips.npz"
    np.savez(path, clips=np.stack([scene.window(k) for k in range(2)]), names=["one", "two"])
    return path
