"""The steps of a calibration, over a served board with the real emulator behind it."""

import errno
import os
import threading
import time
from dataclasses import replace

import pytest

from focalloop.firmware_sim.files import WriteError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import Feature
from focalloop.host.captures.calibration_design import calibration_map
from focalloop.host.errors import BoardLostError, CaptureError
from focalloop.host.live import calibration_run
from focalloop.host.live.board_tasks import BoardTasks
from focalloop.host.live.calibration_state import CalibrationPhase
from focalloop.host.live.calibrator import Calibrator, CalibratorError
from focalloop.host.live.telemetry import Telemetry
from tests.support.calibrator_bench import SHAPE, by_hand
from tests.support.waiting import wait_until


def test_a_real_board_asks_the_user_to_change_the_light():
    with by_hand() as (calibrator, tasks, board):
        calibrator.start(reads=2)
        runs = threading.Thread(target=tasks.run_all, args=(board,))
        runs.start()
        asked = []
        while calibrator.state().running:
            state = calibrator.state()
            if state.phase is CalibrationPhase.LIGHT and state.activity not in asked:
                asked.append(state.activity)
                assert state.windows < state.windows_total
                calibrator.proceed()
            time.sleep(0.005)
        runs.join(10)
        assert calibrator.state().error == ""
        assert asked[0] == "cover the sensor so that no light reaches it"
        assert asked[1] == "illuminate the sensor evenly, at about 90 % of full scale per window"
        assert len(asked) == 3
        assert calibrator.state().can_apply
        with pytest.raises(CalibratorError, match="no calibration is waiting"):
            calibrator.proceed()


def test_a_board_without_flat_captures_is_read_under_a_map_of_all_spans():
    with by_hand(lacks=Feature.EMULATOR | Feature.CALIBRATION) as (calibrator, tasks, board):
        calibrator.start(reads=2)
        runs = threading.Thread(target=tasks.run_all, args=(board,))
        runs.start()
        for _ in ("dark", "light"):
            wait_until(lambda: calibrator.state().phase is CalibrationPhase.LIGHT)
            asked = calibrator.state().activity
            calibrator.proceed()
            wait_until(lambda asked=asked: calibrator.state().activity != asked)
        runs.join(30)
        assert board.ratio_map.hash() == calibration_map(board.info).hash()
        # The scene is dark although light was confirmed.
        assert calibrator.state().phase is CalibrationPhase.FAILED
        assert calibrator.state().windows == 4
        assert calibrator.state().error.endswith(".")


def test_a_calibration_that_waits_for_light_can_be_cancelled():
    with by_hand() as (calibrator, tasks, board):
        calibrator.start(reads=2)
        runs = threading.Thread(target=tasks.run_all, args=(board,))
        runs.start()
        wait_until(lambda: calibrator.state().phase is CalibrationPhase.LIGHT)
        calibrator.cancel()
        runs.join(10)
        assert calibrator.state().phase is CalibrationPhase.CANCELLED
        assert calibrator.state().windows == 0


def test_a_board_that_goes_away_in_the_middle_is_awaited_and_goes_on():
    with by_hand(lacks=Feature.EMULATOR) as (calibrator, tasks, board):
        calibrator.start(reads=2)
        real, taken = board.dark_capture, []

        def cut(level, count=1):
            if len(taken) == 2:
                raise BoardLostError("the cable is out")
            taken.append(level)
            return real(level, count)

        board.dark_capture = cut
        answering = threading.Thread(target=confirm_once, args=(calibrator,))
        answering.start()
        with pytest.raises(BoardLostError):
            tasks.run_all(board)
        answering.join(10)
        state = calibrator.state()
        assert (state.phase, state.error) == (CalibrationPhase.LOST, "The cable is out.")
        assert (state.running, state.step) == (True, 2)
        kept = state.windows
        assert 0 < kept < state.windows_total
        with pytest.raises(CalibratorError, match="already running"):
            calibrator.start()

        board.dark_capture = real
        info = board._driver.info
        board._driver.info = replace(info, serial="another")
        with pytest.raises(CaptureError, match="not the one"):
            calibrator.proceed()
        board._driver.info = info
        calibrator.proceed(state.turn)
        runs = threading.Thread(target=tasks.run_all, args=(board,))
        runs.start()
        wait_until(lambda: calibrator.state().phase is CalibrationPhase.LIGHT)
        # Whoever was at the board may have changed the light, so it is asked for again.
        assert calibrator.state().activity == "cover the sensor so that no light reaches it"
        assert calibrator.state().windows == kept
        while calibrator.state().running:
            confirm_once(calibrator)
        runs.join(10)
        state = calibrator.state()
        assert (state.phase, state.error) == (CalibrationPhase.DONE, "")
        assert state.fit.windows == state.windows_total


def confirm_once(calibrator):
    """Confirm the light that is asked for next; does nothing once the calibration has ended."""
    wait_until(lambda: calibrator.state().phase is not CalibrationPhase.RUNNING)
    if calibrator.state().phase is CalibrationPhase.LIGHT:
        turn = calibrator.state().turn
        calibrator.proceed(turn)
        wait_until(lambda: calibrator.state().turn != turn)


def test_a_lost_calibration_can_be_cancelled_without_its_board():
    with by_hand(lacks=Feature(0)) as (calibrator, tasks, _):
        calibrator.start(reads=2)
        tasks.fail_all(BoardLostError("the cable is out"))
        assert calibrator.state().phase is CalibrationPhase.LOST
        calibrator.cancel()
        assert calibrator.state().phase is CalibrationPhase.CANCELLED
        with pytest.raises(CalibratorError, match="waiting"):
            calibrator.proceed()


