"""`--correction` and `--pattern` of `focalloop evaluate` and `focalloop reconstruct`."""

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.captures.writer import CaptureWriter
from tests.support.command_line import complaint, run, run_json
from tests.support.made_windows import BOARD, make_window


@pytest.fixture
def pattern(tmp_path):
    """File of a fixed pattern of the clips' size, with defects."""
    path = tmp_path / "pattern.npz"
    draw_pattern("scamp5", (24, 32), 5, defects=0.01, serial=BOARD.serial).save(path)
    return path


def test_a_correction_undoes_the_pattern_of_the_emulated_sensor(clips, pattern):
    words = ("evaluate", clips, "--map", "fixed-4of16", "--profile", "scamp5", "--pattern", pattern)
    (raw,) = run_json(*words)["results"]
    (corrected,) = run_json(*words, "--correction", pattern)["results"]
    assert (raw["corrected"], corrected["corrected"]) == (False, True)
    assert corrected["mean"]["psnr"] > raw["mean"]["psnr"] + 2
    assert "reads corrected" in run(*words, "--correction", pattern).stdout


def test_clips_and_captures_are_reconstructed_from_corrected_reads(clips, pattern, tmp_path):
    out = tmp_path / "out.npz"
    words = ("--map", "tile-2of16", "--profile", "scamp5", "--pattern", pattern)
    done = run_json("reconstruct", clips, *words, "--correction", pattern, "-o", out)
    assert done["corrected"] is True
    assert "from corrected reads" in run(
        "reconstruct", clips, *words, "--correction", pattern, "-o", out
    ).output.replace("\n", " ")

    shape = (BOARD.height, BOARD.width)
    folder, own = tmp_path / "capture", tmp_path / "own.npz"
    full = RatioMap.uniform(1, shape)
    with CaptureWriter(folder, BOARD) as writer:
        writer.add(make_window(0, full))
    window = make_window(0, full)
    offset = window.reads[0] - 0.5
    FixedPattern(offset, np.ones(shape), np.zeros(shape, int), BOARD.serial).save(own)
    words = ("reconstruct", folder, "--bundle", "network-free", "-o", out)
    assert run_json(*words, "--correction", own)["corrected"] is True
    with np.load(out) as written:
        np.testing.assert_allclose(written["video"], 0.5, atol=1e-6)

    FixedPattern(offset, np.ones(shape), np.zeros(shape, int), "another").save(own)
    assert "serial number another, not s" in complaint(run(*words, "--correction", own))


@pytest.mark.parametrize("command", ["evaluate", "reconstruct"])
def test_the_correction_of_another_sensor_than_the_emulated_one_is_refused(
    clips, pattern, tmp_path, command
):
    words = [command, clips, "--map", "tile-2of16", "--correction", pattern]
    words += ["-o", tmp_path / "out.npz"] if command == "reconstruct" else []
    drawn = run(*words)
    assert drawn.exit_code == 2
    assert "another pattern than this file corrects, drawn by the seed" in complaint(drawn)
    draw_pattern("scamp5", (24, 32), 6, serial="another").save(tmp_path / "other.npz")
    other = run(*words, "--pattern", tmp_path / "other.npz")
    assert other.exit_code == 2
    assert f"serial number {BOARD.serial}, not another" in complaint(other)


@pytest.mark.parametrize("option", ["--pattern", "--correction"])
@pytest.mark.parametrize("command", ["evaluate", "reconstruct"])
def test_a_pattern_that_cannot_be_used_is_refused_first(clips, pattern, tmp_path, command, option):
    missing = tmp_path / "missing.npz"
    words = ("-o", tmp_path / "out.npz") if command == "reconstruct" else ()
    refused = run(command, clips, "--map", "tile-2of16", option, missing, *words)
    assert refused.exit_code == 2
    assert f"{option}: cannot read the fixed pattern" in complaint(refused)
    draw_pattern("scamp5", (8, 8)).save(missing)
    if option == "--correction":
        words += ("--pattern", pattern)
    refused = run(command, clips, "--map", "tile-2of16", option, missing, *words)
    assert "8x8 pixels, but the array has 32x24" in complaint(refused)
