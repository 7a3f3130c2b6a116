"""Adaptive maps on the command line: what takes them, and what says why it does not."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from focalloop.host.adaptive.controller_file import load_controller
from focalloop.host.board.client import Board
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.reconstruction.bundle import adaptive_bundle
from focalloop.host.recording.writer import RecordingWriter
from focalloop.models import zoo
from tests.support.served import SHAPE, make_adaptive_map, on_tcp


def test_an_adaptive_map_is_uploaded_from_a_file_and_captured_at_rest(run, tmp_path):
    made = make_adaptive_map()
    made.save(tmp_path / "map.npz")
    with on_tcp() as server:
        sent = json.loads(run("upload", "map.npz", "--port", server.url, "--json").out)
        assert (sent["sent"], sent["adaptive"], sent["map_hash"]) == (True, True, made.hash_hex)
        assert sent["mean_level"] == made.resting.mean_level
        assert "at rest" in run("upload", "map.npz", "--port", server.url).out
        run("capture", "--port", server.url, "-o", "night")
        with Board.open(server.url) as board:
            assert board.status().map_hash == made.hash()
    (series,) = Capture.load(tmp_path / "night").series
    assert series.ratio_map.hash() == made.resting.hash()


@pytest.mark.parametrize("name", ["adaptive", zoo.DEFAULT_CONTROLLER])
def test_the_shipped_adaptive_map_is_uploaded_by_name(run, name):
    with on_tcp() as server:
        sent = json.loads(run("upload", name, "--port", server.url, "--json").out)
    shipped = load_controller().adaptive_map.tiled_to(*SHAPE)
    assert sent["map_hash"] == shipped.hash_hex


NO_BOARD = ["--port", "/dev/nowhere", "--wait", "0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["live", "--map", "adaptive", "--budget", "0.9"], r"read 0\.00391 to 0\.375 of a full"),
        (["live", "--map", "adaptive", "--budget", "0"], "cannot be kept"),
        (["live", "--map", "adaptive", "--budget", "nan"], "not a finite number"),
        (["live", "--budget", "0.1"], "is for an adaptive map"),
        (["serve", *NO_BOARD, "--budget", "0.1", "--map", "tile-2of16"], "is for an adaptive map"),
        (["live", "--map", "adaptive", "--radio", "semcom"], "sends windows of one map"),
        (["live", "--map", "adaptive", "--bundle", "edge-learned-1of16"], "edge-universal-int8"),
        (["serve", *NO_BOARD, "--map", "adaptive", "--bundle", "network-free"], "cannot rebuild"),
        (["live", "--map", "map.npz"], "without a controller"),
        (["live", "--map", "half.npz"], "not a readable zip"),
        (["reconstruct", "clip.npz", "-o", "v.npz", "--map", "map.npz"], "window by window"),
        (["evaluate", "clip.npz", "--map", "adaptive"], "window by window"),
        (["evaluate", "clip.npz", "--map", "controller.npz"], "window by window"),
        (["capture", *NO_BOARD, "-o", "c", "--map", "adaptive"], "window by window"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(run, tmp_path, words, says):
    make_adaptive_map().save(tmp_path / "map.npz")
    controller = (zoo.FOLDER / f"{zoo.DEFAULT_CONTROLLER}.npz").read_bytes()
    (tmp_path / "controller.npz").write_bytes(controller)
    (tmp_path / "half.npz").write_bytes(controller[: len(controller) // 2])
    np.savez(tmp_path / "clip.npz", clips=np.zeros((1, 16, 32, 32), np.uint8))
    ran = run(*words, code=2)
    assert "Error(" not in ran.err
    assert re.search(says, " ".join(ran.err.split()))


@pytest.mark.parametrize("kept_as", [CaptureWriter, RecordingWriter])
def test_windows_under_grids_are_reconstructed(run, tmp_path, kept_as):
    adaptive_map = load_controller().adaptive_map
    grids = np.random.default_rng(0).integers(0, len(adaptive_map.tiles), (3, 2, 3))
    name = "night" if kept_as is CaptureWriter else "night.mcap"
    with on_tcp() as server, Board.open(server.url) as board:
        board.upload(adaptive_map)
        for number, grid in enumerate(grids, 1):
            board.set_grid(number, grid)
        with kept_as(tmp_path / name, board.info) as writer:
            for window in board.capture(4):
                writer.add(window)
    done = json.loads(run("reconstruct", name, "-o", "video.npz", "--json").out)
    # A capture does not tell which map was composed.
    under_grid = zoo.TOLD_BUNDLE if kept_as is CaptureWriter else adaptive_bundle()
    by = dict.fromkeys([zoo.TOLD_BUNDLE, under_grid])
    assert (done["windows"], done["bundle"]) == (4, " and ".join(by))
