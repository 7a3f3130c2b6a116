"""The public interface `Board` against a real pty and a real TCP line."""

from __future__ import annotations

import time

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import BoardState, ErrorCode, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, BoardLostError, PortError, UnknownMapError
from tests.support.served import SHAPE, Scene, assert_exact, make_map, on_pty
from tests.support.waiting import wait_until


def test_a_board_says_what_it_is(url):
    with Board.open(url) as board:
        assert board.info.shape == SHAPE
        assert board.info.simulated
        assert board.state == "connected"
        assert board.status().state is BoardState.IDLE
    assert board.state == "closed"
    with pytest.raises(BoardLostError, match="closed"):
        board.status()


def test_what_was_uploaded_is_what_is_captured(url):
    ratio_map = make_map()
    with Board.open(url) as board:
        done = []
        active = board.upload(ratio_map, lambda count, total: done.append((count, total)))
        assert active.hash() == ratio_map.hash() == board.status().map_hash
        assert board.ratio_map is active
        assert done[-1] == (len(ratio_map.pack()),) * 2
        windows = board.capture(20)
        assert [window.number for window in windows] == list(range(20))
        for window in windows:
            assert_exact(window)
            assert window.ratio_map.hash() == ratio_map.hash()
            assert window.kind is WindowKind.SCENE
        assert board.status().state is BoardState.IDLE
        stats = board.stats
    assert (stats.windows, stats.lost, stats.frames_bad, stats.reconnects) == (20, 0, 0, 0)


def test_reads_are_signal_planes(url):
    with Board.open(url) as board:
        board.upload(make_map())
        (window,) = board.capture()
    signal = (window.codes.astype(np.float32) - 4096) / 49152
    assert window.reads.shape == (8, *SHAPE)
    assert window.reads.dtype == np.float32
    np.testing.assert_array_equal(window.plan.readout(window.reads), signal)
    unmeasured = window.ratio_map.levels == 0
    assert not window.reads[:, unmeasured].any()


def test_capturing_without_a_map_says_what_to_do(url):
    with Board.open(url) as board, pytest.raises(UnknownMapError, match="upload one"):
        board.capture()


def test_a_named_tile_that_the_board_runs_is_known_without_an_upload():
    tile = RatioMap.load("tile-2of16", shape=SHAPE)
    with on_pty() as server:
        with Board.open(server.url) as board:
            board.upload(tile)
        with Board.open(server.url) as board:
            (window,) = board.capture()
            assert board.ratio_map == tile
    assert window.ratio_map == tile
    assert_exact(window)


def test_dark_and_flat_windows_come_in_any_number(url):
    with Board.open(url) as board:
        dark = board.dark_capture(4, 19)
        flat = board.calibration_capture(2, 0.5, 3)
    assert [window.number for window in dark + flat] == list(range(22))
    assert {window.kind for window in dark} == {WindowKind.DARK}
    assert {window.kind for window in flat} == {WindowKind.FLAT}
    for window in dark + flat:
        assert_exact(window)
    assert (dark[0].ratio_map.levels == 4).all()


def test_the_scene_behind_a_window(url):
    with Board.open(url) as board:
        board.upload(make_map())
        window = board.capture(3)[-1]
        truth = Scene().window(window.number)
        np.testing.assert_array_equal(board.scene(window.number), truth)
        np.testing.assert_array_equal(board.scene(window.number, 1, 4), truth[1::4])
        with pytest.raises(BoardError) as refused:
            board.scene(99)
        assert refused.value.code is ErrorCode.WINDOW_GONE


def test_settings_of_an_emulator_change_what_its_codes_mean(url):
    with Board.open(url) as board:
        board.upload(make_map())
        assert board.configure(profile="scamp5").bits == 8
        (window,) = board.capture()
        assert window.codes.dtype == np.uint8
        assert (window.black_level_dn, window.full_scale_dn) == (20, 220)
        assert_exact(window)
        with pytest.raises(BoardError, match="no_such"):
            board.configure(profile="no_such")


def test_times_are_on_the_hosts_clock(url):
    with Board.open(url) as board:
        board.upload(make_map())
        before = time.monotonic()
        windows = board.capture(5)
        after = time.monotonic()
        error_s = board.stats.round_trip_s + 0.01
    times = [window.time_s for window in windows]
    assert times == sorted(times)
    assert before - error_s <= times[0]
    assert times[-1] <= after + error_s


def test_the_boards_log_is_heard(url):
    lines = []
    with Board.open(url, on_log=lambda level, text: lines.append(text)) as board:
        board.upload(make_map())
        wait_until(lambda: any(make_map().hash_hex[:16] in line for line in lines))


def test_a_reset_board_gets_its_map_again(url):
    events = []
    with Board.open(url, on_event=events.append) as board:
        board.upload(make_map())
        before = board.info.boot_id
        board.capture(3)
        board.reset()
        assert board.info.boot_id != before
        assert board.status().map_hash == make_map().hash()
        assert board.capture()[0].number == 0
    assert events == []  # nothing happened that was not asked for


def test_a_board_that_stays_away_after_a_reset_is_reported_when_it_returns(url, monkeypatch):
    def unplugged(url, baud):
        raise PortError("the cable is out")

    events = []
    with Board.open(url, reconnect_timeout_s=0.2, on_event=events.append) as board:
        monkeypatch.setattr("focalloop.host.link.connection.open_port", unplugged)
        with pytest.raises(BoardLostError, match="the cable is out"):
            board.reset()
        assert events == []
        monkeypatch.undo()
        wait_until(lambda: events)
    assert "was reset" in events[0]
