"""Who looks at a live session, and how much of each window they want to see."""

from __future__ import annotations

import time
from collections.abc import Callable

DRAWN_STEP = 4
"""Slots per drawn picture where no viewer asks for more: 60 pictures for 240 slots per second."""

UNWATCHED_PERIOD_S = 0.2
"""Time from one reconstruction to the next while no viewer is subscribed: its figures stay current,
and two thirds of the work are saved."""


class Viewers:
    """The viewers that are subscribed to new pictures, and the slots that each of them wants.

    Any thread may call it.
    """

    def __init__(self) -> None:
        self._subscribers: list[Callable[[], None]] = []
        self._wants: dict[int, int] = {}
        self._unwatched_due_s = 0.0

    def subscribe(self, called: Callable[[], None]) -> Callable[[], None]:
        """Call a function at each `call`; return what ends that."""
        self._subscribers.append(called)
        return lambda: self._subscribers.remove(called)

    def call(self) -> None:
        """Tell the subscribers that there is a new picture."""
        for called in list(self._subscribers):
            called()

    def want(self, viewer: object, step: int | None) -> None:
        """Note that a viewer wants every `step`-th slot of the next windows; None withdraws."""
        if step is None:
            self._wants.pop(id(viewer), None)
        else:
            self._wants[id(viewer)] = step

    @property
    def step(self) -> int:
        """Distance of the slots to be drawn: the least that any viewer wants."""
        return min([*self._wants.values(), DRAWN_STEP])

    def is_due(self) -> bool:
        """Whether to reconstruct the window at hand; true once per period while nobody looks."""
        now_s = time.monotonic()
        if not self._subscribers and now_s < self._unwatched_due_s:
            return False
        self._unwatched_due_s = now_s + UNWATCHED_PERIOD_S
        return True
