"""The comparison of ratio maps from a plan to its figures, on windows small enough for a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.maps import hand_made, plan, rebuilt, scores, table
from benchmarks.maps.__main__ import app
from benchmarks.maps.plan import Entry, PlanError
from benchmarks.maps.restored import Restored
from benchmarks.maps.scores import Interval, ScoresError
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.scenes.clips import Clips, load_clips
from focalloop.models.errors import TrainError
from focalloop.models.training.checkpoint import load_checkpoint

SMALL = {"width": 8, "context": 4, "blocks": 1}
QUICK = {"steps": 2, "batch": 2, "crop": 16, "warm_up_steps": 1, "network": SMALL}
CLIPS = ["a", "b", "c", "d"]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def gratings(count: int) -> np.ndarray:
    y, x = np.mgrid[:32, :32]
    t = np.arange(16)[:, None, None]
    speeds = np.linspace(-0.5, 0.5, count)
    clips = np.stack([127 + 100 * np.sin(0.3 * x + 0.2 * y + v * t) for v in speeds])
    return np.rint(clips).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training data, weights to start from, clips, and a plan of one entry that was run."""
    from focalloop.models.networks.profiles import build_network, default_settings
    from focalloop.models.training.weights import save_weights

    path = tmp_path_factory.mktemp("comparison")
    recipe = {"settings": {}, "sources": [{"name": "gratings/one", "licence": "none"}]}
    np.savez(
        path / "train.npz",
        clips=gratings(6),
        validation=np.arange(6) >= 4,
        recipe=json.dumps(recipe),
    )
    np.savez(path / "clips.npz", clips=gratings(2), names=np.array(["slow", "fast"]))
    settings = replace(default_settings(), **SMALL)
    save_weights(path / "start.safetensors", settings, build_network(settings).state_dict(), {})
    write_plan(path, [{"name": "dispersed", "method": "tile", "budget": 1, "tile": "4-dispersed"}])
    train(path)
    return path


def write_plan(folder: Path, entries: list[dict]) -> None:
    (folder / "plan.json").write_text(json.dumps({"defaults": QUICK, "entries": entries}))


def train(folder: Path) -> str:
    data, start, clips = (folder / f for f in ("train.npz", "start.safetensors", "clips.npz"))
    words = ("--data", data, "--start", start, "--clips", clips, "-o", folder / "runs")
    return run("train", folder / "plan.json", *words, "--threads", 1)


def test_a_run_is_scored_clip_by_clip_through_its_bundle(folder: Path) -> None:
    found = json.loads((folder / "runs/dispersed-s0/scores.json").read_text())
    assert [clip["name"] for clip in found["evaluation"]["clips"]] == ["slow", "fast"]
    assert all(5 < clip["psnr"] < 60 for clip in found["evaluation"]["clips"])
    assert found["r_avg"] == 1 / 16
    assert found["result"]["step"] == 2
    assert (folder / "runs/dispersed-s0/bundle/bundle.json").is_file()


def test_a_finished_run_is_skipped_and_a_map_that_is_not_there_yet_named(folder: Path) -> None:
    path = folder / "runs/dispersed-s0/scores.json"
    before, old_plan = path.stat().st_mtime_ns, (folder / "plan.json").read_text()
    entries = json.loads(old_plan)["entries"]
    late = {"name": "learned", "method": "learned", "budget": 1, "map": str(folder / "none.npz")}
    write_plan(folder, [late, *entries])
    with pytest.raises(Exception, match=r"none\.npz does not exist"):
        train(folder)
    write_plan(folder, [entries[0] | {"tile": [[1]]}])
    with pytest.raises(PlanError, match="made for another entry dispersed-s0"):
        train(folder)
    (folder / "plan.json").write_text(old_plan)
    assert path.stat().st_mtime_ns == before


