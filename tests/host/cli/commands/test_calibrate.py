"""`focalloop calibrate`: known parameters come back, and what cannot be calibrated is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from focalloop.calibration.files.emva import DESCRIPTOR, read_emva
from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.scenes.scene import open_scene
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.firmware import VirtualFirmware
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.board.client import Board
from focalloop.host.captures.capture import Capture, sha256_of
from focalloop.host.cli.board_memory import recall
from focalloop.host.cli.emulator_process import EmulatorProcess
from focalloop.host.cli.main import main
from focalloop.host.cli.output import console
from focalloop.host.recording.recording import Recording
from tests.support.made_windows import BOARD
from tests.support.served import on_pty, on_tcp

SHAPE = (96, 96)

TRUE = NoiseProfile(
    name="known",
    bits=10,
    black_level_dn=60.0,
    full_scale_dn=900.0,
    shot="gaussian",
    s_ss=8e-3,
    s_r=4e-3,
    prnu=0.01,
    pixel_offset=2e-3,
)


def emulated(profile=TRUE, seed=5):
    def scene(text):
        return open_scene(text, *SHAPE)

    return VirtualBoard(
        scene("synthetic"), BoardSettings(profile=profile, seed=seed), open_scene=scene
    )


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Captures of the known board, kept by a calibration over a pty, and what that printed."""
    folder = tmp_path_factory.mktemp("night")
    with on_pty(emulated()) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        words = ["calibrate", "--port", server.url, "-o", str(folder / "profile.json")]
        words += ["--report", str(folder / "report.html"), "--keep", str(folder / "kept")]
        patch.setattr(sys, "argv", ["focalloop", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
    return folder


def assert_known(document):
    """Every parameter of the known board lies in the interval of its estimate."""
    truth = {
        "s_ss": TRUE.s_ss,
        "s_r": TRUE.s_r,
        "gain_dn_per_electron": TRUE.s_ss**2 * TRUE.full_scale_dn,
        "prnu": TRUE.prnu,
        "dsnu_dn": TRUE.pixel_offset * TRUE.full_scale_dn,
    }
    for name, value in truth.items():
        low, high = document["estimates"][name]["ci95"]
        assert low <= value <= high, f"{name}: {low} … {high}, true {value}"
        assert (high - low) < 0.1 * value, f"the interval of {name} says something"
    black = document["estimates"]["black_level_dn"]["value"]
    assert black == pytest.approx(TRUE.black_level_dn, abs=0.2)


def test_known_parameters_come_back_over_the_serial_line(night):
    """Seed 5, 20 windows of 96x96."""
    document = json.loads((night / "profile.json").read_text())
    assert_known(document)
    assert document["provenance"]["board"]["name"] == "focalloop emulator"
    assert "<html" in (night / "report.html").read_text()


@pytest.mark.parametrize("design", ["lights", "tiled"])
def test_other_designs_find_them_too(run, design):
    with on_tcp(emulated(seed=11)) as server:
        words = ("--port", server.url, "--design", design, "--reads", 6, "--json")
        assert_known(json.loads(run("calibrate", *words).out))


def test_a_kept_capture_gives_the_same_profile(run, night):
    first = json.loads((night / "profile.json").read_text())
    again = json.loads(run("calibrate", night / "kept", "--json").out)
    assert again["estimates"] == first["estimates"]
    assert again["parameters"] == first["parameters"]
    assert len(Capture.load(night / "kept").series) == 9


def test_the_map_that_the_board_ran_is_put_back_after_a_tiled_design(run):
    with on_tcp(emulated()) as server:
        sent = json.loads(run("upload", "tile-2of16", "--port", server.url, "--json").out)
        run("calibrate", "--port", server.url, "--design", "tiled", "--reads", 2)
        with Board.open(server.url) as board:
            assert board.status().map_hash.hex() == sent["map_hash"]


def test_emulate_and_live_run_with_the_profile(run, night):
    """Both start `focalloop emulate --profile FILE`; what came out goes in, and comes out again."""
    profile = NoiseProfile.load(night / "profile.json")
    emulator = EmulatorProcess(f"--profile={night / 'profile.json'}", "--size=96x96", "--seed=6")
    try:
        again = json.loads(run("calibrate", "--port", emulator.start(), "--json").out)
    finally:
        emulator.stop()
    assert again["parameters"]["bits"] == TRUE.bits
    assert again["estimates"]["s_ss"]["value"] == pytest.approx(profile.s_ss, rel=0.05)
    assert again["estimates"]["s_r"]["value"] == pytest.approx(profile.s_r, rel=0.02)


def test_a_host_for_a_real_board_never_loads_the_emulator(night):
    program = (
        "import sys; from focalloop.host.cli.main import app; "
        f"app(['calibrate', {str(night / 'kept')!r}, '--json'], standalone_mode=False); "
        "assert 'focalloop.calibration.estimator' in sys.modules; "
        "assert not {'numba', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_words_for_people(run, night):
    out = run("calibrate", night / "kept", "-o", "p.json").out
    assert "s_ss" in out
    assert "95 % interval" in out
    assert "wrote p.json" in out


def test_both_protocols_are_there(run, night):
    fits = [
        json.loads(run("calibrate", night / "kept", "--protocol", name, "--json").out)
        for name in ("default", "emva")
    ]
    assert fits[0]["provenance"]["protocol"] != fits[1]["provenance"]["protocol"]
    values = [fit["estimates"]["s_ss"]["value"] for fit in fits]
    assert values[0] != values[1]
    assert values == pytest.approx([TRUE.s_ss] * 2, rel=0.05)


def test_an_exported_descriptor_is_calibrated_from_again(run, night):
    run("calibrate", night / "kept", "--export-emva", "set")
    exported = read_emva(f"set/{DESCRIPTOR}")
    assert len(exported.levels) == 9
    # Signal 1.0 of a descriptor is saturation, unless one says otherwise.
    for words in (("set", "--full-scale", 900), (f"set/{DESCRIPTOR}", "--full-scale", 900)):
        document = json.loads(run("calibrate", *words, "--json").out)
        assert document["estimates"]["s_ss"]["value"] == pytest.approx(TRUE.s_ss, rel=0.05)
    run("calibrate", night / "kept", "--export-emva", "set", code=2)


def test_the_error_of_the_full_scale_widens_the_intervals(run, night):
    widths = []
    for error in (0, 0.05):
        words = ("calibrate", night / "kept", "--full-scale-error", error, "--json")
        low, high = json.loads(run(*words).out)["estimates"]["s_r"]["ci95"]
        widths.append(high - low)
    assert widths[1] > 0.05 * 2 * 1.9 * TRUE.s_r > widths[0]


def test_disk_to_profile_takes_a_second_at_most(run, tmp_path):
    """24 planes of 256x256: what the README's budget asks, hashing and all."""
    with on_tcp(
        VirtualBoard(open_scene("synthetic", 256, 256), BoardSettings(profile=TRUE))
    ) as server:
        words = ("--port", server.url, "--design", "lights", "--keep", tmp_path / "kept")
        run("calibrate", *words)
    from focalloop.calibration import calibrate
    from focalloop.host.captures.calibration_readings import readings_of

    taken = []
    for _ in range(3):
        started = time.process_time()  # other programs may run beside the tests
        calibrate(readings_of([Capture.load(tmp_path / "kept")]))
        taken.append(time.process_time() - started)
    assert min(taken) <= 1.0


# The correction of single pixels.


PATTERN = draw_pattern(TRUE, SHAPE, 5, defects=0.01, serial="bench/7")


@pytest.fixture(scope="module")
def patterned(tmp_path_factory):
    """Captures of a board with defects and a serial number, and what its calibration printed."""
    folder = tmp_path_factory.mktemp("patterned")
    settings = BoardSettings(profile=TRUE, seed=2, pattern=PATTERN, serial=PATTERN.serial)
    board = VirtualBoard(open_scene("synthetic", *SHAPE), settings)
    with on_pty(board) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        words = ["calibrate", "--port", server.url, "--remember", "--keep", str(folder / "kept")]
        words += ["--correction", str(folder / "correction.npz"), "-o", str(folder / "p.json")]
        patch.setattr(sys, "argv", ["focalloop", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
    return folder


def test_the_correction_of_a_board_comes_back(patterned):
    found = FixedPattern.load(patterned / "correction.npz")
    assert found.serial == "bench/7"
    np.testing.assert_array_equal(found.defects, PATTERN.defects)
    good = PATTERN.defects == 0
    assert (found.offset - PATTERN.offset)[good].std() < 0.6 * TRUE.pixel_offset
    document = json.loads((patterned / "p.json").read_text())
    assert document["defects"] == {"hot": 31, "dead": 31, "stuck": 30}
    assert_known(document)


def test_what_is_remembered_of_a_board_is_recalled_by_its_serial_number(patterned, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(patterned / "state"))
    board = replace(BOARD, serial="bench/7", height=SHAPE[0], width=SHAPE[1])
    board = replace(board, bits=TRUE.bits, full_scale_dn=TRUE.full_scale_dn)
    known = recall(board)
    assert known.profile == NoiseProfile.load(patterned / "p.json")
    np.testing.assert_array_equal(known.pattern.defects, PATTERN.defects)
    assert recall(replace(board, serial="bench/8")) is None


def test_nothing_is_kept_for_a_board_that_cannot_be_told_from_others(run, night):
    with on_tcp(emulated()) as server:
        err = run("calibrate", "--port", server.url, "--remember", "-o", "p.json", code=1).err
    assert "serial number is 'virtual'" in err
    words = ("--remember", "-o", "p.json")
    assert "'virtual'" in run("calibrate", night / "kept", *words, code=1).err
    assert not Path("p.json").exists()


def test_places_that_cannot_be_written_are_told_before_anything_is_taken(run, tmp_path):
    ran = run("calibrate", "--port", "/dev/ttyNONE", "--wait", "0", "-o", "no/p.json", code=2)
    assert "make no first" in ran.err
    ran = run("calibrate", "--port", "/dev/ttyNONE", "--wait", "0", "--report", tmp_path, code=2)
    assert "is a folder" in ran.err
    words = ("calibrate", "--port", "/dev/ttyNONE", "--wait", "0", "-o", "found")
    ran = run(*words, "--correction", "./found", code=2)
    assert "found is to be written twice" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("kept", "--port", "x"),
        ("kept", "--protocol", "mine"),
        ("--port", "x", "--reads", "1"),
        ("--port", "x", "--design", "none"),
        ("--port", "x", "--design", "tiled", "--export-emva", "set"),
        ("kept", "--full-scale", "0"),
        ("kept", "--light", "0.5"),
        ("--port", "x", "--bits", "12"),
        ("kept", "--bits", "17"),
    ],
)
def test_wrong_usage_is_exit_code_2(run, words):
    run("calibrate", *words, code=2)


@pytest.fixture
def bench(monkeypatch):
    """A board that takes dark and flat captures, and says that it is real."""
    identity = VirtualFirmware._identity

    def real(firmware):
        hello = HelloAnswer.unpack(identity(firmware))
        return replace(hello, features=Feature.CALIBRATION).pack()

    monkeypatch.setattr(VirtualFirmware, "_identity", real)
    with on_tcp(emulated()) as server:
        yield server


def test_captures_are_not_told_their_bits(run, night):
    assert "captures name theirs" in run("calibrate", night / "kept", "--bits", 8, code=2).err


def test_a_recording_is_kept_and_read_like_captures(run, bench):
    words = ("--reads", 2, "--board-sets-light", "--json")
    taken = run("calibrate", "--port", bench.url, "--keep", "kept.mcap", *words)
    read = run("calibrate", "kept.mcap", "--json")
    assert json.loads(read.out)["parameters"] == json.loads(taken.out)["parameters"]
    (source,) = json.loads(read.out)["provenance"]["captures"]
    assert source == {"file": "kept.mcap", "sha256": sha256_of(Path("kept.mcap"))}
    with Recording("kept.mcap") as recording:
        assert {each.light for each in recording.recorded_windows()} == {0.0, 0.9, 0.675}


def test_a_real_board_needs_somebody_at_the_lamp(run, bench, monkeypatch, tmp_path):
    """No terminal, no person: nothing is taken until one says that the board lights itself."""
    words = ("calibrate", "--port", bench.url, "--reads", 2, "--keep", "kept", "--json")
    monkeypatch.setattr(sys, "stdin", (tmp_path / "nobody").open("w+"))
    assert "--board-sets-light" in run(*words, code=1).err
    assert not (tmp_path / "kept").exists()
    run(*words, "--board-sets-light")
    assert {series.light for series in Capture.load("kept").series} == {0.0, 0.9, 0.675}


def test_a_person_is_told_what_to_do_and_waited_for(run, bench, monkeypatch):
    told = []
    monkeypatch.setattr(console, "_force_terminal", True)
    monkeypatch.setattr(sys, "stdin", StringIO("\n" * 3))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda: told.append(sys.stdin.readline()))
    ran = run("calibrate", "--port", bench.url, "--reads", 2, "--keep", "kept", "--json")
    assert told == ["\n"] * 3
    assert "lens cap on" in ran.err
    assert "near 870 DN" in ran.err, "60 + 0.9 of 900"
    assert {series.light for series in Capture.load("kept").series} == {0.0, None}
    assert json.loads(ran.out)["estimates"]["s_ss"]["value"] == pytest.approx(TRUE.s_ss, rel=0.1)
