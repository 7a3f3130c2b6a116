"""Tasks between two streams: every future is completed, whatever happens."""

import pytest

from focalloop.host.errors import BoardLostError
from focalloop.host.live.board_tasks import BoardTasks


def test_tasks_run_in_order_and_one_that_fails_stops_no_other():
    tasks, done = BoardTasks(), []
    first = tasks.submit(lambda board: done.append((1, board)))
    second = tasks.submit(lambda board: 1 / 0)
    third = tasks.submit(lambda board: done.append((3, board)))
    assert tasks.pending
    tasks.run_all("board")
    assert done == [(1, "board"), (3, "board")]
    assert first.result(0) is third.result(0) is None
    assert isinstance(second.exception(0), ZeroDivisionError)
    assert not tasks.pending


def test_a_lost_board_fails_the_remaining_tasks_too():
    tasks = BoardTasks()

    def lose(board):
        raise BoardLostError("the board vanished")

    first, second = tasks.submit(lose), tasks.submit(lambda board: None)
    with pytest.raises(BoardLostError):
        tasks.run_all("board")
    tasks.fail_all(BoardLostError("the board vanished"))
    for task in (first, second):
        assert isinstance(task.exception(0), BoardLostError)


def test_a_closed_queue_fails_every_task():
    tasks = BoardTasks()
    waiting = tasks.submit(lambda board: None)
    tasks.close(BoardLostError("the session has ended"))
    late = tasks.submit(lambda board: None)
    for task in (waiting, late):
        assert isinstance(task.exception(0), BoardLostError)
