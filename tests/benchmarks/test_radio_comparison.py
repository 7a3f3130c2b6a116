"""The comparison of radio methods, from small clips to its tables and figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.radio import rivals
from benchmarks.radio.__main__ import FIGURES, app
from benchmarks.radio.rivals import RIVALS, Bench
from benchmarks.radio.scores import MethodScores, RadioScoresError, load


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of the linear link on two clips, and others made from them."""
    path = tmp_path_factory.mktemp("radio")
    y, x = np.mgrid[:48, :48]
    t = np.arange(16)[:, None, None]
    clips = [127 + 90 * np.sin(0.3 * x + 0.2 * y + speed * t) for speed in (0.1, 0.4)]
    np.savez(path / "clips.npz", clips=np.rint(clips).astype(np.uint8), names=["slow", "fast"])
    run("measure", "linear", "--clips", path / "clips.npz", "--scores", path)
    (linear,) = load(path, ["linear"])
    for number, name in enumerate(sorted(set(sum(FIGURES.values(), ())) - {"linear"})):
        points = [replace(one, psnr=one.psnr + number + 1) for one in linear.points]
        MethodScores(name, linear.tested_on, tuple(points)).save(path)
    return path


def test_every_clip_is_scored_at_every_point(folder: Path) -> None:
    (linear,) = load(folder, ["linear"])
    assert linear.clips == ["slow", "fast"]
    curve = linear.swept("symbols")
    assert [point.setting for point in curve] == list(RIVALS["linear"].settings)
    for point in linear.points:
        assert np.all(point.symbols == sum(point.parts.values()))
        assert np.all((point.psnr > 5) & (point.psnr < 60))
        assert np.all(point.parts["header"] > 0)
    assert curve[-1].psnr.mean() > curve[0].psnr.mean()
    over_snr = [point.psnr.mean() for point in linear.swept("snr")]
    assert over_snr[-1] > over_snr[0] + 2


def test_what_is_coded_falls_off_unless_its_scheme_follows_the_snr(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "SNRS", (4.0, 16.0))
    monkeypatch.setattr(rivals, "CLIFF", ())
    monkeypatch.setattr(rivals, "COMMON_SYMBOLS", 100_000)
    monkeypatch.setitem(RIVALS, "h264-ldpc", replace(RIVALS["h264-ldpc"], settings=(30.0, 40.0)))
    bench = Bench.of(folder / "clips.npz")
    curve = fine, coarse = list(bench.measured("h264-ldpc", "symbols", []))
    lost, kept = bench.measured("h264-ldpc", "snr", curve)
    slow, fast = bench.measured("h264-ldpc", "snr-best", curve)
    assert fine.symbols.mean() > coarse.symbols.mean()
    assert fine.psnr.mean() > coarse.psnr.mean() > 15
    assert np.all(lost.lost == 1)
    assert np.all(lost.psnr < kept.psnr - 5)
    assert not np.any([kept.lost, slow.lost, fast.lost])
    # Where even the coarsest setting takes more symbols there is no point.
    monkeypatch.setattr(rivals, "COMMON_SYMBOLS", 100)
    assert not list(bench.measured("h264-ldpc", "snr-best", curve))
    assert [point.scheme for point in (kept, slow)] == ["16-QAM 2/3", "QPSK 2/3"]
    assert fast.symbols.mean() < kept.symbols.mean() or fast.psnr.mean() > kept.psnr.mean()
    assert fine.bits is not None
    assert np.all(fine.bits > coarse.bits)


def test_scores_survive_the_file(folder: Path, tmp_path: Path) -> None:
    (linear,) = load(folder, ["linear"])
    assert linear.save(tmp_path).read_text() == (folder / "linear.json").read_text()


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_drawn_and_its_figures_printed(folder: Path, name: str) -> None:
    image = folder / f"{name}.png"
    text = run(name, "--scores", folder, "-o", image)
    assert Image.open(image).size[0] > 300
    assert all(RIVALS[method].label in text for method in FIGURES[name])
    document = json.loads(run(name, "--scores", folder, "--json"))
    assert document.keys() == {"2 clips"}


def test_differences_are_those_that_were_made(folder: Path) -> None:
    document = json.loads(run("table", "semcom", "linear", "--scores", folder, "--json"))
    (difference,) = document["2 clips"]["differences"]
    made = sorted(set(sum(FIGURES.values(), ())) - {"linear"}).index("semcom") + 1
    assert difference["bd_psnr"]["mean"] == pytest.approx(made, abs=1e-3)
    assert difference["bd_psnr"]["low"] == pytest.approx(made, abs=1e-3)
    assert difference["crossings"] == []
    assert difference["clips"].keys() == {"slow", "fast"}


def test_missing_damaged_and_unlike_scores_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RadioScoresError, match="no scores of linear"):
        load(tmp_path, ["linear"])
    (linear,) = load(folder, ["linear"])
    linear.save(tmp_path)
    (tmp_path / "jscc.json").write_text("{}")
    with pytest.raises(RadioScoresError, match=r"jscc\.json does not hold scores"):
        load(tmp_path, ["linear", "jscc"])
    MethodScores("jscc", linear.tested_on | {"sensor_seed": 1}, linear.points).save(tmp_path)
    with pytest.raises(RadioScoresError, match="jscc was measured on other clips"):
        load(tmp_path, ["linear", "jscc"])


def test_a_sensing_of_its_own_may_differ_and_its_networks_must_be_given(
    folder: Path, tmp_path: Path
) -> None:
    (linear,) = load(folder, ["linear"])
    linear.save(tmp_path)
    about = linear.tested_on | {
        "sensing": "joint-semcom-sensing",
        "joint": {"step": 3, "minutes": 1.7, "tile": [[2, 1], [1, 8]]},
    }
    MethodScores("semcom-joint", about, linear.points).save(tmp_path)
    assert len(load(tmp_path, ["semcom-joint", "linear"])) == 2
    text = run("fig12", "--scores", tmp_path)
    assert "SemCom, joint: 3 steps in 2 minutes, tile 2 1 / 1 8\n" in text
    with pytest.raises(RadioScoresError, match=r"semcom-joint needs networks.*--joint"):
        run("measure", "semcom-joint", "--clips", folder / "clips.npz", "--scores", tmp_path)


def test_an_unknown_method_is_refused_with_the_known(folder: Path) -> None:
    with pytest.raises(RadioScoresError, match="no method 'morse': choose semcom"):
        run("measure", "morse", "--clips", folder / "clips.npz")