def test_a_request_of_another_turn_is_refused():
    with by_hand() as (calibrator, tasks, board):
        before = calibrator.state().turn
        calibrator.start(reads=2, turn=before)
        runs = threading.Thread(target=tasks.run_all, args=(board,))
        runs.start()
        wait_until(lambda: calibrator.state().phase is CalibrationPhase.LIGHT)
        for request in (calibrator.proceed, calibrator.apply, calibrator.discard):
            with pytest.raises(CalibratorError, match="another page"):
                request(turn=before)
        assert calibrator.state().phase is CalibrationPhase.LIGHT
        calibrator.cancel()
        runs.join(10)
        with pytest.raises(CalibratorError, match="another page"):
            calibrator.start(reads=2, turn=before)


def test_the_plan_is_what_is_then_captured():
    with by_hand(lacks=Feature(0)) as (calibrator, tasks, board):
        planned = calibrator.plan(2)
        assert planned.seconds is None  # this board has no clock
        calibrator.start(reads=2)
        assert calibrator.state().steps == planned.steps
        tasks.run_all(board)
        state = calibrator.state()
        assert (state.windows, state.step) == (planned.windows, len(planned.steps))
        board._driver.info = replace(board.info, slot_rate_hz=240.0)
        windows_s = planned.windows * 16 / 240
        assert windows_s < calibrator.plan(2).seconds < windows_s + 0.5
        board._driver.info = replace(board.info, features=Feature.REPLAY)
        with pytest.raises(CaptureError, match="replays a recording"):
            calibrator.plan(2)


def test_the_light_is_looked_at_while_a_person_sets_it(monkeypatch):
    monkeypatch.setattr("focalloop.host.live.calibrator._LOOK_S", 0.01)
    with by_hand() as (calibrator, tasks, board):
        board.upload(RatioMap.uniform(2, SHAPE))
        assert calibrator.light() is None
        calibrator.start(reads=2)
        runs = threading.Thread(target=tasks.run_all, args=(board,))
        runs.start()
        wait_until(lambda: calibrator.light() is not None)
        assert calibrator.light().mood == "good"
        assert calibrator.light().sentences[0].startswith("Dark: ")
        calibrator.proceed()
        # The scene of this board is dark, so that its lamp is seen to be off.
        wait_until(lambda: (light := calibrator.light()) is not None and light.mood == "bad")
        assert calibrator.light().sentences[0].startswith("Too dark: ")
        calibrator.cancel()
        runs.join(10)


def test_a_failure_is_a_sentence_and_the_calibration_can_be_repeated(monkeypatch):
    with by_hand() as (calibrator, tasks, board):
        board._driver.info = replace(board.info, features=Feature.EMULATOR | Feature.CALIBRATION)

        def refuse(level, count=1):
            raise CaptureError("the shutter is stuck")

        monkeypatch.setattr(board, "dark_capture", refuse)
        calibrator.start(reads=2)
        tasks.run_all(board)
        state = calibrator.state()
        assert (state.phase, state.error) == (CalibrationPhase.FAILED, "The shutter is stuck.")
        monkeypatch.undo()
        calibrator.start(reads=2)
        tasks.run_all(board)
        assert calibrator.state().phase is CalibrationPhase.DONE


def test_without_a_board_no_calibration_starts():
    calibrator = Calibrator(BoardTasks(), Telemetry(), lambda: None)
    for request in (calibrator.start, calibrator.plan):
        with pytest.raises(BoardLostError, match="try again"):
            request()
    assert calibrator.state().phase is CalibrationPhase.IDLE


def test_too_few_reads_are_refused_before_anything_happens():
    with by_hand() as (calibrator, tasks, _):
        with pytest.raises(CaptureError, match="2 or more"):
            calibrator.start(reads=1)
        assert not tasks.pending


def test_a_full_disk_costs_no_window_that_was_captured(monkeypatch):
    with by_hand(lacks=Feature(0)) as (calibrator, tasks, board):
        real, taken = calibration_run.take, []

        def take(*given, **options):
            if len(taken) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken.append(given)
            return real(*given, **options)

        monkeypatch.setattr(calibration_run, "take", take)
        calibrator.start(reads=2)
        tasks.run_all(board)
        state = calibrator.state()
        assert state.phase is CalibrationPhase.HALTED
        assert state.error.endswith("No space left on device.")
        assert (state.running, state.step) == (True, 2)
        monkeypatch.undo()
        calibrator.proceed(state.turn)
        tasks.run_all(board)
        state = calibrator.state()
        assert (state.phase, state.error) == (CalibrationPhase.DONE, "")
        assert state.fit.windows == state.windows_total


def test_a_full_disk_at_the_start_leaves_the_result_before(monkeypatch):
    def full(*_given, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with by_hand(lacks=Feature(0)) as (calibrator, tasks, board):
        calibrator.start(reads=2)
        tasks.run_all(board)
        result, state = calibrator.result, calibrator.state()
        monkeypatch.setattr("tempfile.TemporaryDirectory", full)
        with pytest.raises(WriteError, match="No space left"):
            calibrator.start(reads=2)
        assert (calibrator.result, calibrator.state()) == (result, state)


def test_captures_are_of_one_board_even_if_it_is_changed_in_the_last_moment():
    with by_hand(lacks=Feature(0)) as (calibrator, tasks, board):
        calibrator.start(reads=2)
        board._driver.info = replace(board.info, serial="another")
        tasks.run_all(board)
        state = calibrator.state()
        assert (state.phase, state.windows) == (CalibrationPhase.FAILED, 0)
        assert "is not the one that is being calibrated" in state.error