def test_the_scores_become_a_file_a_table_and_figures(folder: Path) -> None:
    collected = folder / "maps.json"
    run("collect", "--runs", folder / "runs", "-o", collected)
    (one,) = scores.load(collected)
    assert (one.name, one.seeds, one.measurements) == ("dispersed", 1, 1.0)
    assert one.tile == [[4, 0], [0, 0], [0, 4], [0, 0]]  # its smallest period
    assert "| dispersed | 1 | 1 |" in run("table", "--scores", collected)
    run("fig7", "--scores", collected, "-o", folder / "fig7.png")
    words = ("--clips", folder / "clips.npz", "--clip", "fast", "-o", folder / "fig10.png")
    run("fig10", *words, "--bundle", f"tile={folder / 'runs/dispersed-s0/bundle'}")
    for name in ("fig7", "fig10"):
        assert Image.open(folder / f"{name}.png").size[0] > 300


def test_maps_are_rebuilt_with_an_aperture_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    own = RatioMap.from_tile([[2, 1], [1, 0]], (16, 16)).with_random_aperture()
    seen = []

    def still(reads: np.ndarray, ratio_map: RatioMap) -> np.ndarray:
        seen.append((ratio_map.mean_level, ratio_map.aperture is not None))
        return np.full((16, *ratio_map.shape), 0.5, np.float32)

    bundle = SimpleNamespace(ratio_map=own, reconstructor=lambda threads: still)
    monkeypatch.setattr(rebuilt.Bundle, "load", lambda name: bundle)
    clips = Clips(gratings(1)[..., :16, :16], ("one",))
    found = rebuilt.rows("aperture-universal", clips, {"noise": "paper", "seed": 0}, 1)
    assert seen == [(1.0, False), (1.0, True)] * 2
    assert [row["aperture"] for row in found] == [False, True] * 2
    assert [row["map"]["tile"] for row in found] == [[[1]]] * 2 + [[[2, 1], [1, 0]]] * 2
    assert len({row["name"] for row in found}) == 4


def test_a_run_starts_from_a_checkpoint_as_from_the_weights_shipped_of_it(folder: Path) -> None:
    from benchmarks.maps.comparison import starting_weights
    from focalloop.models.export.bundle import export_weights

    ended = folder / "runs/dispersed-s0"
    export_weights(ended, folder / "ended.safetensors")
    one = starting_weights(str(ended / "checkpoint.safetensors"))
    two = starting_weights(str(folder / "ended.safetensors"))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    with pytest.raises(TrainError, match="no weights"):
        starting_weights("nothing")


def test_an_interrupted_run_is_left_to_be_continued(folder: Path) -> None:
    from benchmarks.maps.comparison import Comparison
    from focalloop.models.training.training_data import TrainingData

    start, clips = str(folder / "start.safetensors"), load_clips(folder / "clips.npz")
    shared = Comparison(TrainingData.load(folder / "train.npz"), start, clips, "clips.npz", 1)
    entry = Entry("stopped", "tile", 1, tile=[[1]], **QUICK)
    ended = shared.run(
        entry, folder / "stopped", lambda run: setattr(run, "stop_wanted", run.progress.step == 1)
    )
    assert ended is None
    assert load_checkpoint(folder / "stopped/checkpoint.safetensors")[0]["progress"]["step"] == 1
    assert not (folder / "stopped/scores.json").exists()


# ------------------------------------------------------------------ plans


@pytest.mark.parametrize("budget", hand_made.HAND_MADE)
def test_hand_made_tiles_cost_their_budget_or_a_little_less(budget: float) -> None:
    for name, tile in hand_made.HAND_MADE[budget].items():
        levels = RatioMap(np.array(tile, np.uint8)).levels
        assert budget - 1.01 / levels.size <= levels.mean() <= budget, name


