"""A calibration that is applied, kept, undone or discarded."""

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import pytest

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.wire import Feature
from focalloop.host.errors import BoardLostError
from focalloop.host.live.calibration_state import CalibrationPhase
from focalloop.host.live.calibrator import CalibratorError
from tests.support.calibrator_bench import by_hand
from tests.support.waiting import wait_until


class Memory:
    """Remembers in a list, for boards with the serial number 42 only."""

    def __init__(self, error=None):
        self.found, self.error, self.files = [], error, {}

    def check_serial(self, serial):
        if serial != "42":
            raise FocalloopError("no other serial number")
        return serial

    def remember(self, found, pattern):
        if self.error:
            raise self.error
        self.found.append(found)
        self.files = {"profile.json": b"of a calibration", "number": bytes([len(self.found)])}

    def kept(self, serial):
        return self.files

    def keep(self, serial, files):
        if self.error:
            raise self.error
        self.files = files


@pytest.mark.parametrize(
    ("serial", "error", "said"),
    [
        ("42", None, "It is kept for the board 42"),
        ("7", None, "does not tell this board from others"),
        ("42", WriteError("the disk is full"), "could not be kept: the disk is full"),
    ],
)
def test_an_applied_result_is_kept_or_it_is_said_why_not(serial, error, said):
    memory = Memory(error)
    with by_hand(lacks=Feature(0), serial=serial, memory=memory) as (
        calibrator,
        tasks,
        board,
    ):
        assert calibrator.plan(2).keeps == ("42" if serial == "42" else "")
        calibrator.start(reads=2)
        tasks.run_all(board)
        assert calibrator.state().can_apply
        assert calibrator.applied_to(board.info) is None
        applying = threading.Thread(target=calibrator.apply, args=(calibrator.state().turn,))
        applying.start()
        wait_until(lambda: tasks.pending)
        with pytest.raises(CalibratorError, match="applied"):
            calibrator.discard()
        tasks.run_all(board)
        applying.join(10)
        state = calibrator.state()
        assert state.applied
        assert said in state.kept
        assert memory.found == ([calibrator.result] if "It is kept" in said else [])
        in_use = calibrator.applied_to(board.info)
        assert in_use.noise == calibrator.result.profile
        assert in_use.correction.pattern is calibrator.result.pattern
        assert calibrator.applied_to(replace(board.info, serial="another")) is None
        with pytest.raises(CalibratorError, match="already"):
            calibrator.apply()
        with pytest.raises(CalibratorError, match="replaces"):
            calibrator.discard()


def test_a_result_can_be_discarded():
    with by_hand(lacks=Feature(0)) as (calibrator, tasks, board):
        with pytest.raises(CalibratorError, match="no calibration"):
            calibrator.discard()
        calibrator.start(reads=2)
        tasks.run_all(board)
        calibrator.discard(calibrator.state().turn)
        assert calibrator.result is None
        assert calibrator.offered is None
        assert calibrator.state().phase is CalibrationPhase.IDLE


@contextmanager
def calibrated(memory):
    """A calibrator with a result over a board with the serial number 42, and its board thread."""
    ends = threading.Event()
    with by_hand(lacks=Feature(0), serial="42", memory=memory) as (calibrator, tasks, board):

        def run():
            while not ends.wait(0.002):
                tasks.run_all(board)

        thread = threading.Thread(target=run)
        thread.start()
        calibrate(calibrator)
        yield calibrator, tasks, board
        ends.set()
        thread.join(10)


def calibrate(calibrator):
    calibrator.start(reads=2)
    wait_until(lambda: calibrator.state().phase is CalibrationPhase.DONE)


def test_an_applied_result_is_undone_with_what_is_kept_of_the_board():
    memory = Memory()
    memory.files = before = {"profile.json": b"of last year"}
    with calibrated(memory) as (calibrator, _, board):
        with pytest.raises(CalibratorError, match="nothing to undo"):
            calibrator.undo()
        calibrator.apply()
        first = calibrator.applied_to(board.info)
        assert memory.files != before
        calibrator.undo(calibrator.state().turn)
        assert calibrator.applied_to(board.info) is None
        assert memory.files == before
        state = calibrator.state()
        assert (state.can_apply, state.applied, state.kept) == (True, False, "")
        with pytest.raises(CalibratorError, match="nothing to undo"):
            calibrator.undo()

        calibrator.apply()  # after all
        kept = memory.files
        calibrate(calibrator)
        with pytest.raises(CalibratorError, match="nothing to undo"):  # it is not this one
            calibrator.undo()
        calibrator.apply()
        assert calibrator.applied_to(board.info) is not first
        calibrator.undo()
        assert calibrator.applied_to(board.info).noise == first.noise
        assert memory.files == kept
        calibrator.discard()
        assert calibrator.applied_to(board.info).noise == first.noise


def test_an_undo_overwrites_nothing_that_was_kept_meanwhile():
    memory = Memory()
    with calibrated(memory) as (calibrator, _, board):
        calibrator.apply()
        memory.files = {"profile.json": b"by calibrate --remember"}
        calibrator.undo()
        assert calibrator.applied_to(board.info) is None
        assert memory.files == {"profile.json": b"by calibrate --remember"}


def test_an_undo_that_fails_changes_nothing():
    memory = Memory()
    with calibrated(memory) as (calibrator, tasks, board):
        calibrator.apply()
        in_use, kept = calibrator.applied_to(board.info), memory.files
        memory.error = WriteError("the disk is full")
        with pytest.raises(WriteError):
            calibrator.undo()
        submit, tasks.submit = tasks.submit, lambda _: failed(BoardLostError("the cable is out"))
        with pytest.raises(BoardLostError):
            calibrator.undo()
        tasks.submit = submit
        assert (calibrator.applied_to(board.info), memory.files) == (in_use, kept)
        state = calibrator.state()
        assert (state.applied, state.can_apply) == (True, False)
        assert "It is kept" in state.kept
        memory.error = None
        calibrator.undo()
        assert calibrator.applied_to(board.info) is None


def failed(error):
    future = Future()
    future.set_exception(error)
    return future


def test_another_calibration_does_not_begin_while_a_result_is_being_applied():
    with by_hand(lacks=Feature(0), serial="42", memory=Memory()) as (calibrator, tasks, board):
        calibrator.start(reads=2)
        tasks.run_all(board)
        applying = threading.Thread(target=calibrator.apply)
        applying.start()
        wait_until(lambda: tasks.pending)
        starting = threading.Thread(target=calibrator.start, args=(2,))
        starting.start()
        assert not calibrator.state().running
        tasks.run_all(board)
        for thread in (applying, starting):
            thread.join(10)
        assert calibrator.applied_to(board.info) is not None
        assert (calibrator.state().running, calibrator.state().applied) == (True, False)
        tasks.run_all(board)
        state = calibrator.state()
        assert (state.phase, state.applied, state.can_apply) == (CalibrationPhase.DONE, False, True)
