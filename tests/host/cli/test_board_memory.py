"""What is kept of boards, and what corrects the reads of one."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.fixed_pattern import FixedPattern, FixedPatternError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.virtual_board.settings import NO_SERIAL
from focalloop.host.cli import board_memory
from focalloop.host.cli.board_memory import (
    BoardMemoryError,
    check_serial,
    correction_for,
    kept,
    recall,
    remember,
)
from tests.support.made_calibration import make_calibration
from tests.support.made_windows import BOARD

SHAPE = BOARD.shape
PATTERN = FixedPattern(np.full(SHAPE, 0.25), np.ones(SHAPE), np.zeros(SHAPE, int))
BENT = replace(preset("scamp5"), name="bent", bend=-0.05)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def keep(serial, pattern=PATTERN, profile=BENT):
    remember(make_calibration(profile=profile), replace(pattern, serial=serial))


@pytest.mark.parametrize("serial", ["..", ".", "a/../../b", "COM1", "\\", "é" * 30, "x" * 60])
def test_every_serial_number_has_one_folder_of_its_own(state, serial):
    keep(serial)
    keep(serial)  # again, in its place
    known = recall(replace(BOARD, serial=serial))
    assert (known.pattern.serial, known.profile) == (serial, BENT)
    (folder,) = (state / "focalloop" / "boards").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["correction.npz", "profile.json"]


def test_what_cannot_be_used_is_named(state):
    keep("7")
    board = replace(BOARD, serial="7")
    with pytest.raises(BoardMemoryError, match=r"of the board 7 .* but the array has 48x9"):
        recall(replace(board, height=9))
    with pytest.raises(BoardMemoryError, match="had 8 bits and 220 DN full scale, not 8 bits and"):
        recall(replace(board, full_scale_dn=110.0))
    (state / "focalloop" / "boards" / "serial-7" / "profile.json").unlink()
    with pytest.raises(BoardMemoryError, match="calibrate it again with --remember"):
        recall(board)


def test_a_relative_state_folder_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))
    keep("7")
    assert (tmp_path / ".local" / "state" / "focalloop" / "boards" / "serial-7").is_dir()


@pytest.mark.parametrize("serial", [None, "", NO_SERIAL])
def test_a_board_that_cannot_be_told_from_others_has_nothing(serial):
    with pytest.raises(BoardMemoryError, match="does not tell it from others"):
        check_serial(serial)
    assert recall(replace(BOARD, serial=serial or "")) is None


def corrected(found):
    """What becomes of reads of 0.5."""
    half = np.full((8, *SHAPE), 0.5, np.float32)
    reads, _ = found(half, RatioMap.uniform(1, SHAPE))
    return reads[0, 0, 0]


def test_what_is_given_comes_before_what_is_kept_and_that_before_the_noise():
    nothing = correction_for(BOARD)
    assert (nothing.correction, nothing.by, nothing.said) == (None, "", "")
    assert correction_for(BOARD, profile=preset("paper")).correction is None
    bent = correction_for(BOARD, profile=BENT)
    assert bent.by == "the response of bent"
    keep(BOARD.serial)
    kept = correction_for(BOARD, profile=preset("paper"))
    assert kept.by == f"what is kept of board {BOARD.serial}"
    assert "0 defective pixels" in kept.said
    given = correction_for(BOARD, replace(PATTERN, offset=np.zeros(SHAPE)))
    assert given.by == "the pattern given"
    assert corrected(given) == pytest.approx(BENT.linearise(np.array([0.5]))[0])
    given = correction_for(BOARD, given.correction.pattern, preset("paper"))
    straight = BENT.linearise(np.array([0.5, 0.25]))
    assert [corrected(each) for each in (nothing, bent, kept, given)] == [0.5, *straight, 0.5]
    assert correction_for(BOARD, kept=False).correction is None


def test_a_pattern_of_another_board_is_refused_and_a_damaged_one_is_said(state):
    with pytest.raises(FixedPatternError, match="serial number B, not s"):
        correction_for(BOARD, replace(PATTERN, serial="B"))
    keep(BOARD.serial)
    (path,) = state.rglob("correction.npz")
    path.write_bytes(b"damaged")
    found = correction_for(BOARD)
    assert (found.correction, found.by) == (None, "")
    assert found.said.startswith("The reads are not corrected: what is kept of the board s cannot")


def test_what_was_kept_of_a_board_is_put_back_as_it_was(state):
    board = replace(BOARD, serial="7")
    assert kept("7") == {}
    keep("7")
    first = kept("7")
    (state / "focalloop" / "boards" / "serial-7" / "profile.json").write_bytes(b"damaged")
    damaged = kept("7")
    other = replace(BENT, bend=0.03)
    keep("7", profile=other)
    assert recall(board).profile == other
    for files in (damaged, first):
        board_memory.keep("7", files)
        assert kept("7") == files
    assert recall(board).profile == BENT
    for _ in range(2):
        board_memory.keep("7", {})
        assert (kept("7"), recall(board)) == ({}, None)
