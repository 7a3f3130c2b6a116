"""The windows that a consumer does not get, reported to the user at most once per second.

The link's threads add numbers; the consumer's thread reports the last ones when a stream ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

REPORT_INTERVAL_S = 1.0
"""Shortest time between two sentences about lost windows."""

MAX_NUMBERS_KEPT = 100
"""Numbers of lost windows that are kept, the latest ones."""

MAX_NUMBERS_NAMED = 8
"""Numbers that one sentence names."""

NOT_HELD = "the board no longer holds what did not arrive"
UNKNOWN_GRID = "this program does not know the grid under which it was read"


class LostWindows:
    """The windows of one board that are lost.

    Parameters
    ----------
    url : str
        Where the board is, for the sentences.
    tell : callable
        Takes sentences for the user.

    Attributes
    ----------
    count : int
        How many there are.
    """

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        self.count = 0
        self._url = url
        self._tell = tell
        self._numbers: deque[int] = deque(maxlen=MAX_NUMBERS_KEPT)
        self._untold: dict[str, list[int]] = {}
        self._told_s = 0.0

    @property
    def numbers(self) -> tuple[int, ...]:
        """Their numbers, the latest last; of very many only the latest `MAX_NUMBERS_KEPT`."""
        return tuple(self._numbers)

    def add(self, numbers: Iterable[int], reason: str = NOT_HELD) -> None:
        """Note that these windows are lost, and why."""
        for number in numbers:
            self.count += 1
            self._numbers.append(number)
            self._untold.setdefault(reason, []).append(number)

    def tell_when_due(self, now_s: float) -> None:
        """Tell the user, unless the last sentence is younger than `REPORT_INTERVAL_S`."""
        if now_s >= self._told_s + REPORT_INTERVAL_S:
            self.tell(now_s)

    def tell(self, now_s: float) -> None:
        """Tell the user what has been lost since the last sentence, if anything has."""
        untold, self._untold, self._told_s = self._untold, {}, now_s
        for reason, numbers in untold.items():
            named = ", ".join(map(str, numbers[:MAX_NUMBERS_NAMED]))
            if len(numbers) > MAX_NUMBERS_NAMED:
                named += ", ..."
            what = f"window{'s' * (len(numbers) > 1)} {named}"
            self._tell(f"lost {what} of {self._url}: {reason}")
