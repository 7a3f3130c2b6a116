"""The Board door against a real pty and a real TCP line."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import BoardState, ErrorCode, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardBusyError, BoardError, BoardLostError, UnknownMapError
from tests.support.served import (
    SHAPE,
    Proxy,
    Scene,
    assert_exact,
    make_board,
    make_map,
    on_pty,
    on_tcp,
    wait_until,
)


@pytest.fixture(params=[on_pty, on_tcp])
def url(request):
    """The same tests on every kind of line."""
    with request.param() as server:
        yield server.url


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


def test_a_map_that_the_board_runs_is_not_sent_again(url):
    with Board.open(url) as board:
        board.upload(make_map())
    with Board.open(url) as board:
        with pytest.raises(UnknownMapError, match="not given here"):
            board.capture()
        sent = []
        board.upload(make_map(), lambda *done: sent.append(done))
        assert sent == []
        assert_exact(board.capture()[0])


def test_an_aperture_is_uploaded_with_its_map(url):
    aperture = np.random.default_rng(0).random((16, *SHAPE)) < 0.5
    with Board.open(url) as board:
        active = board.upload(make_map().with_aperture(aperture))
        assert board.status().map_hash == active.hash()
        assert_exact(board.capture()[0])


def test_a_periodic_map_is_repeated_to_the_size_of_the_board(url):
    with Board.open(url) as board:
        active = board.upload(RatioMap.from_tile(NAMED_TILES["tile-2of16"], (256, 256)))
        assert active.shape == SHAPE
        assert_exact(board.capture()[0])


@pytest.mark.parametrize(
    ("ratio_map", "words"),
    [
        (RatioMap.random((31, 48)), "48x31"),
        (RatioMap.uniform(1, SHAPE, slots=8, level_set=(1, 2)), "8 slots"),
        (RatioMap.uniform(16, SHAPE, level_set=(1, 16)), "16"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_and_the_old_one_stays(ratio_map, words):
    with on_pty() as server, Board.open(server.url) as board:
        old = board.upload(make_map())
        with pytest.raises(RatioMapError, match=words):
            board.upload(ratio_map)
        assert board.status().map_hash == old.hash()
        assert_exact(board.capture()[0])


def test_capturing_without_a_map_says_what_to_do(url):
    with Board.open(url) as board, pytest.raises(UnknownMapError, match="upload one"):
        board.capture()


def test_a_stream_ends_with_its_generator_and_leaves_the_board_idle(url):
    with Board.open(url) as board:
        board.upload(make_map())
        with closing(board.stream()) as stream:
            for window in islice(stream, 30):
                assert_exact(window)
            assert board.status().state is BoardState.STREAMING
            with pytest.raises(BoardBusyError):
                board.capture()
        assert board.status().state is BoardState.IDLE
        assert board.capture()[0].number > 29


def test_leaving_the_block_in_mid_stream_leaves_the_board_idle(url):
    with Board.open(url) as board:
        board.upload(make_map())
        stream = board.stream()
        next(stream)
    with pytest.raises(BoardLostError):
        list(stream)
    with Board.open(url) as board:
        assert board.status().state is BoardState.IDLE


def test_a_map_uploaded_in_mid_stream_takes_effect_in_it(url):
    first, second = make_map(1), make_map(2)
    with Board.open(url) as board:
        board.upload(first)
        seen = []
        uploading = threading.Thread(target=board.upload, args=(second,))
        for window in board.stream():
            assert_exact(window)
            seen.append(window.ratio_map.hash())
            if len(seen) == 20:
                uploading.start()
            if seen.count(second.hash()) == 20:
                break
        uploading.join()
    change = seen.index(second.hash())
    assert set(seen[:change]) == {first.hash()}
    assert set(seen[change:]) == {second.hash()}


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


def test_a_slow_consumer_makes_a_real_time_board_skip_and_not_queue():
    with on_tcp(make_board(slot_rate_hz=16000)) as server, Board.open(server.url) as board:
        board.upload(make_map())
        with closing(board.stream(credit=2)) as stream:
            first = next(stream)
            time.sleep(0.3)
            late = list(islice(stream, 4))
    assert [window.number for window in late] == [first.number + i for i in range(1, 5)]
    assert late[-1].skipped > 50
    for window in late:
        assert_exact(window)


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
    assert any("reset" in event for event in events)


def test_a_reset_in_mid_stream_goes_on_with_the_map():
    events = []
    with (
        on_tcp() as server,
        Board.open(server.url, on_event=events.append) as board,
    ):
        board.upload(make_map())
        numbers = []
        for window in board.stream():
            assert_exact(window)
            numbers.append(window.number)
            if len(numbers) == 20:
                board.reset()
            if len(numbers) == 60:
                break
    assert 0 in numbers[20:]
    assert any("ratio map again" in event for event in events)


def test_a_stream_goes_on_after_the_line_was_cut():
    events = []
    with (
        on_tcp() as server,
        Proxy(server.address) as proxy,
        Board.open(proxy.url, on_event=events.append) as board,
    ):
        board.upload(make_map())
        numbers = []
        for window in board.stream():
            assert_exact(window)
            numbers.append(window.number)
            if len(numbers) in (10, 30):
                proxy.cut(5000)
            if len(numbers) == 60:
                break
        stats = board.stats
    assert stats.reconnects == 2
    assert stats.lost == 0
    assert numbers == list(range(60))
    assert sum("is back" in event for event in events) == 2


@pytest.mark.parametrize("after_bytes", [1, 60, 110, 130, 150, 200])
@pytest.mark.parametrize("dark", [False, True])
def test_a_line_cut_while_a_capture_starts(after_bytes, dark):
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        board.upload(make_map())
        proxy.cut(after_bytes)
        for window in board.dark_capture(2, 5) if dark else board.capture(5):
            assert_exact(window)
        assert board.status().state is BoardState.IDLE


def test_an_upload_goes_on_after_the_line_was_cut():
    ratio_map = make_map()
    with (
        on_tcp(make_board(max_payload=256)) as server,
        Proxy(server.address) as proxy,
        Board.open(proxy.url) as board,
    ):
        progress = []

        def note(done, total):
            if not progress:
                proxy.cut(600)
            progress.append((board.stats.reconnects, done))

        board.upload(ratio_map, note)
        assert board.status().map_hash == ratio_map.hash()
        assert board.stats.reconnects == 1
    resumed = next(done for reconnects, done in progress if reconnects)
    assert resumed >= progress[0][1]


def test_calls_wait_for_a_vanished_board_and_then_give_up():
    with on_tcp() as server, Proxy(server.address) as proxy:
        board = Board.open(proxy.url, reconnect_timeout_s=1.0, on_event=lambda text: None)
        with board:
            proxy.down()
            wait_until(lambda: board.state == "lost")
            with pytest.raises(BoardLostError, match="did not come back"):
                board.status()
            proxy.up()
            wait_until(lambda: board.state == "connected")
            assert board.status().state is BoardState.IDLE


def test_a_silent_board_is_noticed_and_found_again():
    with on_tcp() as server, Proxy(server.address) as proxy, Board.open(proxy.url) as board:
        proxy.damage = lambda data: b""
        wait_until(lambda: board.state == "lost")
        proxy.damage = lambda data: data
        wait_until(lambda: board.state == "connected")
        assert board.status().state is BoardState.IDLE


def test_a_device_that_vanishes_and_returns(tmp_path):
    device = tmp_path / "board"
    virtual = make_board()
    with on_pty(virtual, link=device) as server:
        board = Board.open(server.url, reconnect_timeout_s=10, on_event=lambda text: None)
        board.upload(make_map())
        stream = board.stream()
        assert_exact(next(stream))
    with board:
        wait_until(lambda: board.state == "lost")
        with on_pty(link=device):
            for window in islice(stream, 20):
                assert_exact(window)
            assert board.stats.reconnects == 1
            stream.close()
