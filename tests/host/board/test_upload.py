"""Uploads end whole, over good lines and bad ones, or change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.host.board.client import Board
from focalloop.host.errors import FocalloopError, UnknownMapError
from tests.support.bad_line import Damage, Proxy
from tests.support.served import SHAPE, assert_exact, make_board, make_map, on_pty, on_tcp
from tests.support.waiting import wait_until


def test_a_map_that_the_board_runs_is_not_sent_again(url):
    with Board.open(url) as board:
        board.upload(make_map())
    with Board.open(url) as board:
        with pytest.raises(UnknownMapError, match="does not have"):
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
        (RatioMap.uniform(0, SHAPE), "every pixel has level 0"),
        (make_map().with_aperture(np.zeros((16, *SHAPE), bool)), "never opens"),
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


@pytest.mark.parametrize("seed", range(4))
def test_an_upload_over_a_bad_line_is_whole_or_changes_nothing(seed):
    with (
        on_tcp(make_board(max_payload=256)) as server,
        Proxy(server.address) as proxy,
        Board.open(proxy.url) as board,
    ):
        old = board.upload(make_map(100)).hash()
        new = make_map(seed).hash()
        proxy.damage = Damage(seed, 1.5e-3)
        try:
            board.upload(make_map(seed))
            wanted = {new}
        except FocalloopError:
            wanted = {old, new}
        proxy.damage = lambda data: data
        wait_until(lambda: board.state == "connected")
        assert board.status().map_hash in wanted
        for window in board.capture(3):
            assert_exact(window)
