"""A live session that is calibrated between two streams."""

from contextlib import contextmanager

import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.host.errors import BoardLostError
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.calibration_state import CalibrationPhase
from focalloop.host.live.calibrator import CalibratorError
from focalloop.host.live.session import LiveSession
from focalloop.host.live.state import Phase
from tests.support.lamp import Lamp
from tests.support.made_calibration import PROFILE as TRUTH
from tests.support.served import make_map, on_pty
from tests.support.waiting import wait_until

SHAPE = (32, 48)


@contextmanager
def streaming(ratio_map):
    board = VirtualBoard(Lamp(SHAPE), BoardSettings(profile=TRUTH, seed=3, slot_rate_hz=2400.0))
    board.warm_up()
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
        assert session.state().corrected_by == ""
        session.calibrator.apply()
        wait_until(lambda: session.state().corrected_by == "the calibration of this session")
        state = session.state().calibration
        assert (state.can_apply, state.applied) == (False, True)
        assert "does not tell this board from others" in state.kept
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
        with pytest.raises(CalibratorError, match="nothing to cancel"):
            session.calibrator.cancel()
        assert session.calibrator.state().phase is CalibrationPhase.CANCELLED


def test_a_session_can_end_during_a_calibration():
    with streaming(RatioMap.uniform(1, SHAPE)) as session:
        session.calibrator.start(reads=32)
        wait_until(lambda: session.state().phase is Phase.CALIBRATING, 30)
    assert not session.calibrator.state().running
    with pytest.raises(BoardLostError):
        session.calibrator.start()
