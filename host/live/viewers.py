"""Who looks at a live session, and how much of each window they want to see."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

DRAWN_STEP = 4
"""Slots per drawn picture where no viewer asks for more: 60 pictures for 240 slots per second."""

KEPT_S = 0.5
"""A viewer that has just had a window asks for the next one within this time, and meanwhile still
counts as one that looks, at the second bundle too if it did."""

UNWATCHED_PERIOD_S = 0.2
"""Time from one reconstruction to the next while nobody looks: its figures stay current, and two
thirds of the work are saved."""


class Viewers:
    """The viewers that are told of new pictures, and the slots that each of them wants.

    One that wants none, as behind another tab, does not look. Any thread may call it.

    Parameters
    ----------
    unwatched_period_s : float, optional
        As `UNWATCHED_PERIOD_S`; infinite to reconstruct nothing meanwhile.
    """

    def __init__(self, unwatched_period_s: float = UNWATCHED_PERIOD_S) -> None:
        self._unwatched_period_s = unwatched_period_s
        self._subscribers: list[Callable[[], None]] = []
        self._wants: dict[int, tuple[int, bool]] = {}
        self._looks_until_s = self._beside_until_s = -math.inf
        self._unwatched_due_s = 0.0 if math.isfinite(unwatched_period_s) else math.inf

    def subscribe(self, called: Callable[[], None]) -> Callable[[], None]:
        """Call a function at each `call`; return what ends that."""
        self._subscribers.append(called)
        return lambda: self._subscribers.remove(called)

    def call(self) -> None:
        """Tell the subscribers that there is a new picture."""
        for called in list(self._subscribers):
            called()

    def want(self, viewer: object, step: int | None, *, beside: bool = False) -> None:
        """Note that a viewer wants every `step`-th slot of the next windows; None withdraws.

        With `beside`, it wants them rebuilt by the second bundle too.
        """
        if step is not None:
            self._wants[id(viewer)] = step, beside
        elif (wanted := self._wants.pop(id(viewer), None)) is not None:
            self._looks_until_s = time.monotonic() + KEPT_S
            if wanted[1]:
                self._beside_until_s = self._looks_until_s

    @property
    def step(self) -> int:
        """Distance of the slots to be drawn: the least that any viewer wants."""
        return min([*(step for step, _ in list(self._wants.values())), DRAWN_STEP])

    @property
    def beside(self) -> bool:
        """Whether to rebuild the window at hand by the second bundle too."""
        wanted = any(beside for _, beside in list(self._wants.values()))
        return wanted or time.monotonic() < self._beside_until_s

    def is_due(self) -> bool:
        """Whether to reconstruct the window at hand; true once per period while nobody looks."""
        now_s = time.monotonic()
        watched = self._wants or now_s < self._looks_until_s
        if not watched and now_s < self._unwatched_due_s:
            return False
        self._unwatched_due_s = now_s + self._unwatched_period_s
        return True
