"""Small pictures, windows and runs for the tests of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap


@pytest.fixture
def tile_map() -> RatioMap:
    return RatioMap.from_tile(NAMED_TILES["tile-2of16"], shape=(32, 32))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three textured photographs, 96 pixels and more on a side."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        blocks = rng.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(blocks).resize((160, 120), Image.Resampling.BICUBIC).save(
            folder / f"{index}.png"
        )
    return folder


@pytest.fixture
def training_file(tmp_path: Path) -> Path:
    """Six drifting sine gratings of 32 pixels, two of them for validation."""
    return gratings(tmp_path / "train.npz", 16)


@pytest.fixture
def sequences_file(tmp_path: Path) -> Path:
    """The same over three windows in a row, for networks with memory."""
    return gratings(tmp_path / "sequences.npz", 48)


def gratings(path: Path, frames: int) -> Path:
    """Write a training file of six gratings that drift over so many frames."""
    y, x = np.mgrid[:32, :32]
    t = np.arange(frames)[:, None, None]
    speeds = np.array([0.0, 0.3, -0.4, 0.6, 0.2, -0.2])
    clips = np.stack([127 + 100 * np.sin(0.3 * x + 0.2 * y + v * t) for v in speeds])
    np.savez(
        path,
        clips=np.rint(clips).astype(np.uint8),
        validation=np.arange(6) >= 4,
        recipe=json.dumps(
            {"settings": {"seed": 0}, "sources": [{"name": "gratings/one", "licence": "none"}]}
        ),
    )
    return path
