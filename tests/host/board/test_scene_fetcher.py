"""The scene behind a window comes whole though parts of it are lost, whatever else is sent."""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np
import pytest

from focalloop.firmware_sim.wire import MessageType, SceneAnswer
from focalloop.host.board import scene_fetcher
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardLostError, FaultyBoardError
from tests.support.lying_board import LyingBoard, Once, with_body
from tests.support.served import Scene, make_map, on_tcp

PARTS = 25
"""Frames of a scene of this size, on a board that takes bodies of 1 KiB."""


def serve(lie):
    return on_tcp(LyingBoard(lie, max_payload=1024))


@pytest.fixture
def questions():
    """Ask a board for its status without pause, as is done while a window is missing."""
    ending = threading.Event()

    def begin(board):
        def ask():
            with suppress(BoardLostError):  # the board was closed
                while not ending.wait(0.01):
                    board.status()

        threading.Thread(target=ask, daemon=True).start()

    yield begin
    ending.set()


@pytest.mark.parametrize("skip", [0, PARTS // 2, PARTS - 1])
def test_a_lost_part_comes_although_the_line_is_never_silent(questions, skip, monkeypatch):
    monkeypatch.setattr(scene_fetcher, "FETCH_S", 20.0)  # whatever else the machine does
    lost = Once(MessageType.SCENE_DATA, skip=skip)
    with serve(lost) as server, Board.open(server.url) as board:
        board.upload(make_map())
        (window,) = board.capture()
        questions(board)
        scene = board.scene(window.number)
    assert lost.done
    np.testing.assert_array_equal(scene, Scene().window(window.number))


def test_a_scene_that_never_comes_is_given_up(questions):
    def withhold(frame):
        return () if frame.type == MessageType.SCENE_DATA else (frame,)

    with serve(withhold) as server, Board.open(server.url) as board:
        board.upload(make_map())
        (window,) = board.capture()
        questions(board)
        with pytest.raises(BoardLostError, match="did not arrive whole"):
            board.scene(window.number)


@pytest.mark.parametrize("total", [0, 1, 2**32 - 1])
def test_a_scene_of_another_size_is_the_boards_fault(total):
    lie = Once(MessageType.SCENE, with_body(lambda body: SceneAnswer(total).pack()))
    with serve(lie) as server, Board.open(server.url) as board:
        board.upload(make_map())
        (window,) = board.capture()
        with pytest.raises(FaultyBoardError, match=f"announces {total} bytes for the scene"):
            board.scene(window.number)


def test_the_end_of_a_window_is_asked_for_though_the_line_is_never_silent(questions):
    lost = []

    def lose_the_end(frame):
        """Lose the last part of a readout, which is shorter than those before, once."""
        if frame.type == MessageType.READOUT and len(frame.body) < 1024 and not lost:
            lost.append(frame)
            return ()
        return (frame,)

    with serve(lose_the_end) as server, Board.open(server.url) as board:
        board.upload(make_map())
        questions(board)
        assert len(board.capture(1)) == 1  # or an error, after some seconds without progress
    assert lost
