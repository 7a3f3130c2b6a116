"""The board's clock in terms of the host's.

The link's reader brings the exchanges; the consumer's thread converts the times of windows.
"""

from __future__ import annotations

DRIFT = 1e-4
"""How far two crystals drift apart, in seconds per second; an estimate's error grows as fast."""

MAX_UPTIME_US = 10**16
"""Longest uptime that a clock may show, in microseconds: three centuries."""


class BoardClock:
    """Offset between the board's clock and the host's, from the quickest exchange.

    The board reads its clock at some time between the request and its answer. Taking the middle of
    the two, the error is at most half the round trip (F. Cristian, "Probabilistic clock
    synchronization", Distributed Computing 3, 1989). So the quickest exchange counts, until the
    drift since then outweighs a slower one's error.

    Attributes
    ----------
    offset_s : float or None
        Board time minus host time; None before the first exchange.
    error_s : float
        Largest error of the offset at the time of the exchange.
    """

    def __init__(self) -> None:
        self.offset_s: float | None = None
        self.error_s = float("inf")
        self._at_s = 0.0

    def exchanged(self, sent_s: float, board_s: float, answered_s: float) -> float:
        """Learn from one TIME_SYNC exchange.

        Parameters
        ----------
        sent_s, board_s, answered_s : float
            Host time before it, the board's time, and host time after it.

        Returns
        -------
        float
            The offset that is used from now on.
        """
        error_s = (answered_s - sent_s) / 2
        offset_s = board_s - (sent_s + answered_s) / 2
        old_error_s = self.error_s + DRIFT * (answered_s - self._at_s)
        # Two exchanges that cannot both be right: one clock has jumped, as when a computer sleeps.
        jumped = self.offset_s is not None and abs(offset_s - self.offset_s) > error_s + old_error_s
        if self.offset_s is None or jumped or error_s <= old_error_s:
            self.offset_s = offset_s
            self.error_s = error_s
            self._at_s = answered_s
        return self.offset_s

    def host_s(self, board_us: int) -> float:
        """Host time (``time.monotonic``) at which the board's clock showed `board_us`."""
        if self.offset_s is None:
            raise ValueError("no clock exchange has been made")
        return board_us * 1e-6 - self.offset_s
