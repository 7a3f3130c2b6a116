"""Calibrating in a live session, over a served board with the real emulator behind it."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.captures.calibration_design import calibration_map
from focalloop.host.errors import BoardLostError, CaptureError
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.board_tasks import BoardTasks
from focalloop.host.live.calibration_state import CalibrationPhase
from focalloop.host.live.calibrator import Calibrator, CalibratorError
from focalloop.host.live.session import LiveSession
from focalloop.host.live.state import Phase
from focalloop.host.live.telemetry import Telemetry
from tests.support.made_calibration import PROFILE as TRUTH
from tests.support.served import make_map, on_pty
from tests.support.waiting import wait_until

SHAPE = (32, 48)


class Dark:
    """A scene without light."""

    shape = SHAPE
    slots = 16

    def window(self, index):
        return np.zeros((16, *SHAPE), np.uint8)

    def close(self):
        pass


def make_emulated(**settings):
    board = VirtualBoard(Dark(), BoardSettings(profile=TRUTH, seed=3, **settings))
    board.warm_up()
    return board


@contextmanager
def streaming(ratio_map):
    board = make_emulated(slot_rate_hz=2400.0)
    with (
        on_pty(board) as server,
        LiveSession(
            BoardAt(server.url), bundle="network-free", ratio_map=ratio_map, profile="bench"
        ) as session,
    ):
        wait_until(lambda: session.picture() is not None, 30)
        yield session


def await_end(calibrator, timeout_s=60):
    wait_until(lambda: not calibrator.state().running, timeout_s)
    return calibrator.state()


def goes_on(session):
    window = session.picture().window
    wait_until(lambda: session.picture().window > window + 1, 30)
    return session.state().phase is Phase.STREAMING


def test_a_board_is_calibrated_between_two_streams_and_runs_with_the_result():
    ratio_map = make_map()
    with streaming(ratio_map) as session:
        session.calibrator.start(reads=8)
        with pytest.raises(CalibratorError, match="already running"):
            session.calibrator.start(reads=8)
        phases = set()
        wait_until(
            lambda: phases.add(session.state().phase) or not session.calibrator.state().running, 60
        )
        assert Phase.CALIBRATING in phases
        state = session.state().calibration
        assert (state.phase, state.error) == (CalibrationPhase.DONE, "")
        assert state.windows == state.windows_total == state.fit.windows
        for name, truth in (
            ("s_ss", TRUTH.s_ss),
            ("s_r", TRUTH.s_r),
            ("black_level_dn", TRUTH.black_level_dn),
        ):
            # Not within the interval itself, which one run in twenty misses: the noise depends on
            # the window number, which differs from run to run.
            estimate = state.fit.estimates[name]
            assert abs(estimate.value - truth) < 1.5 * (estimate.high - estimate.low)
        widths = [mark["s_ss"].high - mark["s_ss"].low for mark in state.trail]
        assert len(widths) == 5  # the first light, then a fit for each level more
        assert widths[-1] < widths[0]
        assert [point.signal for point in state.fit.points] == sorted(
            point.signal for point in state.fit.points
        )

        assert goes_on(session)
        assert session.ratio_map.hash() == ratio_map.hash()
        assert session.picture().map_hash == ratio_map.hash()

        assert (state.can_apply, state.applied) == (True, False)
        assert session.state().profile == "bench"
        session.calibrator.apply()
        result = session.calibrator.result
        board = session.state().board
        assert board.black_level_dn == pytest.approx(result.profile.black_level_dn)
        assert session.state().calibration.applied
        assert session.state().profile == "calibrated"
        assert goes_on(session)


def test_a_cancelled_calibration_leaves_everything_as_it_was():
    ratio_map = RatioMap.uniform(2, SHAPE)
    with streaming(ratio_map) as session:
        session.calibrator.start(reads=32)
        wait_until(lambda: session.state().phase is Phase.CALIBRATING, 30)
        session.calibrator.cancel()
        state = await_end(session.calibrator)
        assert state.phase is CalibrationPhase.CANCELLED
        assert state.windows < state.windows_total
        assert not state.can_apply
        assert session.calibrator.result is None
        assert goes_on(session)
        assert session.ratio_map.hash() == ratio_map.hash()
        with pytest.raises(CalibratorError, match="run one first"):
            session.calibrator.apply()
        session.calibrator.cancel()  # harmless
        assert session.calibrator.state().phase is CalibrationPhase.CANCELLED


def test_a_session_can_end_during_a_calibration():
    with streaming(RatioMap.uniform(1, SHAPE)) as session:
        session.calibrator.start(reads=32)
        wait_until(lambda: session.state().phase is Phase.CALIBRATING, 30)
    assert not session.calibrator.state().running
    with pytest.raises(BoardLostError):
        session.calibrator.start()


@contextmanager
def by_hand(lacks=Feature.EMULATOR):
    """A calibrator over a board that says that it is real, its tasks, and the board."""
    with on_pty(make_emulated()) as server, Board.open(server.url) as board:
        board._driver.info = replace(board.info, features=board.info.features & ~lacks)
        tasks, telemetry = BoardTasks(), Telemetry()
        yield Calibrator(tasks, telemetry, lambda: board), tasks, board


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
        assert not calibrator.state().can_apply
        with pytest.raises(CalibratorError, match="save the profile"):
            calibrator.apply()
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


def test_a_board_that_comes_back_gets_the_applied_profile():
    with by_hand(lacks=Feature(0)) as (calibrator, tasks, board):
        calibrator.start(reads=2)
        tasks.run_all(board)
        applying = threading.Thread(target=calibrator.apply)
        applying.start()
        wait_until(lambda: tasks.pending)
        tasks.run_all(board)
        applying.join(10)
        with on_pty(make_emulated()) as server, Board.open(server.url) as restarted:
            assert restarted.info.black_level_dn == TRUTH.black_level_dn
            calibrator.restore(restarted)
            assert restarted.info.black_level_dn == board.info.black_level_dn
            assert restarted.info.black_level_dn != TRUTH.black_level_dn


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
    for request in (calibrator.start, calibrator.apply):
        with pytest.raises(BoardLostError, match="try again"):
            request()
    assert calibrator.state().phase is CalibrationPhase.IDLE


def test_too_few_reads_are_refused_before_anything_happens():
    with by_hand() as (calibrator, tasks, _):
        with pytest.raises(CaptureError, match="2 or more"):
            calibrator.start(reads=1)
        assert not tasks.pending
