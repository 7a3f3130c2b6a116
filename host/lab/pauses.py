"""Pauses before a process that has ended by itself is started again."""

from __future__ import annotations

_HEALTHY_S = 30.0
_MAX_PAUSE_S = 30.0


class Pauses:
    """No pause at first, then longer and longer ones, until the process has run for a while."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def next_s(self, ran_s: float) -> float:
        """Return the pause, in seconds, after a process has run for so long."""
        pause_s = 0.0 if ran_s >= _HEALTHY_S else self._next_s
        self._next_s = min(max(1.0, 2 * pause_s), _MAX_PAUSE_S)
        return pause_s
