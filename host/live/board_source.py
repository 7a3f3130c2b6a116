"""Where a live session's board comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class BoardSource(Protocol):
    """Something that brings a board up, and again if it is gone for good."""

    @property
    def activity(self) -> str:
        """What `start` does, for a user who waits for it."""
        ...

    def start(self) -> str:
        """Bring the board up and return its URL, once it can be opened."""
        ...

    def stop(self) -> None:
        """End what `start` began, from any thread; a `start` that still waits raises."""
        ...


@dataclass(frozen=True)
class BoardAt:
    """A board that is there already.

    Attributes
    ----------
    url : str
        As `Board.open` takes it.
    """

    url: str

    @property
    def activity(self) -> str:
        """Nothing to wait for."""
        return "looking for the board"

    def start(self) -> str:
        """Return the URL."""
        return self.url

    def stop(self) -> None:
        """Leave the board as it is."""
