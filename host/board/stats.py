"""How a connection is doing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

GOODPUT_WINDOW_S = 2.0
"""Time over which the goodput is averaged."""


@dataclass(frozen=True)
class LinkStats:
    """Counters of a connection since it was opened, and its present speed.

    Attributes
    ----------
    bytes_in, bytes_out : int
        On the line.
    frames_good, frames_bad : int
        Received whole, and received damaged.
    repeats : int
        Requests sent again for want of an answer.
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
        Readout bytes a second, of late.
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


class GoodputMeter:
    """Bytes a second over the last :data:`GOODPUT_WINDOW_S`."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, int]] = deque()

    def add(self, count: int, now_s: float) -> None:
        """Count `count` bytes."""
        self._arrivals.append((now_s, count))
        while self._arrivals[0][0] <= now_s - GOODPUT_WINDOW_S:
            self._arrivals.popleft()

    def bytes_per_s(self, now_s: float) -> float:
        """Present speed."""
        arrivals = list(self._arrivals)
        recent = sum(count for at_s, count in arrivals if at_s > now_s - GOODPUT_WINDOW_S)
        if not arrivals or not recent:
            return 0.0
        # Just after the start the window is not full yet; a tenth of it is the least to judge by.
        span_s = min(GOODPUT_WINDOW_S, now_s - arrivals[0][0])
        return recent / max(span_s, 0.1 * GOODPUT_WINDOW_S)
