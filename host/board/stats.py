"""How a connection is doing: its counters, and a meter of rates.

The driver puts the counters together in the thread that asks for them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

RATE_WINDOW_S = 2.0
"""Time over which a rate is averaged, in seconds."""


@dataclass(frozen=True)
class LinkStats:
    """Counters of a connection since it was opened, over every opening of its port, and its speed.

    Attributes
    ----------
    bytes_in, bytes_out : int
        Bytes received from the board and sent to it.
    frames_good, frames_bad : int
        Frames received whole, and received damaged.
    repeats : int
        Requests sent again because no answer came.
    resends : int
        Times that a part of a window was asked for again.
    windows : int
        Windows handed out.
    lost : int
        Windows given up: damaged on the line and no longer held by the board.
    lost_windows : tuple of int
        Their numbers, the latest last; of very many only the latest.
    reconnects : int
        Times the board came back after it had vanished.
    goodput_bytes_per_s : float
        Bytes of readouts per second, over the last `RATE_WINDOW_S`.
    frame_bytes : int
        Longest frame body in use: shorter on a line that damages long ones.
    round_trip_s : float or None
        Smoothed time from a request to its answer.
    clock_offset_s : float or None
        Board clock minus ``time.monotonic``.
    """

    bytes_in: int
    bytes_out: int
    frames_good: int
    frames_bad: int
    repeats: int
    resends: int
    windows: int
    lost: int
    lost_windows: tuple[int, ...]
    reconnects: int
    goodput_bytes_per_s: float
    frame_bytes: int
    round_trip_s: float | None
    clock_offset_s: float | None


class RateMeter:
    """The rate of something that is counted, over the last `RATE_WINDOW_S`.

    One thread adds; any thread may read.
    """

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def add(self, count: int, now_s: float) -> None:
        """Add `count` at `now_s` of ``time.monotonic``."""
        self._counts.append((now_s, count))
        while self._counts[0][0] <= now_s - RATE_WINDOW_S:
            self._counts.popleft()

    def per_s(self, now_s: float) -> float:
        """Return the present rate per second; 0 after a pause of `RATE_WINDOW_S`."""
        recent = [entry for entry in list(self._counts) if entry[0] > now_s - RATE_WINDOW_S]
        if not recent:
            return 0.0
        # The first count only marks where the time begins. Two counts in quick succession say
        # nothing about a rate: the average is taken over at least a tenth of the window.
        span_s = max(now_s - recent[0][0], RATE_WINDOW_S / 10)
        return sum(count for _, count in recent[1:]) / span_s
