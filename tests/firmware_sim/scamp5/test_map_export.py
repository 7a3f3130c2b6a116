"""`focalloop map export`: the C++ contains the compiled program, and executes it on a stub kit."""

import errno
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.scamp5 import Grid, Scamp5Error, assemble
from focalloop.firmware_sim.scamp5.exposure import Exposure
from focalloop.firmware_sim.scamp5.kit_source import cpp_source, mask_picture
from focalloop.firmware_sim.scamp5.readout import scan_analog
from focalloop.host.cli.main import app

SHAPE = (256, 256)
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


def run(*words):
    return CliRunner().invoke(app, ["map", "export", *map(str, words), "--target", "scamp5"])


def eight_levels(levels):
    return RatioMap.from_tile([levels], SHAPE, 60, (0, *sorted(levels)))


MAPS = {
    "tile-2of16": RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE),
    "with zeros": RatioMap.from_tile([[8, 0, 0], [0, 1, 2]], SHAPE),
    "not periodic": RatioMap.random(SHAPE, seed=5),
    "seven levels": eight_levels((1, 2, 3, 4, 5, 6, 10)),
}


@pytest.mark.parametrize("ratio_map", MAPS.values(), ids=MAPS.keys())
def test_the_source_says_the_same_program(ratio_map):
    """Its statements, parsed again, are the program's instructions; its scans are the grids."""
    exposure = Exposure.of(ratio_map)
    source = cpp_source(exposure, 100)
    body = re.search(r"static void run_window\(\) \{\n(.*?)\n\}\n", source, re.DOTALL)[1]
    text, grids, slot, reads = "", [], 0, 0
    for line in body.splitlines():
        if match := re.fullmatch(r" *wait_for_end_of_slot\((\d+)\);", line):
            text += "".join(f"expose({one});" for one in range(slot, int(match[1]) + 1))
            slot = int(match[1]) + 1
            grids.append([])
        elif match := re.fullmatch(r" *read_out\((\d+), (\d+), (\d+), (\d+), (\d+)\);", line):
            assert int(match[1]) == slot - 1
            if not grids[-1]:
                text += f"scan(B, {reads});"
                reads += 1
            row, column, row_step, column_step = (int(match[k]) for k in range(2, 6))
            grids[-1].append(Grid(row, column, 255, 255, row_step, column_step))
        elif "kernel" not in line and "window_clock" not in line:
            text += line
    assert assemble(text).instructions == exposure.program.instructions
    assert [tuple(one) for one in grids] == [read.grids for read in exposure.reads]


def test_the_picture_has_the_masks_highest_bit_first_in_the_chip_s_columns(tmp_path):
    ratio_map = MAPS["not periodic"]
    ratio_map.save(tmp_path / "map.npz")
    assert run(tmp_path / "map.npz", "-o", tmp_path / "made").exit_code == 0
    picture = Image.open(tmp_path / "made" / "levels.bmp")
    assert (picture.format, picture.size, picture.mode) == ("BMP", SHAPE, "RGB")
    grey = np.asarray(picture.convert("L"))
    for bit, level in ((7, 8), (6, 4), (5, 2), (4, 1)):
        plane = grey >> bit & 1
        np.testing.assert_array_equal(plane[:, ::-1], ratio_map.levels == level)
    assert (grey >> 3 & 1 == 1).all()  # so that a grey value off by one leaves the planes alone


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Export a map, build it against the stub of the kit, and run two windows of it."""
    if COMPILER is None:
        pytest.skip("no C++ compiler is here to build an exported program with")

    def build_and_run(ratio_map, *options):
        folder = tmp_path_factory.mktemp("kit")
        ratio_map.save(folder / "map.npz")
        assert run(folder / "map.npz", "-o", folder, *options).exit_code == 0
        stub = Path(__file__).parent / "kit_stub"
        subprocess.run(
            [COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{stub}",
             "ratio_map.cpp", "-o", "program"],
            cwd=folder, check=True,
        )  # fmt: skip
        done = subprocess.run(
            ["./program"], cwd=folder, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.splitlines()

    return build_and_run


def statements_by_read(program):
    """Return what the program executes between the wait for a sample and its scan."""
    lines = [line for line in str(program).splitlines() if not line.startswith("expose")]
    by_read, statements = [], []
    for line in lines:
        if line.startswith("scan"):
            by_read.append(statements)
            statements = []
        else:
            statements.append(line)
    return by_read


ADDRESS = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)


def scanned(grids):
    return np.concatenate([scan_analog(ADDRESS, grid) for grid in grids])


def test_the_built_program_does_what_ours_does(traced):
    """Over two windows: the masks it loads, and each sample's time, statements and scan."""
    slot_rate = 60
    exposure = Exposure.of(MAPS["seven levels"])
    lines = traced(MAPS["seven levels"], "--slot-rate", slot_rate)
    first = next(k for k, line in enumerate(lines) if line.endswith(" respix(A);"))

    masks = {dreg.name: np.zeros(SHAPE, bool) for dreg in exposure.masks}
    for line in lines[:first]:
        if match := re.fullmatch(r"\d+ draw\((\w+)\);", line):
            drawn = masks[match[1]]
        elif line.startswith("pixel"):
            row, column = map(int, line.split()[1:])
            drawn[row, 255 - column] = True
    for dreg in exposure.masks:
        np.testing.assert_array_equal(masks[dreg.name], exposure.mask(dreg))

    begun = len(exposure.start.calls)
    assert [line.split(" ", 1)[1] for line in lines[first : first + begun]] == str(
        exposure.start
    ).splitlines()
    samples = []
    for line in lines[first + begun :]:
        if line.endswith("getpix(B, A);"):
            samples.append([])
        samples[-1].append(line)
    expected = list(zip(exposure.reads, statements_by_read(exposure.program), strict=True)) * 2
    for sample, (read, statements) in zip(samples, expected, strict=True):
        slots = int(sample[0].split()[0]) * slot_rate / 1e6
        assert slots == pytest.approx(read.slot + 1, abs=1e-3)
        assert [line.split(" ", 1)[1] for line in sample[: len(statements)]] == statements
        rest = sample[len(statements) :]
        assert {line for line in rest if line.startswith("channel")} == {f"channel {read.slot}"}
        grids = [Grid(*map(int, line.split()[2:])) for line in rest if line.startswith("scan")]
        np.testing.assert_array_equal(scanned(grids), scanned(read.grids))
        posts = [line.split()[1:] for line in rest if line.startswith("post")]
        assert [int(rows) * int(columns) for rows, columns in posts] == [g.count for g in grids]
        assert max(grid.count for grid in grids) <= 4096


