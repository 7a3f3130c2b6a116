"""The comparison of methods of map learning: its rows, and that it is a plan for retraining."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import map_learning
from benchmarks.maps import plan
from focalloop.models.networks.edge import EdgeSettings
from focalloop.models.training.checkpoint import CHECKPOINT
from focalloop.models.training.map_source import RandomTiles
from focalloop.models.training.network_run import NetworkRun
from focalloop.models.training.run import RunSettings
from focalloop.models.training.training_data import TrainingData

SMALL = EdgeSettings(width=16, context=8, blocks=1)


@pytest.fixture
def judge(training_file: Path, tmp_path: Path) -> Path:
    settings = RunSettings(steps=2, batch=2, crop=16, network=SMALL)
    NetworkRun(RandomTiles(), TrainingData.load(training_file), settings).train(tmp_path / "judge")
    return tmp_path / "judge" / CHECKPOINT


def test_methods_are_scored_beside_the_peers_and_can_be_retrained(
    judge: Path, training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["policy-tile", "relaxed-gumbel"]
    given = [f"--data={training_file}", f"--judge={judge}", "--minutes=0.005", "--json"]
    assert map_learning.main(given + [f"--method={name}" for name in names]) == 0
    text = capsys.readouterr().out
    rows = json.loads(text)["rows"]
    assert {row["method"] for row in rows} == {*names, "hand-made", "fixed"}
    assert [row["psnr"] for row in rows] == sorted((row["psnr"] for row in rows), reverse=True)
    best = next(row for row in rows if row["method"] == "hand-made")
    for row in rows:
        assert row["over_hand_made"] == pytest.approx(row["psnr"] - best["psnr"])
        assert row["mean_level"] <= 1
    (tmp_path / "plan.json").write_text(text)
    entries = plan.load(tmp_path / "plan.json")
    assert [entry.name for entry in entries] == [
        row["name"] for row in rows if row["method"] in names
    ]
    assert all(entry.method == "learned" and entry.ready for entry in entries)


def test_what_is_no_judge_is_refused(
    training_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = tmp_path / "nothing.safetensors"
    assert map_learning.main([f"--data={training_file}", f"--judge={nothing}"]) == 1
    assert "nothing.safetensors" in capsys.readouterr().err
