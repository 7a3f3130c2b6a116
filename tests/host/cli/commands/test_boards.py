"""The commands of boards, as a person or a script runs them."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager

import pytest

from focalloop.firmware_sim.wire import BoardState
from focalloop.host.board.client import Board
from focalloop.host.captures.capture import Capture
from tests.support.bad_line import Proxy
from tests.support.running import STOP_TIMEOUT_S, start
from tests.support.served import SHAPE, make_board, make_map, on_pty, on_tcp
from tests.support.waiting import wait_until

SIZE = f"{SHAPE[1]}x{SHAPE[0]}"


@contextmanager
def emulated(*words):
    """`focalloop emulate` as a process; gives what it printed."""
    process = start("emulate", "--json", "--size", SIZE, *words)
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                break
        yield json.loads(text)
    finally:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=STOP_TIMEOUT_S)
        assert process.returncode == 0, complaints
        assert "Traceback" not in complaints


def test_emulate_upload_capture_by_commands_alone(run, tmp_path):
    with emulated() as board:
        assert (board["height"], board["width"]) == SHAPE
        url = board["url"]
        sent = json.loads(run("upload", "tile-2of16", "--port", url, "--json").out)
        assert sent["sent"] is True
        again = json.loads(run("upload", "tile-2of16", "--port", url, "--json").out)
        assert again == {**sent, "sent": False}
        taken = json.loads(run("capture", "--port", url, "-o", "night", "-n", 3, "--json").out)
        assert taken["map_hash"] == sent["map_hash"]
        found = json.loads(run("ports", "--port", url, "--json").out)["ports"]
    (series,) = Capture.load(tmp_path / "night").series
    assert series.readouts.shape == (3, 2 * SHAPE[0] * SHAPE[1])
    assert series.ratio_map.hash_hex == sent["map_hash"]
    mine = next(port for port in found if port["url"] == url)
    assert mine["board"]["width"] == SHAPE[1]
    assert "emulator" in mine["board"]["features"]


def test_emulate_on_tcp_with_a_map_from_the_start(run):
    with emulated("--tcp", 0, "--map", "tile-2of16", "--profile", "scamp5") as board:
        assert board["url"].startswith("socket://127.0.0.1:")
        with Board.open(board["url"]) as opened:
            assert opened.info.bits == 8


def test_words_for_people(run):
    with on_tcp() as server:
        out = run("upload", "tile-2of16", "--port", server.url).out
        assert "2.00 measurements per pixel" in out
        assert "was already active" in run("upload", "tile-2of16", "--port", server.url).out
        assert "3 windows" in run("capture", "--port", server.url, "-o", "a", "-n", 3).out
        assert "SIMULATED" in run("ports", "--port", server.url).out


def test_a_map_from_a_file_is_known_to_a_later_capture(run, tmp_path):
    make_map().save(tmp_path / "map.npz")
    with on_tcp() as server:
        run("upload", "map.npz", "--port", server.url)
        run("capture", "--port", server.url, "-o", "a")
    (series,) = Capture.load(tmp_path / "a").series
    assert series.ratio_map.hash() == make_map().hash()


def test_a_capture_under_an_unknown_map_says_what_to_do(run, tmp_path):
    with on_tcp(make_board(ratio_map=make_map())) as server:
        ran = run("capture", "--port", server.url, "-o", "a", code=1)
        assert "--map" in ran.err
        make_map().save(tmp_path / "map.npz")
        run("capture", "--port", server.url, "-o", "a", "--map", "map.npz")
    with on_tcp() as server:
        ran = run("capture", "--port", server.url, "-o", "b", code=1)
        assert "upload one" in ran.err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("upload", "tile-2of16", "--port", "/dev/ttyNONE", "--wait", "0"), 1),
        (("upload", "nothing.npz", "--port", "/dev/ttyNONE", "--wait", "0"), 2),
        (
            (
                "capture",
                "--port",
                "/dev/ttyNONE",
                "--wait",
                "0",
                "-o",
                "there",
                "--map",
                "tile-2of16",
            ),
            2,
        ),
        (("capture", "--port", "/dev/null", "-o", "x", "--json"), 1),
        (("emulate", "--scene", "nothing.mp4"), 2),
        (("emulate", "--profile", "nothing"), 2),
    ],
)
def test_failures_are_one_sentence(run, tmp_path, words, code):
    (tmp_path / "there").mkdir()
    ran = run(*words, code=code)
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ("upload", "tile-2of16"),
        ("capture", "--port", "x"),
        ("capture", "--port", "x", "-o", "y", "-n", "0"),
        ("emulate", "--size", "256"),
        ("emulate", "--tcp", "1", "--link", "x"),
    ],
)
def test_wrong_usage_is_exit_code_2(run, words):
    run(*words, code=2)


def test_ctrl_c_leaves_the_board_idle_and_keeps_the_whole_windows(run, tmp_path):
    with on_pty(make_board(slot_rate_hz=160)) as server:
        capture = start(
            "capture", "--port", server.url, "-o", "a", "-n", 1000, "--map", "tile-2of16"
        )
        wait_until(lambda: list(tmp_path.glob(".a.*/readouts-0.npy")), 30)
        time.sleep(0.3)
        capture.send_signal(signal.SIGINT)
        _, complaints = capture.communicate(timeout=STOP_TIMEOUT_S)
        assert capture.returncode == 130
        (series,) = Capture.load(tmp_path / "a").series
        assert complaints.splitlines()[-1] == (
            f"stopped: {len(series)} of 1000 windows had come, and are kept in a"
        )
        assert 0 < len(series) < 1000
        with Board.open(server.url) as board:
            assert board.status().state is BoardState.IDLE
            assert board.status().map_hash != bytes(32)
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"a"}


def test_ctrl_c_before_the_first_window_keeps_nothing_and_says_so(run, tmp_path):
    with on_pty(make_board(slot_rate_hz=0.5)) as server:
        capture = start("capture", "--port", server.url, "-o", "a", "--map", "tile-2of16")
        wait_until(lambda: list(tmp_path.glob(".a.*")), 30)
        time.sleep(0.3)
        capture.send_signal(signal.SIGINT)
        _, complaints = capture.communicate(timeout=STOP_TIMEOUT_S)
    assert capture.returncode == 130
    assert complaints.splitlines()[-1] == "stopped: nothing is kept"
    assert not (tmp_path / "a").exists()


def test_a_capture_goes_on_after_the_line_was_cut(run, tmp_path):
    with on_tcp() as server, Proxy(server.address) as proxy:
        proxy.cut(60_000)
        ran = run("capture", "--port", proxy.url, "-o", "a", "-n", 40, "--map", "tile-2of16")
    assert "is back" in ran.err
    (series,) = Capture.load(tmp_path / "a").series
    assert series.numbers.tolist() == list(range(40))
