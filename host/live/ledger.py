"""What happened in a live session, written by its threads and read as a whole by anybody."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import Literal

from focalloop.host.board.stats import RateMeter
from focalloop.host.board.window import Window
from focalloop.host.live.newest import Durations
from focalloop.host.live.state import Message, Phase, SpeedState

_MOST_MESSAGES = 50
_REMEMBERED_WINDOWS = 64


class Ledger:
    """Phase, messages, counts, rates and latencies of a session.

    Attributes
    ----------
    phase : Phase
    activity : str
        What is being done right now.
    progress : float or None
        Share of the activity that is done.
    """

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.activity = ""
        self.progress: float | None = None
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=_MOST_MESSAGES)
        self._counts = SpeedState()
        self._received, self._rebuilt = RateMeter(), RateMeter()
        self._network, self._latency = Durations(kept=60), Durations()
        self._skipped_before = 0
        self._ends_s: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED_WINDOWS)
        self._started_s = time.monotonic()

    def enter(self, phase: Phase, activity: str = "", progress: float | None = None) -> None:
        """Note what is being done from now on."""
        with self._lock:
            self.phase, self.activity, self.progress = phase, activity, progress

    def tell(self, text: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Note a sentence for the user."""
        with self._lock:
            self._messages.append(Message(time.time(), level, text))

    def received(self, window: Window) -> None:
        """Note a window that arrived whole."""
        with self._lock:
            self._received.add(1, time.monotonic())
            self._ends_s.append((window.number, window.time_s))
            if window.skipped < self._skipped_before:  # the board was reset
                self._skipped_before = 0
            elif self._counts.windows_received == 0:
                self._skipped_before = window.skipped
            self._add(windows_received=1, windows_skipped=window.skipped - self._skipped_before)
            self._skipped_before = window.skipped

    def passed_over(self) -> None:
        """Note a window that gave way to a newer one."""
        with self._lock:
            self._add(windows_passed_over=1)

    def rebuilt(self, network_s: float) -> None:
        """Note a reconstructed window and the time its network took."""
        with self._lock:
            self._rebuilt.add(1, time.monotonic())
            self._network.add(network_s)
            self._add(windows_reconstructed=1)
            if self._counts.first_picture_s is None:
                first_s = time.monotonic() - self._started_s
                self._counts = replace(self._counts, first_picture_s=first_s)

    def drawn(self, number: int) -> None:
        """Note that a viewer has just put a window on the screen."""
        now_s = time.monotonic()
        with self._lock:
            for window, end_s in reversed(self._ends_s):
                if window == number:
                    self._latency.add(now_s - end_s)
                    return

    def messages(self) -> tuple[Message, ...]:
        """Return the sentences for the user, the newest last."""
        with self._lock:
            return tuple(self._messages)

    def speed(self, windows_lost: int) -> SpeedState:
        """Return counts, rates and latencies as they stand."""
        now_s = time.monotonic()
        with self._lock:
            return replace(
                self._counts,
                windows_lost=windows_lost,
                received_per_s=self._received.per_s(now_s),
                reconstructed_per_s=self._rebuilt.per_s(now_s),
                reconstruct_ms=self._network.quantile_ms(0.5),
                latency_p50_ms=self._latency.quantile_ms(0.5),
                latency_p95_ms=self._latency.quantile_ms(0.95),
            )

    def _add(self, **counts: int) -> None:
        self._counts = replace(
            self._counts,
            **{name: getattr(self._counts, name) + count for name, count in counts.items()},
        )
