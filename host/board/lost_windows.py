"""The windows that did not arrive, by their numbers, and the user told of them now and then."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

TOLD_EVERY_S = 1.0
"""Least time between two sentences about lost windows."""

REMEMBERED = 100
"""Lost windows that are remembered by their numbers, the latest of them."""

NAMED = 8
"""Numbers that one sentence names."""


class LostWindows:
    """What was lost of one board's windows.

    Parameters
    ----------
    url : str
        Of the board, for the sentences.
    tell : callable
        Takes sentences for the user.
    """

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        self._url = url
        self._tell = tell
        self._numbers: deque[int] = deque(maxlen=REMEMBERED)
        self._untold: list[int] = []
        self._told_s = 0.0

    @property
    def numbers(self) -> tuple[int, ...]:
        """Window numbers, the latest last; of very many only the latest `REMEMBERED`."""
        return tuple(self._numbers)

    def add(self, numbers: Iterable[int]) -> None:
        """Note that these windows are lost."""
        for number in numbers:
            self._numbers.append(number)
            self._untold.append(number)

    def tell_in_time(self, now_s: float) -> None:
        """Tell the user, unless the last sentence is not `TOLD_EVERY_S` old."""
        if now_s >= self._told_s + TOLD_EVERY_S:
            self.tell(now_s)

    def tell(self, now_s: float) -> None:
        """Tell the user of what was lost since the last sentence, if anything was."""
        numbers, self._untold, self._told_s = self._untold, [], now_s
        if numbers:
            named = ", ".join(map(str, numbers[:NAMED])) + (", ..." if len(numbers) > NAMED else "")
            what = f"window{'s' * (len(numbers) > 1)} {named}"
            self._tell(f"lost {what} of {self._url}: the board does not hold what did not arrive")
