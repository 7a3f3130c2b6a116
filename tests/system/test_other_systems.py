"""The main job where there are no pseudo-terminals, no POSIX signals and no POSIX descriptors.

Every process here starts with `tests/support/other_system/sitecustomize.py`.
"""

import subprocess
import sys

import pytest

from focalloop.firmware_sim.noise import NoiseProfile
from tests.support import ROOT
from tests.support.running import FOCALLOOP, START_TIMEOUT_S, Running, fails, is_running
from tests.support.waiting import wait_until

BARE = ROOT / "tests" / "support" / "other_system"
SAYS = "no pseudo-terminals"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(BARE))


@pytest.fixture
def board(bare):
    with Running("emulate", "--size", "64x48", "--slot-rate", "2000") as running:
        yield running
        code = running.stop()
    assert code == 0
    assert "Traceback" not in running.complaints


def run(*words, cwd):
    done = subprocess.run(
        [*FOCALLOOP, *words], cwd=cwd, capture_output=True, text=True, timeout=START_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_it_is_bare():
    program = "import os, signal, serial; os.read; hasattr(os, 'openpty'); signal.SIGHUP"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "No module named 'fcntl'" in done.stderr


def test_a_process_is_killed_without_the_signal():
    program = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'], "
        "stdin=subprocess.PIPE); child.kill(); print(child.wait())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "-9\n", done.stderr


def test_the_host_side_is_imported():
    names = "board.client captures.calibrate cli.main link.connection live.session service.server"
    program = "; ".join(f"import focalloop.host.{name}" for name in names.split())
    subprocess.run([sys.executable, "-c", program], check=True, timeout=START_TIMEOUT_S)


def test_a_board_is_emulated_deployed_captured_and_calibrated(board, tmp_path):
    assert board.url.startswith("socket://127.0.0.1:")
    assert SAYS in board.complaints
    run("upload", "tile-2of16", "--port", board.url, cwd=tmp_path)
    run("capture", "--port", board.url, "-o", "taken", "-n", "3", cwd=tmp_path)
    run("reconstruct", "taken", "-o", "a.npz", "--bundle", "network-free", cwd=tmp_path)
    words = ("--port", board.url, "-o", "noise.json", "--report", "noise.html")
    run("calibrate", *words, cwd=tmp_path)
    assert NoiseProfile.load(tmp_path / "noise.json").s_r > 0
    run("emulate", "--help", cwd=tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"taken", "a.npz", "noise.json", "noise.html"}


def test_live_shows_a_picture_and_ends():
    words = ("live", "--http-port", "0", "--no-open", "--bundle", "network-free")
    with Running(*words) as running:
        assert running.document["board"]["url"].startswith("socket://127.0.0.1:")
        assert running.document["first_picture_s"] > 0
        wait_until(lambda: SAYS in running.complaints)
        (emulator,) = running.children()
        assert running.stop() == 0
    wait_until(lambda: not is_running(emulator))
    assert "Traceback" not in running.complaints


def test_what_needs_a_device_is_refused():
    code, _, errors = fails("emulate", "--link", "board")
    assert code == 2
    assert "--tcp" in errors
    code, _, errors = fails("upload", "tile-2of16", "--port", "COM3")
    assert code == 1
    assert "socket://HOST:PORT" in errors
