"""Adaptive maps through `Board`: grids, the windows under them, and losses of the board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMapError
from focalloop.firmware_sim.wire import ErrorCode, Feature, GridRequest, MessageType
from focalloop.host.board.client import Board
from focalloop.host.board.known_maps import MAX_COMPOSED, MAX_GRIDS, KnownMaps
from focalloop.host.board.upload import fitted_adaptive
from focalloop.host.captures.capture import Capture
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import BoardError, BoardLostError, UnknownMapError
from tests.support.served import (
    SHAPE,
    assert_exact,
    make_adaptive_map,
    make_board,
    make_map,
    on_pty,
    on_tcp,
)
from tests.support.waiting import wait_until

GRIDS = np.random.default_rng(3).integers(0, 6, (8, 2, 3))


@contextmanager
def adaptive_board(made: AdaptiveMap, **settings: Any) -> Iterator[Board]:
    with on_pty(make_board(**settings)) as server, Board.open(server.url) as board:
        board.upload(made)
        yield board


def test_windows_carry_the_maps_that_their_grids_compose(url: str) -> None:
    made = make_adaptive_map()
    with Board.open(url) as board:
        done: list[tuple[int, int]] = []
        assert board.upload(made, lambda count, total: done.append((count, total))) is not made
        assert board.adaptive_map is not None
        assert board.status().map_hash == made.hash() == board.adaptive_map.hash()
        assert board.ratio_map == made.resting
        assert "runs 7 tiles 4x4 in blocks of 16x16" in repr(board)
        assert done[-1] == (len(made.resting.pack()) + len(made.pack_palette()),) * 2
        for number, grid in ((1, GRIDS[0]), (2, GRIDS[1]), (4, None)):
            assert board.set_grid(number, grid) == 0
        windows = board.capture(5)
    wanted = [made.resting, *(made.compose(GRIDS[i]) for i in (0, 1, 1)), made.resting]
    assert [window.ratio_map for window in windows] == wanted
    for window in windows:
        assert_exact(window)


def test_a_program_follows_the_windows_with_its_grids() -> None:
    made = make_adaptive_map()
    maps = []
    with adaptive_board(made, slot_rate_hz=800.0) as board, closing(board.stream(2)) as windows:
        for window in islice(windows, 12):
            assert_exact(window)
            maps.append(window.ratio_map)
            board.set_grid(window.number + 3, GRIDS[window.number % 8])
    assert maps[:3] == [made.resting] * 3
    assert maps[3:] == [made.compose(GRIDS[number % 8]) for number in range(9)]


def test_what_the_board_refuses_is_said() -> None:
    made = make_adaptive_map()
    with adaptive_board(made) as board:
        board.capture(2)
        for window in (1, 300):
            with pytest.raises(BoardError, match=f"window {window} can get no grid") as raised:
                board.set_grid(window, GRIDS[0])
            assert raised.value.code == ErrorCode.BAD_ARGUMENT
        with pytest.raises(BoardError, match="measures nothing"):
            board.set_grid(2, np.full((2, 3), 6))
        with pytest.raises(RatioMapError, match=r"names tile 7"):
            board.set_grid(2, np.full((2, 3), 7))
        for window in (-1, 2**32, 2.5):
            with pytest.raises(RatioMapError, match=f"not {window}"):
                board.set_grid(window, GRIDS[0])
        board.upload(make_map())
        assert board.adaptive_map is None
        with pytest.raises(UnknownMapError, match="no adaptive map"):
            board.set_grid(2, GRIDS[0])


def test_an_adaptive_map_that_the_board_cannot_run_is_not_sent() -> None:
    made = make_adaptive_map()
    with on_pty() as server, Board.open(server.url) as board:
        info = board.info
    with pytest.raises(RatioMapError, match="cannot run an adaptive map"):
        fitted_adaptive(made, replace(info, features=info.features & ~Feature.ADAPTIVE))
    with pytest.raises(RatioMapError, match=r"96 blocks does not fit .* which hold 92: use larger"):
        fitted_adaptive(make_adaptive_map(block=4), replace(info, max_payload=96))
    with pytest.raises(RatioMapError, match="level 4"):
        fitted_adaptive(
            AdaptiveMap(make_map().uniform(1, SHAPE), made.tiles, 16),
            replace(info, level_set=(0, 1, 2)),
        )


@pytest.mark.parametrize("event", ["disconnect", "reset"])
def test_after_an_outage_the_board_rests_until_the_next_grid(event: Any) -> None:
    made = make_adaptive_map()
    with (
        on_tcp(make_board(slot_rate_hz=800.0)) as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(made)
        with closing(board.stream()) as windows:
            board.set_grid(5, GRIDS[0])
            assert made.compose(GRIDS[0]) in [w.ratio_map for w in islice(windows, 12)]
            server.inject(event, 0.1)
            rested = next(w for w in windows if w.ratio_map == made.resting)
            assert board.stats.reconnects == 1
            board.set_grid(rested.number + 30, GRIDS[1])
            for window in windows:
                assert_exact(window)
                if window.ratio_map == made.compose(GRIDS[1]):
                    break
        assert board.status().map_hash == made.hash()


def test_no_grid_is_set_while_the_board_is_lost() -> None:
    with (
        on_tcp() as server,
        Board.open(server.url, on_event=lambda text: None) as board,
    ):
        board.upload(make_adaptive_map())
        server.inject("disconnect", 60.0)
        wait_until(lambda: board.state == "lost")
        with pytest.raises(BoardLostError, match="set the grid again once it is back"):
            board.set_grid(5, GRIDS[0])


def test_a_window_under_a_grid_of_somebody_else_is_lost_and_told() -> None:
    made = make_adaptive_map()
    told: list[str] = []
    with (
        on_pty() as server,
        Board.open(server.url, on_event=told.append) as board,
    ):
        board.upload(made)
        for window, grid in ((1, bytes([1] * 6)), (2, b"")):
            body = GridRequest(window, grid).pack()
            board._driver.connection.request(MessageType.GRID, body)
        windows = board.capture(4)
        assert board.stats.lost_windows == (1,)
    assert [window.number for window in windows] == [0, 2, 3]
    assert any("lost window 1" in text and "does not know the grid" in text for text in told)


def test_frames_become_long_enough_for_grids(url: str) -> None:
    made = make_adaptive_map(block=2)  # 384 blocks
    with Board.open(url) as board:
        while board._driver._frame_size.shorten():
            pass
        board.upload(made)
        assert board.stats.frame_bytes == 388
        grid = np.random.default_rng(0).integers(0, 6, made.grid_shape)
        board.set_grid(0, grid)
        (window,) = board.capture()
    assert window.ratio_map == made.compose(grid)
    assert_exact(window)


def test_known_grids_are_bounded() -> None:
    made = make_adaptive_map(block=1)
    with on_pty() as server, Board.open(server.url) as board:
        info = board.info
    maps = KnownMaps()
    rng = np.random.default_rng(0)
    grids = rng.integers(0, 6, (MAX_GRIDS + 1, *made.grid_shape), np.uint8)
    for grid in grids:
        maps.add_grid(made, grid)
    with pytest.raises(UnknownMapError):
        maps.find(made.grid_hash(grids[0]), info)
    for grid in (*grids[-MAX_COMPOSED - 2 :], grids[1]):
        ratio_map, plan = maps.find(made.grid_hash(grid), info)
        assert ratio_map == made.compose(grid)
        assert plan.count == ratio_map.levels.sum()


def test_a_capture_keeps_the_map_of_every_window(tmp_path: Any) -> None:
    made = make_adaptive_map()
    with adaptive_board(made) as board:
        board.set_grid(1, GRIDS[0])
        windows = board.capture(3)
        with CaptureWriter(tmp_path / "taken", board.info) as writer:
            for window in windows:
                writer.add(window)
    series = Capture.load(tmp_path / "taken").series
    assert [item.ratio_map for item in series] == [made.resting, made.compose(GRIDS[0])]
    assert [len(item) for item in series] == [1, 2]
