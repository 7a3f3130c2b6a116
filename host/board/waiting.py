"""Opening a board that is not there yet: an emulator takes seconds to listen."""

from __future__ import annotations

import time
from collections.abc import Callable

from focalloop.host.board.client import Board
from focalloop.host.errors import PortMissingError

_RETRY_S = 0.2


def open_when_there(
    open_board: Callable[[], Board],
    wait_s: float,
    on_wait: Callable[[str], None],
    ended: Callable[[float], bool] | None = None,
) -> Board:
    """Open a board, again and again while its port does not exist or nothing listens there.

    Parameters
    ----------
    open_board : callable
        Opens the board.
    wait_s : float
        How long the port may be missing, seconds; 0 is not at all.
    on_wait : callable
        Takes a sentence when the waiting begins.
    ended : callable, optional
        Sleeps for some seconds and returns whether to give up; `time.sleep` if left out.

    Raises
    ------
    PortError
        The port cannot be opened for another reason, or was missing all the time.
    """
    until_s = time.monotonic() + wait_s
    told = False
    while True:
        try:
            return open_board()
        except PortMissingError as error:
            if time.monotonic() >= until_s:
                raise
            if not told:
                on_wait(f"waiting up to {wait_s:g} s (--wait), as {error}")
            told = True
            if ended is None:
                time.sleep(_RETRY_S)
            elif ended(_RETRY_S):
                raise
