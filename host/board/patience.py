"""How long a consumer waits for windows of a board that is connected and sends none.

The consumer's thread calls this while it waits. The time of an outage does not count.
"""

from __future__ import annotations

from focalloop.firmware_sim.wire import HelloAnswer
from focalloop.host.errors import FaultyBoardError
from focalloop.host.link.connection import Connection

STALL_S = 6.0
"""Longest wait without any part of the awaited windows while the board is connected, in addition to
the exposure of two windows and three frames on the line."""

WINDOW_S = 120.0
"""Longest wait for one window of which parts arrive, in addition to the exposure of two windows and
eight times its time on the line."""


class Patience:
    """Finds out that a board will not send a whole window.

    Parameters
    ----------
    connection : Connection
        Way to the board.
    board : HelloAnswer
        What the board is.
    readout_bytes : int
        Largest readout.
    """

    def __init__(self, connection: Connection, board: HelloAnswer, readout_bytes: int) -> None:
        exposure_s = board.slots / board.slot_rate_hz if board.slot_rate_hz else 0.0
        self._stall_s = STALL_S + 2 * exposure_s + 3 * connection.frame_s
        self._window_s = WINDOW_S + 2 * exposure_s + 8 * connection.line_s(readout_bytes)
        self._connection = connection
        self._traffic = (0, 0)
        self._news = 0
        self._without_news_s = self._without_window_s = 0.0

    def window_came(self) -> None:
        """Note that a whole window arrived; both waits begin anew."""
        self._without_news_s = self._without_window_s = 0.0

    def waited(self, seconds: float, news: int, window: int, hint: str) -> None:
        """Note that the consumer has waited in vain.

        Parameters
        ----------
        seconds : float
            How long, on a board that is connected.
        news : int
            Parts of awaited windows received so far.
        window : int
            The window that is awaited.
        hint : str
            What was wrong with the last part that could not be used; empty if none was.

        Raises
        ------
        FaultyBoardError
            It has been too long.
        """
        counters = self._connection.counters()
        traffic = counters["bytes_in"], counters["frames_good"] + counters["frames_bad"]
        bytes_before, frames_before = self._traffic
        in_long_frame = traffic[0] != bytes_before and traffic[1] == frames_before
        self._traffic = traffic
        self._without_window_s += seconds
        if news != self._news:
            self._news, self._without_news_s = news, 0.0
        elif not in_long_frame:
            self._without_news_s += seconds
        if self._without_news_s > self._stall_s:
            what = f"nothing new of it came in {self._without_news_s:.0f} s"
        elif self._without_window_s > self._window_s:
            what = f"it is still incomplete after {self._without_window_s:.0f} s"
        else:
            return
        raise FaultyBoardError(
            f"the board at {self._connection.url} answers, but does not send window {window} "
            f"whole: {what}{hint and f' ({hint})'}; reset the board, or update its firmware"
        )
