"""The network for tiles with phases and with memory, its training and its scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import memory, phases
from benchmarks.straddling.learning import Plan, Sequences, rebuilt, start_network, trained
from benchmarks.straddling.linear_gaussian import MEAN, estimated, frames, window_reads
from benchmarks.straddling.network import TileNetwork
from benchmarks.straddling.tile_search import PhasedTile
from focalloop.firmware_sim.noise import preset
from focalloop.models.errors import TrainError
from focalloop.models.networks.straddling import straddling_reads

TILE = PhasedTile.of([[2, 0], [1, 4]], [[5, 0], [0, 2]], late=True)
CALM = PhasedTile.of([[2, 0], [1, 4]])
NOISE = torch.Generator()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def network_without_correction(plan: Plan) -> TileNetwork:
    network = TileNetwork(plan.tile, start_network(), memory=plan.memory)
    for parameter in network.head.parameters():
        torch.nn.init.zeros_(parameter)
    return network.eval()


def open_network(plan: Plan) -> TileNetwork:
    """Return a network that always keeps what it showed last."""
    network = network_without_correction(plan)
    assert network.gate.bias is not None
    torch.nn.init.constant_(network.gate.bias, 50.0)
    return network


def scene_of(seed: int, windows: int, side: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((1, 16 * windows, side, side), np.float32))


@torch.inference_mode()
def test_the_first_video_is_the_linear_estimate() -> None:
    scene = scene_of(0, 3, 12)
    around = window_reads(TILE.levels, TILE.phases, late=True)
    light = [
        scene[0, 16 + begin : 16 + end, 4 + y, 4 + x].mean()
        for y, x, begin, end in zip(around.y, around.x, around.begin, around.end, strict=True)
    ]
    matrix = torch.from_numpy(estimated(around, frames(4, 4)).matrix).float()
    expected = (matrix @ (torch.stack(light) - MEAN) + MEAN).reshape(16, 4, 4)

    network = network_without_correction(Plan(TILE))
    levels, rows = (torch.from_numpy(np.tile(k, (3, 3)))[None] for k in (TILE.levels, TILE.phases))
    video = network(straddling_reads(scene, levels, rows, 16, late=True))

    torch.testing.assert_close(video[0, :, 4:8, 4:8], expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_what_explains_the_reads_is_kept() -> None:
    network = open_network(Plan(CALM, memory=True))
    still = scene_of(1, 1, 12)[:, :1].expand(-1, 16, -1, -1)
    levels = torch.from_numpy(np.tile(CALM.levels, (3, 3)))[None]
    reads = straddling_reads(still, levels, torch.zeros_like(levels), 0, late=False)

    torch.testing.assert_close(network(reads, still[:, 0]), still, atol=1e-4, rtol=0)
    assert (network(reads) - still).abs().max() > 0.1


@torch.inference_mode()
def test_a_shifted_tile_sees_what_an_unshifted_one_sees_of_a_shifted_scene() -> None:
    plan = Plan(TILE, margins=True)
    network, scene = network_without_correction(plan), scene_of(2, 3, 16)
    moved = Plan(TILE, margins=True, shifts=((0, 0), (1, 2)))

    [(shifted, _)] = rebuilt(network, moved, scene, preset("ideal"), NOISE)
    rolled = torch.roll(scene, (-1, -2), (2, 3))
    [(unshifted, _)] = rebuilt(network, plan, rolled, preset("ideal"), NOISE)

    torch.testing.assert_close(shifted, torch.roll(unshifted, (1, 2), (2, 3)))


@torch.inference_mode()
def test_nothing_is_remembered_beyond_a_lost_window() -> None:
    plan = Plan(CALM, memory=True)
    network, scene = open_network(plan), scene_of(3, 3, 16)

    videos = [video for video, _ in rebuilt(network, plan, scene, preset("ideal"), NOISE)]
    after = [video for video, _ in rebuilt(network, plan, scene, preset("ideal"), NOISE, lost=1)]
    [(alone, _)] = rebuilt(network, plan, scene[:, 32:], preset("ideal"), NOISE)

    assert len(videos) == 3
    assert len(after) == 2
    torch.testing.assert_close(after[1], alone)
    assert (videos[2] - alone).abs().max() > 0.01


def test_memory_and_phases_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="without phases"):
        TileNetwork(TILE, start_network(), memory=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make training sequences and clips of noise."""
    folder, rng = tmp_path_factory.mktemp("straddling"), np.random.default_rng(0)
    clips = rng.integers(0, 256, (3, 80, 32, 32), np.uint8)
    np.savez(
        folder / "data.npz",
        clips=clips,
        validation=np.array([True, False, False]),
        recipe=np.array(json.dumps({"of": "noise"})),
    )
    np.savez(folder / "clips.npz", sequences=clips, names=np.array(["a", "b", "c"]))
    return folder


@pytest.fixture
def one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave two plans of one read per pixel."""
    for name in phases.PLANS.keys() - {"plain-1", "phases-1"}:
        monkeypatch.delitem(phases.PLANS, name)


@pytest.mark.usefixtures("one_read")
def test_networks_are_trained_and_scored(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, data = files / "runs", ["--data", str(files / "data.npz")]

    training = ["train", *data, *data, "-o", str(runs), "--steps", "2", "--batch", "2"]
    assert phases.main([*training, "--crop", "32"]) == 0
    assert (
        phases.main(["score", str(files / "clips.npz"), "--runs", str(runs), "--side", "32"]) == 0
    )

    printed = capsys.readouterr().out
    assert "plain-1: step 2" in printed
    assert "phases-1 over plain-1: " in printed
    with pytest.raises(TrainError, match="another plan"):
        trained(runs / "plain-1", Plan(TILE))


def test_memory_is_trained_and_scored(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, data = str(files / "memory"), str(files / "data.npz")
    training = ["train", "--data", data, "-o", runs, "--steps", "1", "--batch", "1"]

    assert memory.main([*training, "--crop", "32"]) == 0
    assert memory.main(["score", str(files / "clips.npz"), "--runs", runs, "--side", "32"]) == 0

    printed = capsys.readouterr().out
    assert "memory, moving tile over none: " in printed
    assert printed.count("after the loss of window 2: ") == 3
    assert printed.count("ms of one processor per window") == 3


def test_without_runs_there_is_nothing_to_score(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert phases.main(["score", str(files / "clips.npz"), "--runs", str(files / "none")]) == 1
    assert "checkpoint" in capsys.readouterr().err


def test_sequences_of_different_sizes_are_not_joined(files: Path, tmp_path: Path) -> None:
    with np.load(files / "data.npz") as data:
        np.savez(tmp_path / "small.npz", **{**data, "clips": data["clips"][..., :16, :16]})
    with pytest.raises(TrainError, match="different sizes"):
        Sequences.joined([files / "data.npz", tmp_path / "small.npz"])


@pytest.mark.usefixtures("one_read")
def test_the_estimates_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert phases.main(["estimate"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 5
    means = {row[:32].strip(): float(row.split()[-1]) for row in rows[1:]}
    assert means["phases-1"] > means["phases-1, ended in time"]

    assert memory.main(["estimate"]) == 0
    rows = capsys.readouterr().out.splitlines()
    still = {row[:32].strip(): float(row.split()[-7]) for row in rows[1:]}
    for tile in memory.TILES:
        assert still[f"{tile}, four windows, moving"] > still[f"{tile}, four windows"] + 1