def test_a_screening_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    text = run("plan", "--budget", 1, "--budget", 2.5, "--steps", 100, "--seed", 3)
    (tmp_path / "plan.json").write_text(text)
    entries = plan.load(tmp_path / "plan.json")
    assert entries == plan.screening([1, 2.5], steps=100, seed=3)
    assert {entry.method for entry in entries} == {"tile", "fixed", "random"}
    assert all(entry.folder.endswith("-s3") for entry in entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": [[2]]}, "costs 2 measurements per pixel, more than its budget of 1"),
        ({"tile": "nothing"}, "no hand-made tile is named 'nothing'"),
        ({"name": "../x"}, "a name consists of letters"),
        ({"method": "magic"}, "not magic"),
        ({"map": "map.npz"}, "either a tile or a map"),
        ({"speed": 3}, "'speed', which is not a key"),
        ({"budget": "one"}, "is not a plan"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    entry = {"name": "x", "method": "tile", "budget": 1, "steps": 1, "tile": [[1]]} | change
    (tmp_path / "plan.json").write_text(json.dumps({"entries": [entry]}))
    with pytest.raises((PlanError, RatioMapError), match=message):
        plan.load(tmp_path / "plan.json")


def test_a_random_map_has_the_tile_s_levels_and_is_one_map_for_all_seeds() -> None:
    entry = Entry("x", "random", 1, 1, tile="2-1-1-0")
    found = entry.ratio_map((64, 64))
    assert np.bincount(found.levels.reshape(-1)).tolist() == [1024, 2048, 1024]
    assert found.tile.shape == (64, 64)
    assert found.hash() == replace(entry, seed=1).ratio_map((64, 64)).hash()


def test_a_random_map_s_network_trains_on_ever_other_maps_of_its_levels() -> None:
    from benchmarks.maps.comparison import ScatteredLevels

    maps = ScatteredLevels({0: 0.75, 4: 0.25}, None)
    one, two = maps.levels(np.random.default_rng(0), 2, 16)
    assert (one == 4).sum() == (two == 4).sum() == 64
    assert (one != two).any()


def test_the_aperture_is_the_one_that_bundles_are_made_with() -> None:
    found = Entry("x", "tile", 1, 1, tile=[[1]], aperture=True).ratio_map((32, 40))
    assert found.aperture is not None
    assert found.aperture_tile is not None
    assert found.aperture.shape == (16, 32, 40)
    assert found.aperture_tile.shape[1:] <= (4, 4)


# ------------------------------------------------------------------ scores


def test_the_interval_of_a_mean_is_what_the_normal_law_says() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    found = Interval.of(values)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_an_equal_gain_on_every_clip_is_certain() -> None:
    found = Interval.of(np.full(12, 0.5))
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)
    assert found.text(2, "+") == "+0.50 [+0.50, +0.50]"


def row(name: str, method: str, psnr: float, *, budget: float = 1, **other: object) -> dict:
    tile = [[4, 0], [0, 0]] if method != "random" else None
    spread = np.array([-4.0, -1.0, 2.0, 3.0])
    return {
        "name": name,
        "method": method,
        "budget": budget,
        "aperture": False,
        "profile": "edge",
        "seed": 0,
        "r_avg": budget / 16,
        "measurements": budget,
        "validation_psnr": psnr,
        "minutes": 1.0,
        "psnr": (psnr + spread).tolist(),
        "ssim": (0.8 + spread / 100).tolist(),
        "map": {"tile": tile} if tile else {"shares": {"0": 0.75, "4": 0.25}},
    } | other


def saved(path: Path, *rows: dict) -> Path:
    document = {"schema": 1, "tested_on": {"names": CLIPS}, "training": {}, "rows": list(rows)}
    scores.save(document, path)
    return path


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    rows = []
    for budget in (1, 2):
        rows += [
            row(f"learned-{budget}", "learned", 28, budget=budget),
            row(f"tile-{budget}", "tile", 27.5, budget=budget, map={"tile": [[4, 2], [1, 0]]}),
            row(f"fixed-{budget}", "fixed", 24, budget=budget),
            row(f"random-{budget}", "random", 25, budget=budget),
        ]
    rows.append(row("tile-2-grid", "tile", 26, budget=2))
    rows.append(row("learned-1-aperture", "learned", 25, aperture=True))
    rows.append(row("tile-1-aperture", "tile", 24, aperture=True))
    return saved(tmp_path / "maps.json", *rows)


def test_gains_are_paired_clip_by_clip(collected: Path) -> None:
    document = json.loads(run("table", "--scores", collected, "--json"))
    first = document["gains"][0]
    assert (first["map"], first["rival"]) == ("learned-1", "tile-1")
    assert first["psnr"] == pytest.approx({"mean": 0.5, "low": 0.5, "high": 0.5})
    rivals = [gain["rival"] for gain in document["gains"] if gain["budget"] == 2]
    assert rivals == ["tile-2", "tile-2-grid", "fixed-2", "random-2"]


def test_every_figure_is_drawn_from_the_scores(collected: Path, tmp_path: Path) -> None:
    for name in ("fig7", "fig8", "fig9"):
        run(name, "--scores", collected, "-o", tmp_path / f"{name}.png")
        assert Image.open(tmp_path / f"{name}.png").size[0] > 300
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_seeds_are_averaged_and_must_be_of_one_map(tmp_path: Path) -> None:
    one, two = row("x", "tile", 20), row("x", "tile", 22, seed=1)
    (both,) = scores.load(saved(tmp_path / "maps.json", one, two))
    assert both.seeds == 2
    assert both.psnr.mean() == pytest.approx(21)
    with pytest.raises(ScoresError, match="different maps"):
        scores.load(saved(tmp_path / "maps.json", one, two | {"map": {"tile": [[1]]}}))


def test_a_learned_map_is_chosen_without_the_test_clips(tmp_path: Path) -> None:
    lucky = row("lucky", "learned", 29, validation_psnr=20)
    rows = (lucky, row("sound", "learned", 28), row("tile", "tile", 27), row("other", "tile", 26))
    loaded = scores.load(saved(tmp_path / "maps.json", *rows))
    chosen, rival = scores.best(loaded, 1, "learned"), scores.best(loaded, 1, *table.HAND)
    assert chosen is not None
    assert rival is not None
    assert (chosen.name, rival.name) == ("sound", "tile")
    assert scores.best(loaded, 2, "learned") is None


def test_runs_that_were_not_trained_alike_are_not_collected(folder: Path, tmp_path: Path) -> None:
    run_scores = json.loads((folder / "runs/dispersed-s0/scores.json").read_text())
    for name, steps in (("one", 2), ("two", 3)):
        run_scores["training"]["steps"] = steps
        scores.write_whole(tmp_path / name / "scores.json", json.dumps(run_scores))
    with pytest.raises(ScoresError, match=r"two was trained with other settings \(steps\)"):
        scores.collect(tmp_path)
    with pytest.raises(ScoresError, match="no run in"):
        scores.collect(tmp_path / "one")


def test_what_cannot_be_drawn_is_said(tmp_path: Path, collected: Path) -> None:
    from benchmarks.maps import figures

    few = scores.load(saved(tmp_path / "few.json", row("x", "tile", 20)))
    with pytest.raises(ScoresError, match="no scores with the coded aperture"):
        figures.quality(few, aperture=True)
    with pytest.raises(ScoresError, match="no learned maps"):
        figures.maps(few)
    with pytest.raises(ScoresError, match=r"end it in \.png"):
        figures.save(figures.maps(scores.load(collected)), tmp_path / "figure.xyz")
    with pytest.raises(ScoresError, match="cannot be read"):
        scores.load(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ScoresError, match="is not a collected comparison"):
        scores.load(tmp_path / "other.json")


def test_the_part_that_is_enlarged_is_where_most_moves() -> None:
    video = np.zeros((16, 200, 240), np.float32)
    video[::2, 100:130, 150:180] = 1
    top, left, side = Restored("x", 0, video, ()).liveliest()
    assert top <= 100 < 130 <= top + side
    assert left <= 150 < 180 <= left + side


def test_ways_that_see_any_aperture_join_the_figure_of_apertures(
    folder: Path, tmp_path: Path
) -> None:
    collected = tmp_path / "maps.json"
    run("collect", "--runs", folder / "runs", "-o", collected)
    words = ("rebuild", "gap-tv", "--scores", collected, "--clips")
    first = run(*words, folder / "clips.npz")
    assert "fixed-1-random-aperture, gap-tv" in first
    assert run(*words, folder / "clips.npz") == first  # replaces the rows
    by_name = {one.name: one for one in scores.load(collected)}
    assert set(by_name) == {"dispersed", "fixed-1, gap-tv", "fixed-1-random-aperture, gap-tv"}
    plain, coded = by_name["fixed-1, gap-tv"], by_name["fixed-1-random-aperture, gap-tv"]
    assert (plain.aperture, coded.aperture) == (False, True)
    assert coded.psnr[1] > plain.psnr[1]  # the fast one
    np.savez(tmp_path / "others.npz", clips=gratings(3))
    with pytest.raises(ScoresError, match="not the clips"):
        run(*words, tmp_path / "others.npz")
