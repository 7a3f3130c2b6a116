"""focalloop in the folder of a user who has modules of the names that it uses inside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import Running

SCRIPT = (str(Path(sys.executable).with_name("focalloop")),)
"""The command as installed; `python -m` would put the folder first on the path itself."""


@pytest.fixture
def folder(tmp_path):
    """A folder of modules that must not be imported."""
    for name in ("models.py", "calibration.py", "serial.py", "host/__init__.py", "benchmarks.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise RuntimeError('the own module ' + __name__ + ' ran')\n")
    return tmp_path


def run(*words, cwd):
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=90)


def test_live_shows_its_first_picture(folder):
    words = ("live", "--no-open", "--http-port", "0")
    with Running(*words, command=SCRIPT, cwd=folder) as live:
        assert live.document["first_picture_s"] > 0
        assert live.children()
    assert "own module" not in live.complaints


def test_an_emulated_board_takes_the_commands_of_another_process(folder):
    with Running("emulate", "--size", "64x64", command=SCRIPT, cwd=folder) as board:
        words = ("--port", board.url, "--json")
        for command in (("upload", "tile-2of16"), ("capture", "-n", "2", "-o", "night")):
            done = run(*SCRIPT, *command, *words, cwd=folder)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)


@pytest.mark.parametrize("words", [("train", "--help"), ("export", "--help"), ("--version",)])
def test_commands_of_models_start(folder, words):
    done = run(*SCRIPT, *words, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_the_door_opens_although_python_looks_in_the_folder_first(folder):
    program = """
from focalloop import *
window = Emulator(RatioMap.uniform(2, (16, 16)), "paper").capture(np.zeros((16, 16, 16), "u1"))
assert Bundle.load("edge-universal-int8").reconstruct(window).shape == (16, 16, 16)
try:
    Board.open("/dev/ttyNONE")
except PortError as error:
    print(error)
"""
    done = run(sys.executable, "-c", "import numpy as np" + program, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"{folder / 'serial.py'} hides the library pyserial" in done.stdout
