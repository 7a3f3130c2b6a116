"""Shipped maps on long clips: scores in a file, and the table of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.maps import long_clips, scores
from benchmarks.maps.__main__ import LONG_FILE, app
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.reconstruction.suggestion import candidates
from focalloop.models.data.long_clips import LONG_CLIPS, SLOWED_SHA256
from tests.support import ROOT


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_maps_are_scored_by_sequence_and_replace_earlier_rows(tmp_path: Path) -> None:
    y, x = np.mgrid[:24, :24]
    ways = [
        127 + 100 * np.sin(0.6 * x + v * np.arange(96)[:, None, None] + 0.2 * y) for v in (0, 1)
    ]
    path, output = tmp_path / "long.npz", tmp_path / "scores.json"
    np.savez(path, sequences=np.rint(ways).astype(np.uint8), names=["still", "fast"])
    for _ in range(2):
        text = run("long", path, "-o", output, "--threads", 1)
    assert run("table", "--long", output).endswith(f"\n{text}")
    document = json.loads(output.read_text())
    assert document["tested_on"]["long.npz"]["names"] == ["still", "fast"]
    rows = {row["map"]: row for row in document["rows"]}
    assert list(rows) == [candidate.name for candidate in candidates(1)]
    assert len(document["rows"]) == len(rows)
    for name, row in rows.items():
        assert len(row["psnr"]) == 2
        assert f"| {name} | {row['bundle']} | {row['measurements']:g} |" in text
    assert list(long_clips.by_map(output, "long.npz")["calm-1of16"]) == rows["calm-1of16"]["psnr"]
    assert long_clips.by_map(tmp_path / "absent.json", "long.npz") == {}


def test_the_published_scores_are_of_the_published_clips_and_shipped_maps() -> None:
    document = scores.read(ROOT / LONG_FILE)
    for name, tested_on in document["tested_on"].items():
        rows = [row for row in document["rows"] if row["clips"] == name]
        assert {candidate.name for candidate in candidates(1)} <= {row["map"] for row in rows}
        assert len(tested_on["names"]) == len(LONG_CLIPS)
        assert all(len(row["psnr"]) == len(LONG_CLIPS) for row in rows)
    # The clips' bytes are those of the sequences, cut into windows.
    assert document["tested_on"]["long_clips_240.npz"]["sha256"] == SLOWED_SHA256


@pytest.mark.network
@pytest.mark.skipif(
    os.environ.get("FOCALLOOP_NETWORK") != "1",
    reason="downloads 204 MB: set FOCALLOOP_NETWORK=1",
)
@pytest.mark.timeout(600)
def test_a_published_score_is_measured_again(tmp_path: Path) -> None:
    from focalloop.firmware_sim.maps.ratio_map import RatioMap
    from focalloop.host.reconstruction.bundle import Bundle
    from focalloop.models.data.long_clips import build_long_clips, save_long_clips

    path = tmp_path / "long_clips.npz"
    made = build_long_clips(tmp_path, slow=False, recipes=LONG_CLIPS[:1])
    save_long_clips(path, made, slow=False, recipes=LONG_CLIPS[:1])
    rows = scores.read(ROOT / LONG_FILE)["rows"]
    published = next(r for r in rows if (r["map"], r["clips"]) == ("calm-1of16", path.name))
    windows = load_clips(path).clips[:: long_clips.EVERY]
    bundle = Bundle.load(published["bundle"])
    again = long_clips.score(windows, RatioMap.load("calm-1of16"), bundle, 1)
    assert again[0] == pytest.approx(published["psnr"][0], abs=0.02)