def test_the_built_program_says_when_its_slots_are_too_short(traced):
    """The last scan takes 28.7 ms and the next sample is due after 16.7, so three are late."""
    lines = traced(MAPS["tile-2of16"], "--slot-rate", "240")
    assert "text 3 samples late: the slots are too short" in lines


def test_the_command_tells_cycles_and_slot_rate(tmp_path):
    result = run("tile-2of16", "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    exposure = Exposure.of(MAPS["tile-2of16"])
    assert facts["masks"] == {"R5": 4, "R6": 2, "R7": 1}
    assert facts["words_per_window"] == exposure.program.cycles == sum(facts["words_per_slot"])
    assert facts["program_s"] == pytest.approx(exposure.program.cycles / 10e6)
    assert facts["conversions_per_window"] == 2 * 256 * 256
    assert facts["fastest_slot_rate_hz"] == pytest.approx(4 / (65536 * 28e-6 / 64 + 13e-7))
    assert (facts["slot_rate_hz"], facts["keeps_up"], facts["files"]) == (139, True, [])
    assert facts["run_on_a_chip"] is False

    told = run("tile-2of16", "-o", tmp_path / "made", "--slot-rate", "240")
    assert "240 is too fast" in told.stdout
    assert "has not run on a chip" in told.stdout
    written = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert written == ["README.txt", "levels.bmp", "ratio_map.cpp"]
    readme = (tmp_path / "made" / "README.txt").read_text()
    assert "HAS NOT RUN ON A CHIP" in readme
    assert "channel 15: 65536 samples" in readme
    assert "has not run on a chip" in (tmp_path / "made" / "ratio_map.cpp").read_text()


def test_a_periodic_map_of_another_size_is_repeated_and_others_are_refused(tmp_path):
    RatioMap.from_tile([[4, 1], [1, 2]], (32, 48)).save(tmp_path / "tile.npz")
    RatioMap.random((32, 32)).save(tmp_path / "random.npz")
    RatioMap.uniform(1, (16, 16)).with_aperture_tile(APERTURE_TILE).save(tmp_path / "coded.npz")
    RatioMap.uniform(0, SHAPE).save(tmp_path / "empty.npz")
    repeated = run(tmp_path / "tile.npz", "--json")
    assert json.loads(repeated.stdout)["conversions_per_window"] == 2 * 256 * 256
    for name, says in (
        ("random.npz", "does not repeat a tile"),
        ("coded.npz", "coded aperture"),
        ("empty.npz", "measures nothing"),
    ):
        result = run(tmp_path / name)
        assert result.exit_code in (1, 2)
        assert says in f"{result.output} {result.exception}"
    (tmp_path / "file").write_text("")
    result = run("tile-2of16", "-o", tmp_path / "file")
    assert result.exit_code == 2
    assert "--output" in result.output
    assert run("tile-2of16", "--slot-rate", "0").exit_code == 2


def test_the_source_is_for_the_chip_s_size_alone():
    small = Exposure.of(RatioMap.uniform(1, (128, 128)))
    with pytest.raises(Scamp5Error, match="256x256 elements"):
        cpp_source(small, 100)
    with pytest.raises(Scamp5Error, match="1,000,000 per second, not 0"):
        cpp_source(Exposure.of(MAPS["tile-2of16"]), 0)
    assert mask_picture(Exposure.of(MAPS["tile-2of16"])).shape == SHAPE


def test_an_export_that_fails_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "program"
    (folder / "README.txt").mkdir(parents=True)
    (folder / "ratio_map.cpp").write_text("of before")
    done = run("tile-2of16", "-o", folder)
    assert done.exit_code == 1
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", "ratio_map.cpp"]
    assert (folder / "ratio_map.cpp").read_text() == "of before"

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    new = tmp_path / "new"
    done = run("tile-2of16", "-o", new)
    assert done.exit_code == 1
    assert not new.exists()
