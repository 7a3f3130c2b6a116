"""Handing work from thread to thread where the newest wins, and measuring how it flows."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Newest(Generic[T]):
    """A box for one item: what is not taken in time is replaced by what comes after it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> T | None:
        """Put an item in; return the one it replaced, which nobody took."""
        with self._changed:
            replaced, self._item = self._item, item
            self._changed.notify()
            return replaced

    def take(self) -> T | None:
        """Wait for an item and take it; None once the box is closed."""
        with self._changed:
            while self._item is None and not self._closed:
                self._changed.wait()
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Let every `take`, now and later, return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Durations:
    """The latest durations of something, and their quantiles."""

    def __init__(self, kept: int = 300) -> None:
        self._values_s: deque[float] = deque(maxlen=kept)

    def add(self, duration_s: float) -> None:
        """Note a duration."""
        self._values_s.append(duration_s)

    def quantile_ms(self, share: float) -> float | None:
        """Quantile in milliseconds; None before the first duration."""
        values_s = list(self._values_s)
        return 1000 * float(np.quantile(values_s, share)) if values_s else None
