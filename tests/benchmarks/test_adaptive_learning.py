"""The benchmark of what a controller learns, on a scene of noise."""

import json
import sys

import numpy as np

from benchmarks import adaptive_learning
from focalloop.firmware_sim.block_features import FEATURES, VERSION
from focalloop.models.adaptive.drawn_samples import DrawnSamples
from focalloop.models.adaptive.palette import TILES, shipped_map
from focalloop.models.adaptive.samples import Samples


def test_every_way_is_scored(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    scene = rng.integers(256, size=(1, 80, 32, 32), dtype=np.uint8)
    np.savez(tmp_path / "sequences.npz", sequences=scene, names=np.array(["noise"]))
    reads = shipped_map().tiles.mean(axis=(1, 2), dtype=np.float32)
    # One read per pixel in the tile at rest promises a tenth of the error of any other tile.
    error = np.full((4, len(TILES), 2, 2), 0.1, np.float32)
    error[:, list(TILES).index("two, one and none")] = 0.01
    samples = Samples(rng.random((4, FEATURES, 2, 2), np.float32), error, reads)
    DrawnSamples(samples, samples, {"version": VERSION}).save(tmp_path / "samples.npz")
    arguments = [str(tmp_path / "sequences.npz"), "--samples", str(tmp_path / "samples.npz")]
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments, "--steps", "40", "--json"])
    adaptive_learning.main()
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"sampled-policy", "policy", "errors", "errors, averaged"}
    assert found["errors"]["least_gain"] == 0  # it takes the tile at rest
    assert all(np.isfinite(list(row.values())).all() for row in found.values())
