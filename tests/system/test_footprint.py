"""What focalloop leaves on a machine and looks up, and how it runs where nothing can be written."""

import contextlib
import json
import os
import subprocess
import sys
from subprocess import PIPE

import numpy as np
import pytest

from tests.support import ROOT
from tests.support.namespaces import read_only, unshared
from tests.support.running import FOCALLOOP, START_TIMEOUT_S, Running

# Kernels are compiled; meanwhile, it is waited for what is looked up.
pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("watched")]

QUIET_S = 14.0
"""ONNX Runtime first looked its telemetry host up 9 s after it had been imported."""

DOCUMENTED = {".cache/focalloop/maps", ".cache/numba"}
"""Folders under HOME that a user's commands may write; docs/file-formats.md names them."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The home of a user whose first command compiles the kernels for all others."""
    return tmp_path_factory.mktemp("home")


def environment(home):
    """The environment of a user with this home and no settings of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    kept.pop("NUMBA_CACHE_DIR", None)
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)}


def files_under(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def undocumented(home):
    return {name for name in files_under(home) if not name.startswith(tuple(DOCUMENTED))}


PROGRAM = (
    "import time; from focalloop import Bundle; Bundle.load().reconstructor(); "
    f"print('{{}}', flush=True); time.sleep({QUIET_S})"
)

WATCHED = {
    "live": (*FOCALLOOP, "live", "--http-port", "0", "--no-open", "--size", "64x64", "--json"),
    "program": (sys.executable, "-c", PROGRAM),
}


@pytest.fixture(scope="module")
def watched(home):
    """Processes of `tests.support.looked_up` with commands, each in a network of its own."""
    alone = unshared("--mount", "--net")
    listen = [*alone, sys.executable, "-m", "tests.support.looked_up", str(QUIET_S)]
    with contextlib.ExitStack() as stack:
        running = {}
        for name, command in WATCHED.items():
            process = subprocess.Popen(
                [*listen, *command], stdout=PIPE, stderr=PIPE, text=True, env=environment(home)
            )
            running[name] = stack.enter_context(process)
            stack.callback(process.kill)
        yield running


@pytest.fixture(scope="module")
def reports(watched):
    """What they report."""
    found = {}
    for name, process in watched.items():
        printed, complaints = process.communicate(timeout=2 * START_TIMEOUT_S)
        assert process.returncode == 0, complaints
        found[name] = json.loads(printed)
        assert found[name]["heard"], "the listener of this test does not hear look-ups"
    return found


def test_commands_write_nothing_under_home_but_what_is_documented(home, tmp_path):
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (1, 16, 32, 32)).astype(np.uint8)
    np.savez(tmp_path / "clips.npz", clips=clips)
    with Running("emulate", "--size", "64x64") as board:
        for words in (
            ("upload", "tile-2of16", "--port", board.url),
            ("capture", "--port", board.url, "-o", "windows", "-n", "1"),
            ("calibrate", "--port", board.url, "-o", "noise.json", "--report", "noise.html"),
            ("reconstruct", "clips.npz", "--bundle", "edge-universal-int8", "-o", "video.npz"),
            ("map", "convert", "tile-2of16", "map.png"),
        ):
            done = subprocess.run(
                [*FOCALLOOP, *words], cwd=tmp_path, env=environment(home), capture_output=True
            )
            assert done.returncode == 0, done.stderr.decode()
    assert undocumented(home) == set()
    assert any(name.startswith(".cache/focalloop/maps/") for name in files_under(home))
    text = (ROOT / "docs" / "file-formats.md").read_text()
    assert all(f"`~/{folder}`" in text for folder in DOCUMENTED)


@pytest.fixture
def bare_home(tmp_path):
    """A home without any kernels."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def nothing_writable(bare_home):
    """Words before a command for which the installation and the home are read-only."""
    return read_only(ROOT, bare_home)


def test_kernels_are_compiled_without_a_cache_where_nothing_can_be_written(
    nothing_writable, bare_home, tmp_path
):
    np.savez(tmp_path / "clips.npz", clips=np.zeros((1, 16, 16, 16), np.uint8))
    words = [*nothing_writable, *FOCALLOOP, "evaluate", "clips.npz", "--map", "tile-2of16"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(bare_home), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: kernels are compiled without a cache") == 1
    assert "NUMBA_CACHE_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_live_passes_on_that_its_emulator_has_no_cache(nothing_writable, bare_home, monkeypatch):
    for name in set(os.environ) - set(environment(bare_home)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(bare_home))
    words = ("live", "--scene", "synthetic", "--size", "32x32", "--bundle", "network-free")
    command = (*nothing_writable, *FOCALLOOP)
    with Running(*words, "--http-port", "0", "--no-open", command=command) as running:
        assert running.state()["phase"] == "streaming"
        assert running.complaints.count("compiled without a cache") == 1
    assert "Traceback" not in running.complaints


def test_a_folder_of_the_users_choice_is_a_cache_again(nothing_writable, bare_home, tmp_path):
    cache = tmp_path / "cache"
    program = "import focalloop.firmware_sim.emulator.kernels"
    done = subprocess.run(
        [*nothing_writable, sys.executable, "-c", program],
        env=environment(bare_home) | {"NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert cache.is_dir()


def test_live_looks_nothing_up_and_leaves_the_home_empty(home, reports):
    report = reports["live"]
    assert json.loads(report["printed"])["first_picture_s"], report["complaints"]
    assert json.loads(report["printed"])["bundle"] != "network-free"  # ONNX Runtime was at work
    assert report["looked_up"] == []
    assert undocumented(home) == set()


def test_a_program_of_the_user_looks_nothing_up(home, reports):
    report = reports["program"]
    assert report["printed"].strip() == "{}", report["complaints"]
    assert report["looked_up"] == []
    assert undocumented(home) == set()
