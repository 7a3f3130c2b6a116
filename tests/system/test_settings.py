"""Every setting is checked before anything starts: wrong ones are one sentence, exit code 2."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.board.client import Board
from focalloop.host.captures.capture import MANIFEST
from focalloop.host.cli.emulator_process import EmulatorProcess
from focalloop.host.cli.main import main
from focalloop.models.cli.extra import PACKAGES

LIVE = "live --no-open --http-port 0"
CAPTURE = "capture --port somewhere -o new"

WRONG = [
    (f"{LIVE} --bundle nosuch", "no bundle 'nosuch'"),
    (f"{LIVE} --bundle notes.txt", "notes.txt"),
    (f"{LIVE} --map nosuch", "no ratio map 'nosuch'"),
    (f"{LIVE} --map zeros.npz", "measures nothing"),
    (f"{LIVE} --map shut.npz", "never opens"),
    (f"{LIVE} --size 10", "WIDTHxHEIGHT"),
    (f"{LIVE} --size 0x8", "not 0x8"),
    (f"{LIVE} --size 40x40 --map odd.npz", "40x40"),
    (f"{LIVE} --scene nosuch.mp4", "nosuch.mp4"),
    (f"{LIVE} --scene notes.txt", "notes.txt"),
    (f"{LIVE} --scene camera:front", "camera:0"),
    (f"{LIVE} --scene camera:87", "camera 87"),
    (f"{LIVE} --profile nosuch", "no noise profile 'nosuch'"),
    (f"{LIVE} --profile notes.txt", "notes.txt"),
    (f"{LIVE} --slot-rate nan", "--slot-rate"),
    (f"{LIVE} --slot-rate inf", "inf is not a finite number"),
    ("serve --port somewhere --bundle nosuch", "no bundle 'nosuch'"),
    ("serve --port somewhere --map zeros.npz", "measures nothing"),
    ("emulate --size 10", "WIDTHxHEIGHT"),
    ("emulate --scene notes.txt", "notes.txt"),
    ("emulate --profile nosuch", "no noise profile 'nosuch'"),
    ("emulate --map zeros.npz", "measures nothing"),
    ("emulate --slot-rate inf", "finite"),
    ("upload nosuch --port somewhere", "no ratio map 'nosuch'"),
    ("upload zeros.npz --port somewhere", "measures nothing"),
    (f"{CAPTURE} --map nosuch", "no ratio map 'nosuch'"),
    ("capture --port somewhere -o there", "there exists already"),
    ("capture --port somewhere -o notes.txt", "notes.txt"),
    ("calibrate --port somewhere -o no/p.json", "make no first"),
    ("calibrate --port somewhere -o there", "a folder"),
    ("calibrate --port somewhere --keep there", "there exists already"),
    ("calibrate --port somewhere --light nan", "--light"),
    ("evaluate clips.npz --bundle nosuch", "no bundle 'nosuch'"),
    ("evaluate clips.npz --profile nosuch", "no noise profile 'nosuch'"),
    ("evaluate clips.npz --map zeros.npz", "measures nothing"),
    ("evaluate nosuch.npz", "nosuch.npz"),
    ("reconstruct clips.npz -o no/v.npz", "make no first"),
    ("reconstruct clips.npz -o v.gif", "v.gif"),
    ("reconstruct clips.npz -o v.npz --bundle nosuch", "no bundle 'nosuch'"),
    ("reconstruct clips.npz -o v.npz --profile nosuch", "no noise profile 'nosuch'"),
    ("reconstruct clips.npz -o v.mp4 --fps nan", "--fps"),
    ("map show nosuch", "no ratio map 'nosuch'"),
    ("map make random --r-avg nan -o m.npz", "nan is not a finite number"),
    ("map make fixed 2 -o no/m.npz", "make no first"),
    ("map make fixed", "LEVEL"),
    ("data build -o no/train.npz", "make no first"),
    ("data demo-clip -o there", "a folder"),
    ("data test-set -o no/set.npz", "make no first"),
    ("emulate --link no/board", "make no first"),
    ("serve --port somewhere --http-host 0.0.0.0", "--token"),
    ("map show tile-2of16 --png no/map.png", "make no first"),
    ("calibrate nosuch -o p.json", "nothing at nosuch"),
    *[
        (f"{LIVE} --port somewhere {option}", f"{option.split()[0]} is for the emulated board")
        for option in (
            "--scene synthetic",
            "--size 8x8",
            "--white 255",
            "--profile paper",
            "--seed 0",
            "--slot-rate 240",
        )
    ],
    (f"{LIVE} --wait 3", "--wait is for the port of a board"),
    (f"{LIVE} --white 255", "--white is for a clip of your own"),
    (f"{LIVE} --scene synthetic --white 255", "--white is for clips"),
    ("emulate --white 255", "--white is for clips"),
    *[
        (f"calibrate there {option}", f"{option.split()[0]} goes with --port")
        for option in (
            "--design spans",
            "--reads 4",
            "--light 0.5",
            "--board-sets-light",
            "--keep new",
            "--baud 9600",
            "--wait 1",
        )
    ],
    ("calibrate --port somewhere --bits 8", "--bits is for images"),
    ("calibrate --port somewhere --full-scale 255", "--full-scale is for images"),
    *[
        (f"reconstruct taken -o v.mp4 {option}", f"{option.split()[0]} is for clips")
        for option in ("--map tile-2of16", "--white 255", "--seed 0")
    ],
    ("reconstruct clips.npz -o v.npz --fps 30", "--fps is for videos"),
    (
        "reconstruct clips.npz -o v.mp4 --bundle edge-learned-2of16 --map tile-2of16",
        "--bundle edge-learned-2of16 is for its own map",
    ),
    ("map schedule tile-2of16 --check", "--check needs --adc-rate or --link-rate"),
    ("data build --white 255", "--white is for --footage and --extra"),
    *[
        (f"data build --footage there {option}", f"{option.split()[0]} goes without --footage")
        for option in ("--sources there", "--extra there", "--cache there")
    ],
    *[
        (f"data {command} --sources there --cache there", "--cache is for downloads")
        for command in ("build", "demo-clip", "test-set")
    ],
    ("nosuch", "nosuch"),
]


TRAINING = [
    ("train -o run --steps 1 --data nosuch.npz", "nothing at nosuch.npz"),
    ("train -o run --steps 1 --footage nosuch", "nothing at nosuch"),
    ("train -o run --steps 1 --data clips.npz --map nosuch", "no ratio map 'nosuch'"),
    ("train -o run --steps 1 --data clips.npz --map zeros.npz", "measures nothing"),
    ("train -o run --steps 1 --data clips.npz --start nosuch", "edge-universal"),
    ("export nosuch -o bundle", "nothing at nosuch"),
    *[
        (f"train -o run --steps 1 --data clips.npz {options}", f"{options.split()[0]} is for")
        for options in (
            "--map-share 0.5",
            "--search --price 1",
            "--credit tile",
            "--period 8",
        )
    ],
    (
        "train -o run --steps 1 --data clips.npz --search --budget 0.1 --credit own-pixel",
        "--search goes without --credit own-pixel",
    ),
]
if all(find_spec(name) for name in PACKAGES):  # otherwise they say that they are missing
    WRONG += TRAINING


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one good and several bad inputs; nothing may be started from it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / MANIFEST).write_text("{}")
    (tmp_path / "notes.txt").write_text("no bundle, map, scene or profile")
    np.savez("clips.npz", clips=np.zeros((1, 16, 32, 32), np.uint8))
    RatioMap.uniform(0, (8, 8)).save("zeros.npz")
    closed = np.zeros((16, 8, 8), bool)
    RatioMap.uniform(1, (8, 8)).with_aperture(closed).save("shut.npz")
    RatioMap.random((24, 24)).save("odd.npz")

    def started(*_, **__):
        raise AssertionError("something was started before the settings were checked")

    monkeypatch.setattr(EmulatorProcess, "start", started)
    monkeypatch.setattr(Board, "open", started)
    return tmp_path


@pytest.mark.parametrize(("words", "told"), WRONG, ids=[words for words, _ in WRONG])
def test_a_wrong_setting_is_one_sentence_before_anything_starts(
    words, told, folder, monkeypatch, capsys
):
    before = sorted(folder.iterdir())
    monkeypatch.setattr(sys, "argv", ["focalloop", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert end.value.code == 2, printed.err
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert told in printed.err
    assert "emulator_process" not in printed.err
    assert sorted(folder.iterdir()) == before
