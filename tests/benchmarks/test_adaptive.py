"""The benchmark of the adaptive map, on two small scenes with something that moves."""

import json
import sys

import numpy as np
import pytest

from benchmarks import adaptive
from focalloop.models.adaptive.palette import TILES


def scene(seed, side=48):
    """Five windows of a smooth picture, over which a patch of another one moves."""
    rng = np.random.default_rng(seed)
    still, moving = rng.integers(40, 220, (2, side // 4, side // 4)).repeat(4, 1).repeat(4, 2)
    frames = np.stack([still] * 80)
    for slot in range(80):
        frames[slot, :16, :16] = np.roll(moving, slot, axis=1)[:16, :16]
    return frames.astype(np.uint8)


def test_every_row_of_every_clip_is_measured(tmp_path, monkeypatch, capsys):
    path = tmp_path / "sequences.npz"
    names, rates = np.array(["one", "other"]), np.array([240, 240])
    np.savez(path, sequences=np.stack([scene(0), scene(1)]), names=names, rates=rates)
    monkeypatch.setattr(sys, "argv", ["benchmarks.adaptive", str(path), "--json"])
    adaptive.main()
    found = json.loads(capsys.readouterr().out)
    reads = [np.mean(tile) for tile in TILES.values()]
    static = {f"tile {k}" for k, count in enumerate(reads) if count <= 1}
    shipped = {"edge-fixed-1of16", "edge-learned-1of16"}
    chosen = {"adaptive", "oracle", "reuse", "look-up", "flow"}
    assert set(found["psnr"]) == {"one", "other"}
    assert found["choice_cpu_ms"] > 0
    for rows in found["psnr"].values():
        assert set(rows) == static | shipped | chosen | {"best tile"}
        best = max(rows[name] for name in static)
        assert rows["best tile"] == best
        assert rows["oracle"] > best + 0.3
        # The patch moves alike in every window, so what was best two windows before still is.
        assert rows["reuse"] == pytest.approx(rows["oracle"], abs=1)
        # One tile for the whole frame, if not in every window the same.
        assert min(rows[name] for name in static) <= rows["look-up"] <= best + 0.5
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--alone"])
    adaptive.main()
    alone = json.loads(capsys.readouterr().out)["psnr"]
    assert alone == {name: {"adaptive": rows["adaptive"]} for name, rows in found["psnr"].items()}
