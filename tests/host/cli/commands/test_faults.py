"""`--faults` as a person gives it, and what `capture` says of a line that fails."""

from __future__ import annotations

import json
import threading

import pytest

from focalloop.firmware_sim.serving.transport import TcpServer
from focalloop.host.captures.capture import Capture
from tests.support.running import STOP_TIMEOUT_S, start
from tests.support.served import SHAPE, make_board, serving
from tests.support.waiting import wait_until

LIST = "flips=1e-5, disconnect=every 2 s for 200 ms, seed=3"


def test_emulate_with_faults_tells_them_and_windows_come(run, tmp_path):
    size = f"{SHAPE[1]}x{SHAPE[0]}"
    faults = "flips=1e-6, stall=every 10 ms for 1 ms"
    process = start("emulate", "--json", "--size", size, "--faults", faults)
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                break
        board = json.loads(text)
        assert board["faults"] == "flips=1e-06, stall=every 0.01 s for 0.001 s, seed=0"
        words = ("--port", board["url"], "-o", "a", "-n", 5, "--map", "tile-2of16", "--json")
        taken = json.loads(run("capture", *words).out)
        assert (taken["windows"], taken["lost_windows"]) == (5, [])
    finally:
        process.terminate()
        _, told = process.communicate(timeout=STOP_TIMEOUT_S)
    assert f"the line is faulty: {board['faults']}" in told
    assert "the board stops for 0.001 s" in told
    assert "faults injected:" in told
    assert len(Capture.load(tmp_path / "a").series) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--faults", "flip=1"), "not a fault"),
        (("--faults", "flips=2"), "probability below 1"),
        (("--faults", LIST), "--link PATH, or --tcp PORT"),
    ],
)
def test_wrong_faults_are_wrong_usage(run, words, says):
    assert says in " ".join(run("emulate", *words, code=2).err.replace("│", " ").split())


def test_a_cable_that_stays_out_ends_a_capture_in_one_sentence(run, monkeypatch, tmp_path):
    from focalloop.host.board.client import Board

    opened = Board.open
    monkeypatch.setattr(
        Board,
        "open",
        lambda *args, **kwargs: opened(*args, **kwargs, reconnect_timeout_s=0.3),
    )
    with serving(TcpServer(make_board(slot_rate_hz=1600))) as server:

        def pull_when_it_has_begun():
            wait_until(lambda: list(tmp_path.glob(".a.*/readouts-0.npy")), 60)
            server.inject("disconnect", 60)

        threading.Thread(target=pull_when_it_has_begun).start()
        ran = run(
            "capture", "--port", server.url, "-o", "a", "-n", 100_000, "--map", "tile-2of16", code=1
        )
    told = ran.err.splitlines()[-1]
    assert told.startswith("error: ")
    assert "did not come back" in told
    assert "of 100000 windows had come, and are kept in a" in told
    (series,) = Capture.load(tmp_path / "a").series
    assert f" {len(series)} of 100000 windows" in told
