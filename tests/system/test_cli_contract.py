"""What every `focalloop` command keeps to: an example in its help, and ``--json`` for programs."""

import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.cli.main import app, main
from tests.support.made_windows import write_recording
from tests.support.running import STOP_TIMEOUT_S

NOT_RUN_HERE = {
    "live": "runs until stopped: tests/system/test_live.py",
    "serve": "runs until stopped: tests/system/test_live.py",
    "lab serve": "runs until stopped: tests/host/lab",
    "lab boards": "needs a lab: tests/host/lab",
    "lab reload": "needs a lab: tests/host/lab",
    "lab lease": "needs a lab: tests/host/lab",
    "lab renew": "needs a lab: tests/host/lab",
    "lab release": "needs a lab: tests/host/lab",
    "lab takeover": "needs a lab: tests/host/lab",
    "lab line": "needs a lab: tests/host/lab",
    "lab reindex": "needs a lab: tests/host/cli/commands/test_recordings.py",
    "recording list": "needs a store: tests/host/cli/commands/test_recordings.py",
    "recording pin": "needs a store: tests/host/cli/commands/test_recordings.py",
    "recording unpin": "needs a store: tests/host/cli/commands/test_recordings.py",
    "recording note": "needs a store: tests/host/cli/commands/test_recordings.py",
    "recording reindex": "needs a store: tests/host/cli/commands/test_recordings.py",
    "train": "takes minutes: tests/models",
    "export": "needs a training run: tests/models",
    "data build": "needs pictures from packages: tests/models",
    "data nfs": "needs the data set: tests/models/data/test_nfs.py",
    "data test-set": "needs videos from packages: tests/models/data/test_test_set.py",
    "radio train semcom": "takes minutes: tests/models/radio",
    "radio train ran": "takes minutes: tests/models/radio",
    "radio train jscc": "takes minutes: tests/models/radio",
    "radio train codec": "takes minutes: tests/models/radio",
    "radio train joint": "takes minutes: tests/models/radio",
    "radio bundle": "needs a training run: tests/models/radio",
    "radio export": "needs networks of a link: tests/host/cli/commands/radio",
    "radio decode": "needs a compressed file: tests/host/cli/commands/radio",
    "radio import": "needs a recording: tests/host/cli/commands/radio",
    "data demo-clip": "needs a video from a package: tests/models/data/test_test_set.py",
    "adaptive train": "takes minutes: tests/models/cli/test_adaptive_train.py",
}

RUNS = {
    "radio encode": "radio encode clips.npz -o windows.flr",
    "bundles": "bundles",
    "ports": "ports --port {board}",
    "upload": "upload tile-2of16 --port {board}",
    "capture": "capture --port {board} --map tile-2of16 -o readouts -n 1",
    "record": "record --port {board} --map tile-2of16 -o made.mcap -n 2",
    "recording info": "recording info taken.mcap",
    "recording export": "recording export taken.mcap --to npz -o taken.npz",
    "recording recover": "recording recover taken.mcap -o again.mcap",
    "calibrate": "calibrate --port {board} -o profile.json",
    "evaluate": "evaluate clips.npz --map tile-2of16",
    "reconstruct": "reconstruct clips.npz --map tile-2of16 -o video.npz",
    "radio send": "radio send clips.npz --method linear",
    "map show": "map show tile-2of16",
    "map convert": "map convert map.png back.npz",
    "map schedule": "map schedule tile-2of16",
    "map suggest": "map suggest clips.npz --windows 2",
    "map export": "map export tile-2of16 --target scamp5 -o program",
    "map make fixed": "map make fixed 2 -o fixed.npz",
    "map make tile": "map make tile 4,1/1,2 -o mine.npz",
    "map make random": "map make random --r-avg 0.125 -o random.npz",
    "map make png": "map make png map.png -o painted.npz",
}
"""Words of a run of each command that ends by itself; `emulate` is running while these do."""


def leaves(command, path=()):
    """Map the words of every command that does something to its entry in the command tree."""
    if not hasattr(command, "list_commands"):
        return {" ".join(path): command}
    found = {}
    context = typer.Context(command)
    for name in command.list_commands(context):
        found |= leaves(command.get_command(context, name), (*path, name))
    return found


