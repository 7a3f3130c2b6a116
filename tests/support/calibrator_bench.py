"""A calibrator over a served board with the real emulator behind it."""

from contextlib import contextmanager
from dataclasses import replace

from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Feature
from focalloop.host.board.client import Board
from focalloop.host.live.board_tasks import BoardTasks
from focalloop.host.live.calibrator import Calibrator
from focalloop.host.live.telemetry import Telemetry
from tests.support.lamp import Lamp
from tests.support.made_calibration import PROFILE
from tests.support.served import on_pty

SHAPE = (32, 48)


def make_emulated(**settings):
    board = VirtualBoard(Lamp(SHAPE), BoardSettings(profile=PROFILE, seed=3, **settings))
    board.warm_up()
    return board


@contextmanager
def by_hand(lacks=Feature.EMULATOR, memory=None, **settings):
    """A calibrator over a board that says that it is real, its tasks, and the board."""
    with on_pty(make_emulated(**settings)) as server, Board.open(server.url) as board:
        board._driver.info = replace(board.info, features=board.info.features & ~lacks)
        tasks, telemetry = BoardTasks(), Telemetry()
        yield Calibrator(tasks, telemetry, lambda: board, memory), tasks, board
