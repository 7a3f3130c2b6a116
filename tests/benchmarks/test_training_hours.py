"""Quality over the hours of several runs, from their logs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import training_hours
from focalloop.models.training.run_log import RunLog


def test_the_hours_of_a_run_follow_those_of_the_run_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = []
    for run, reports in enumerate([[(30.0, 26.0), (60.0, 26.5)], [(90.0, 27.0)]]):
        logs.append(tmp_path / f"{run}.csv")
        for step, (minutes, psnr) in enumerate(reports):
            RunLog(logs[-1]).append({"step": step, "minutes": minutes, "validation_psnr": psnr})
    assert training_hours.joined(logs) == [[(0.5, 26.0), (1.0, 26.5)], [(2.5, 27.0)]]

    picture = tmp_path / "hours.png"
    monkeypatch.setattr(sys, "argv", ["training_hours", *map(str, logs), "-o", str(picture)])
    training_hours.main()
    printed = " ".join(capsys.readouterr().out.split())
    assert "run 2, hours since the first began 2.5 h" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_log_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no rows"):
        training_hours.joined([tmp_path / "none.csv"])
