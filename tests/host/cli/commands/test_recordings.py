"""Recordings on the command line: made, ended, reconstructed and calibrated from."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.cli.board_memory import remember
from focalloop.host.cli.preview_run import recordings_of
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.recording.mcap_file import unfinished
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.store import RecordingStore
from focalloop.host.recording.writer import RecordingWriter
from tests.support.command_line import complaint, run
from tests.support.made_calibration import make_calibration
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.running import FOCALLOOP, STOP_TIMEOUT_S
from tests.support.served import SHAPE, make_board, on_pty, on_tcp


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_finish_the_file(tmp_path, number):
    path = tmp_path / "a.mcap"
    with on_pty() as server:
        words = ["record", "--port", server.url, "--map", "tile-2of16", "-o", str(path)]
        process = subprocess.Popen(
            [*FOCALLOOP, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            while not any(tmp_path.glob("*.unfinished")):
                assert process.poll() is None, process.stderr.read()
            while next(tmp_path.glob("*.unfinished")).stat().st_size < 10_000:
                pass
        finally:
            process.send_signal(number)
        out, errors = process.communicate(timeout=STOP_TIMEOUT_S)
    assert process.returncode == 0, errors
    assert out.startswith(f"wrote {path}: ")
    assert "Traceback" not in errors
    with Recording(path) as recording:
        assert recording.finished
        assert recording.check() == ()
        assert len(recording) > 0


def test_a_recording_ends_after_so_many_windows_and_holds_its_note(tmp_path):
    path = tmp_path / "a.mcap"
    with on_tcp() as server:
        words = ("--map", "tile-2of16", "-n", 3, "--note", "lens 2", "--pictures", "--json")
        made = run("record", "--port", server.url, "-o", path, *words)
        assert made.exit_code == 0, made.stderr
        assert json.loads(made.stdout)["windows"] == 3
        again = run("record", "--port", server.url, "-o", path, "-n", 1)
        assert again.exit_code == 2
        assert "exists already" in complaint(again)
    told = json.loads(run("recording", "info", path, "--json").stdout)
    assert (told["windows"], told["gaps"], told["notes"]) == (3, 0, ["lens 2"])
    assert (told["finished"], told["damage"]) == (True, [])
    assert told["board"] == {"name": "focalloop emulator", "serial": "virtual"}


def test_what_is_kept_of_a_board_is_recorded_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pattern = draw_pattern("scamp5", SHAPE, 1, serial="bench 1")
    remember(make_calibration(profile=preset("scamp5")), pattern)
    path = tmp_path / "a.mcap"
    with on_tcp(make_board(profile="scamp5", serial="bench 1")) as server:
        made = run("record", "--port", server.url, "--map", "tile-2of16", "-n", 2, "-o", path)
        assert made.exit_code == 0, made.stderr
    with Recording(path) as recording:
        np.testing.assert_array_equal(recording.pattern().offset, pattern.offset)
        assert recording.profile() == preset("scamp5")
    made = [tmp_path / name for name in ("recorded.npz", "told.npz", "none.npz")]
    pattern.save(tmp_path / "pattern.npz")
    told = ("--profile", "scamp5", "--correction", tmp_path / "pattern.npz")
    for output, more in zip(made, ((), told, ("--profile", "scamp5")), strict=True):
        words = ("--bundle", "network-free", "-o", output, "--json")
        result = run("reconstruct", path, *words, *more)
        assert json.loads(result.stdout)["corrected"] == (output.stem != "none")
    recorded, asked_for, uncorrected = (np.load(output)["video"] for output in made)
    np.testing.assert_array_equal(recorded, asked_for)
    assert not np.array_equal(recorded, uncorrected)


def test_reconstruct_takes_a_recording_as_it_takes_a_capture(tmp_path):
    write_recording(tmp_path / "a.mcap")
    exported = run(
        "recording", "export", tmp_path / "a.mcap", "--to", "capture", "-o", tmp_path / "c"
    )
    assert exported.exit_code == 0, exported.stderr
    for source, made in (("a.mcap", "from-recording.npz"), ("c", "from-capture.npz")):
        words = (tmp_path / source, "--bundle", "network-free", "-o", tmp_path / made)
        assert run("reconstruct", *words).exit_code == 0
    with (
        np.load(tmp_path / "from-recording.npz") as one,
        np.load(tmp_path / "from-capture.npz") as other,
    ):
        np.testing.assert_array_equal(one["video"], other["video"])
    refused = run(
        "reconstruct", tmp_path / "a.mcap", "--map", "tile-2of16", "-o", tmp_path / "x.mp4"
    )
    assert refused.exit_code == 2


def test_a_folder_is_listed_pinned_noted_and_indexed(tmp_path):
    store = RecordingStore(tmp_path)
    write_recording(path := store.new())
    where = ("--recordings", tmp_path)
    pinned = run("recording", "pin", path.stem, *where, "--json")
    assert json.loads(pinned.stdout) == {"id": path.stem, "pinned": True}
    assert run("recording", "note", path.stem, "lens 2", *where).exit_code == 0
    (line,) = run("recording", "list", *where).stdout.splitlines()
    assert line.startswith(f"{path.stem}  3 windows in ")
    assert line.endswith("pinned  lens 2")
    assert run("recording", "unpin", path.stem, *where).exit_code == 0
    (listed,) = json.loads(run("recording", "list", *where, "--json").stdout)["recordings"]
    assert (listed["id"], listed["pinned"], listed["note"]) == (path.stem, False, "lens 2")
    indexed = json.loads(run("recording", "reindex", *where, "--json").stdout)
    assert indexed == {"folder": str(tmp_path), "recordings": 1}
    refused = run("recording", "pin", "../x", *where)
    assert refused.exit_code == 1
    assert "there is no such recording" in complaint(refused)


def test_a_lab_is_indexed_board_by_board(tmp_path):
    write_recording(RecordingStore(tmp_path / "kept" / "north").new())
    boards = "".join(f"[boards.{name}]\nport = '{name}'\n" for name in ("north", "south"))
    (tmp_path / "lab.toml").write_text(f"[lab]\nrecordings = 'kept'\n{boards}")
    indexed = run("lab", "reindex", tmp_path / "lab.toml")
    assert indexed.stdout.splitlines() == ["north: 1 recording", "south: 0 recordings"]
    assert run("lab", "reindex", tmp_path / "none.toml").exit_code == 1


def test_nothing_is_scored_without_its_scene(tmp_path):
    write_recording(tmp_path / "a.mcap")
    refused = run("evaluate", tmp_path / "a.mcap")
    assert refused.exit_code == 1
    assert "without the scenes that scores are against" in complaint(refused)


def test_each_window_is_reconstructed_by_what_suits_its_map(tmp_path):
    shape = (64, 64)
    maps = [RatioMap.from_tile([[1, 2]], shape), Bundle.load().ratio_map.tiled_to(*shape)]
    board = replace(BOARD, height=64, width=64)
    windows = [make_window(number, maps[number % 2], board=board) for number in range(3)]
    videos, names = {}, {}
    for name, taken in (("both", windows), ("first", windows[::2]), ("second", windows[1::2])):
        with RecordingWriter(tmp_path / f"{name}.mcap", board, floor_bytes=0) as writer:
            for window in taken:
                writer.add(window)
        output = tmp_path / f"{name}.npz"
        made = run("reconstruct", tmp_path / f"{name}.mcap", "-o", output, "--json")
        assert made.exit_code == 0, made.stderr
        names[name] = json.loads(made.stdout)["bundle"]
        videos[name] = np.load(output)["video"]
    assert names["first"] != names["second"]
    assert names["both"] == f"{names['first']} and {names['second']}"
    np.testing.assert_array_equal(videos["both"][::2], videos["first"])
    np.testing.assert_array_equal(videos["both"][1::2], videos["second"])


def test_a_service_finishes_what_was_cut_off(tmp_path, capsys):
    path = RecordingStore(tmp_path).new()
    write_recording(path)
    cut = unfinished(path)
    path.rename(cut)
    cut.write_bytes(cut.read_bytes()[:-200])
    (found,) = recordings_of(tmp_path).recordings()
    assert (found.id, found.summary.windows, found.summary.finished) == (path.stem, 3, True)
    assert "was cut off, and is finished" in " ".join(capsys.readouterr().err.split())


def test_damage_is_told_and_the_rest_is_reconstructed(tmp_path):
    path = tmp_path / "a.mcap"
    write_recording(path)
    path.rename(cut := tmp_path / "a.mcap.unfinished")
    cut.write_bytes(cut.read_bytes()[:-200])
    made = run("reconstruct", cut, "--bundle", "network-free", "-o", tmp_path / "v.npz")
    assert made.exit_code == 0, made.stderr
    assert "it was cut off" in " ".join(made.stderr.split())
    recovered = run("recording", "recover", cut)
    assert recovered.exit_code == 0
    assert path.exists()
    assert not cut.exists()