ENTRIES = leaves(typer.main.get_command(app))
COMMANDS = {path: entry.load() for path, entry in ENTRIES.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with clips, a recording and a map."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(5)
    np.savez(folder / "clips.npz", clips=rng.integers(0, 256, (2, 16, 32, 32)).astype(np.uint8))
    write_recording(folder / "taken.mcap")
    RatioMap.from_tile(NAMED_TILES["tile-2of16"], (32, 32)).save(folder / "map.png")
    return folder


@pytest.fixture
def run(files, tmp_path, monkeypatch, capsys):
    """Run `focalloop` in a copy of `files`; give the exit code, output and errors."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["focalloop", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def board():
    """URL of a board that `focalloop emulate --json` serves, read from the document it prints."""
    command = [sys.executable, "-m", "focalloop"]
    command += ["emulate", "--json", "--size", "32x32"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        yield json.loads(text)["url"]
    finally:
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=STOP_TIMEOUT_S)
    assert rest == ""
    assert "Traceback" not in complaints


def test_every_command_is_run_here_or_elsewhere():
    named = {*RUNS, *NOT_RUN_HERE, "emulate"}
    assert set(COMMANDS) <= named


@pytest.mark.parametrize("path", COMMANDS)
def test_help_shows_an_example_that_the_command_takes(path, run):
    code, text, _ = run(*path.split(), "--help")
    assert code == 0
    assert "Example" in text
    command = COMMANDS[path]
    examples = re.findall(r"Example:\s+(focalloop .+?)(?=\n\s*\n|\Z)", command.help or "", re.S)
    assert examples
    for example in examples:
        words = shlex.split(example)
        own = len(path.split()) + 1
        assert words[:own] == ["focalloop", *path.split()]
        # The parser refuses options it does not know and options that lack their value.
        parser = command.make_parser(typer.Context(command))
        given, _, _ = parser.parse_args(words[own:])
        missing = [p.name for p in command.params if p.required and given.get(p.name) is None]
        assert not missing


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_is(path):
    command = COMMANDS[path]
    unexplained = [p.name for p in command.params if not getattr(p, "help", None)]
    assert not unexplained
    assert "--json" in {option for p in command.params for option in p.opts}


def named_beyond_ascii(word):
    """A file's name with letters of several scripts and a byte that is no text."""
    name, dot, suffix = word.partition(".")
    if suffix in {"npz", "png", "json"} or word in {"readouts", "program"}:
        return f"{name}-é▓日\udcff{dot}{suffix}"
    return word


@pytest.mark.parametrize(("encoding", "json_wanted"), [("ascii", True), ("cp1252", False)])
@pytest.mark.parametrize("path", [*RUNS, "failure", "usage", "help"])
def test_output_to_any_encoding_is_whole(path, encoding, json_wanted, run, board, monkeypatch):
    for name in ("clips.npz", "map.png"):
        Path(name).rename(named_beyond_ascii(name))
    lines = RUNS | {
        "failure": "calibrate nowhere.json",
        "usage": "map show nowhere.npz",
        "help": "calibrate --help",
    }
    words = [named_beyond_ascii(word) for word in lines[path].format(board=board).split()]
    streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
    for name, stream in zip(("stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, stream)
    code, _, _ = run(*words, *(["--json"] if json_wanted else []))
    for stream in streams:
        stream.flush()
    out, errors = (stream.buffer.getvalue().decode(encoding) for stream in streams)
    assert code == {"failure": 2, "usage": 2}.get(path, 0), errors
    assert "Traceback" not in errors
    if path in ("failure", "usage"):
        assert "nowhere-" in errors
    elif json_wanted and path != "help":
        assert isinstance(json.loads(out), dict)  # and nothing else
    else:
        assert out.strip()


@pytest.mark.parametrize(
    "words",
    [
        "map show nowhere.npz",
        "map make tile 4,x -o mine.npz",
        "evaluate nowhere.npz --map tile-2of16",
        "evaluate clips.npz --bundle nowhere",
        "reconstruct nowhere.npz --map tile-2of16 -o video.npz",
        "upload tile-2of16 --port /dev/nowhere --wait 0",
        "capture --port /dev/nowhere --wait 0 -o readouts",
        "calibrate --port /dev/nowhere --wait 0 -o profile.json --keep readouts",
        "calibrate nowhere -o profile.json --report report.html",
        "emulate --scene nowhere.mp4",
        "data test-set --sources .",
    ],
)
def test_a_failure_is_one_sentence_on_standard_error(words, run, tmp_path):
    before = sorted(tmp_path.iterdir())
    code, out, errors = run(*words.split(), "--json")
    assert (code, out) in {(1, ""), (2, "")}
    assert len(errors.strip().splitlines()) == 1 or code == 2
    assert "Traceback" not in errors
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "cache"] == before


@pytest.mark.parametrize("path", COMMANDS)
def test_wrong_usage_exits_with_2(path, run):
    code, out, errors = run(*path.split(), "--no-such-option")
    assert (code, out) == (2, "")
    assert "--no-such-option" in errors
