"""What the tests of the radio networks share: a little data, and the frozen sensor."""

import numpy as np
import pytest

from focalloop.models.radio.folded import FrozenBundle
from focalloop.models.radio.klt import block_transform
from focalloop.models.radio.run import Sensing
from focalloop.models.training.training_data import TrainingData


@pytest.fixture(scope="session")
def data():
    """Smooth random motion: enough for a covariance with a few large eigenvalues."""
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((24, 17, 64, 64))
    for axis in (2, 3):
        for _ in range(6):
            steps = steps + np.roll(steps, 1, axis)
    drift = np.cumsum(steps[:, 1:], axis=1) * 0.1 + 3 * steps[:, :1]
    clips = 128 + 60 * drift / drift.std()
    clips = np.clip(clips, 0, 255).astype(np.uint8)
    return TrainingData(clips[:20], clips[20:], {"settings": {}, "sources": []})


@pytest.fixture(scope="session")
def sensing():
    return Sensing(FrozenBundle())


@pytest.fixture(scope="session")
def transform(data, sensing):
    return block_transform(data, sensing.reads, windows=100)
