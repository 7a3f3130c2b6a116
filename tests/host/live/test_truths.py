"""The truth of a window from the clip of its board: what SCENE answers, bit for bit."""

import time
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import Clips
from focalloop.firmware_sim.scenes.scene import FileScene
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.host.board.client import Board
from focalloop.host.live.truths import Truths
from tests.support.served import SHAPE, Reader, make_map, on_pty
from tests.support.waiting import wait_until


def clip(seed=0, frames_per_slot=1.0):
    frames = np.random.default_rng(seed).integers(0, 256, (5, 16, *SHAPE), np.uint8)
    return FileScene(Clips(frames, tuple("abcde")), frames_per_slot)


@pytest.fixture(params=[1.0, 0.4])
def pace(request):
    return request.param


@pytest.fixture
def board(pace):
    settings = BoardSettings(profile=preset("paper"), slot_rate_hz=2000.0, ratio_map=make_map())
    served = VirtualBoard(clip(frames_per_slot=pace), settings, make_reader=Reader)
    with on_pty(served) as server, Board.open(server.url) as board:
        board.upload(make_map())
        yield board


@pytest.fixture
def asked(monkeypatch):
    """The windows whose scene came over the line."""
    asked, over_the_line = [], Board.scene

    def scene(board, window, first_slot=0, step=1):
        asked.append(window)
        return over_the_line(board, window, first_slot, step)

    monkeypatch.setattr(Board, "scene", scene)
    return asked


def compared(board, truths, asked, count):
    """Compare the truth of windows with what the board sends; return whether each was known here.

    Between the first of them and the others, the board skips some.
    """
    known = []
    with closing(board.stream(credit=1)) as windows:
        for window in islice(windows, count):
            before, step = len(asked), (1, 4)[len(known) % 2]
            truth = truths.of(board, window, step)
            known.append(len(asked) == before)
            np.testing.assert_array_equal(truth, board.scene(window.number, 0, step))
            if len(known) == 1:
                wait_until(lambda window=window: board.status().skipped > window.skipped)
    return known


def test_it_is_what_the_board_sends_and_costs_the_line_nothing(board, asked, pace):
    truths = Truths(lambda: clip(frames_per_slot=pace))
    wait_until(lambda: compared(board, truths, asked, 1) == [True])
    assert all(compared(board, truths, asked, 8))


def test_another_clip_than_the_boards_is_not_used(board, asked):
    files = [clip(seed=1)]
    truths = Truths(files.pop)
    compared(board, truths, asked, 1)
    wait_until(lambda: not files)
    assert not any(compared(board, truths, asked, 8))


def test_a_clip_that_is_gone_or_not_known_comes_over_the_line(board, asked):
    def gone():
        raise SceneError("the file is gone")

    for truths in (Truths(gone), Truths(None)):
        assert not any(compared(board, truths, asked, 4))


def test_a_board_that_was_started_again_is_compared_again(board, asked, pace):
    files = [clip(frames_per_slot=pace), clip(seed=1)]  # what it shows, and what replaced that
    truths = Truths(lambda: files.pop(0))
    wait_until(lambda: compared(board, truths, asked, 1) == [True])
    truths.begin()
    compared(board, truths, asked, 1)
    wait_until(lambda: not files)
    assert not any(compared(board, truths, asked, 4))


def test_the_end_waits_for_a_clip_that_is_being_read(board, pace):
    """A program that ended meanwhile would be aborted inside OpenCV."""
    read = []

    def open_clip():
        time.sleep(0.2)
        read.append(clip(frames_per_slot=pace))
        return read[-1]

    truths = Truths(open_clip)
    truths.close()  # nothing has begun
    with closing(board.stream(credit=1)) as windows:
        truths.of(board, next(windows), 1)
    assert not read
    truths.close()
    assert read
