"""Phase, messages, counts, rates and latencies of a live session.

Every thread of the session writes here, and any thread may read a consistent snapshot.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from focalloop.firmware_sim.window import Window
from focalloop.host.board.stats import RateMeter
from focalloop.host.live.state import MAX_MESSAGES, Message, Phase, SpeedState
from focalloop.host.recording.messages import ANYTHING

_MAX_AWAITED_WINDOWS = 64
"""Received windows whose first drawing can still be timed."""


class Durations:
    """The most recent durations of one kind, and their quantiles.

    Parameters
    ----------
    kept : int, optional
        Number of durations that the quantiles are taken over.
    """

    def __init__(self, kept: int = 300) -> None:
        self._values_s: deque[float] = deque(maxlen=kept)

    def add(self, duration_s: float) -> None:
        """Record a duration."""
        self._values_s.append(duration_s)

    def quantile_ms(self, share: float) -> float | None:
        """Return a quantile in milliseconds; None before the first duration."""
        values_s = list(self._values_s)
        return 1000 * float(np.quantile(values_s, share)) if values_s else None


class Telemetry:
    """What a session is doing, what has happened, and how fast its windows flow.

    Attributes
    ----------
    phase : Phase
    activity : str
        What is being done right now.
    progress : float or None
        Completed share of the activity, in [0, 1].
    told : callable
        Takes each sentence for the user, its level, and what it is about.
    """

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.activity = ""
        self.progress: float | None = None
        self.told: Callable[[str, str, str], None] = lambda text, level, about: None
        self._lock = threading.Lock()
        self._messages: deque[Message] = deque(maxlen=MAX_MESSAGES)
        self._counts = SpeedState()
        self._received, self._reconstructed = RateMeter(), RateMeter()
        self._network, self._latency = Durations(kept=60), Durations()
        self._setup = 0
        self._skipped_before = 0
        self._ends_s: deque[tuple[int, float]] = deque(maxlen=_MAX_AWAITED_WINDOWS)
        self._started_s = time.monotonic()

    def enter(self, phase: Phase, activity: str = "", progress: float | None = None) -> None:
        """Record what is being done from now on."""
        with self._lock:
            self.phase, self.activity, self.progress = phase, activity, progress

    def log(
        self,
        text: str,
        level: Literal["info", "warning", "error"] = "info",
        about: str = ANYTHING,
    ) -> None:
        """Record a sentence for the user; `about` is one of `focalloop.host.recording.messages`."""
        with self._lock:
            self._messages.append(Message(time.time(), level, text))
        self.told(text, level, about)

    def received(self, window: Window) -> None:
        """Record a window that arrived whole."""
        with self._lock:
            self._received.add(1, time.monotonic())
            self._ends_s.append((window.number, window.time_s))
            if window.skipped < self._skipped_before:  # the board was reset
                self._skipped_before = 0
            elif self._counts.windows_received == 0:
                self._skipped_before = window.skipped
            skipped = window.skipped - self._skipped_before
            self._add(windows_received=1, windows_dropped_by_board=skipped)
            self._skipped_before = window.skipped

    def dropped(self) -> None:
        """Record a received window that was replaced by a newer one."""
        with self._lock:
            self._add(windows_dropped_by_host=1)

    def reconstructed(self, number: int, setup: int, network_s: float) -> None:
        """Record a reconstructed window, its setup, and the time that its network took."""
        with self._lock:
            now_s = time.monotonic()
            if setup != self._setup:
                self._begin(setup, number)
            self._reconstructed.add(1, now_s)
            self._network.add(network_s)
            self._add(windows_reconstructed=1)
            if self._counts.first_picture_s is None:
                self._counts = replace(self._counts, first_picture_s=now_s - self._started_s)

    def drawn(self, number: int) -> None:
        """Record that a viewer has just put a window on its screen."""
        now_s = time.monotonic()
        with self._lock:
            for window, end_s in reversed(self._ends_s):
                if window == number:
                    self._latency.add(now_s - end_s)
                    return

    def messages(self) -> tuple[Message, ...]:
        """Return the sentences for the user, oldest first."""
        with self._lock:
            return tuple(self._messages)

    def speed(self, windows_lost: int, setup: int) -> SpeedState:
        """Return the present counts, and the rates and latencies if they are of this setup."""
        now_s = time.monotonic()
        with self._lock:
            counts = replace(
                self._counts,
                windows_lost=windows_lost,
                received_per_s=self._received.per_s(now_s),
            )
            if setup != self._setup:
                return counts
            return replace(
                counts,
                reconstructed_per_s=self._reconstructed.per_s(now_s),
                reconstruct_ms=self._network.quantile_ms(0.5),
                latency_p50_ms=self._latency.quantile_ms(0.5),
                latency_p95_ms=self._latency.quantile_ms(0.95),
            )

    def _begin(self, setup: int, number: int) -> None:
        """Start rates and latencies anew with this window, the first one of a setup."""
        self._setup = setup
        self._reconstructed = RateMeter()
        self._network, self._latency = Durations(kept=60), Durations()
        while self._ends_s and self._ends_s[0][0] != number:
            self._ends_s.popleft()  # its drawing would time the setup before

    def _add(self, **counts: int) -> None:
        self._counts = replace(
            self._counts,
            **{name: getattr(self._counts, name) + count for name, count in counts.items()},
        )
