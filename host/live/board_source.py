"""Where a live session gets its board from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from focalloop.firmware_sim.scenes.scene import SceneSource


class BoardSource(Protocol):
    """Brings a board up, and brings it up again after it has gone for good."""

    @property
    def wait_s(self) -> float:
        """How long the port may be missing at first, seconds."""
        ...

    @property
    def on_wait(self) -> Callable[[str], None]:
        """Takes a sentence when the waiting begins."""
        ...

    @property
    def activity(self) -> str:
        """What `start` does, in a few words for a waiting user."""
        ...

    @property
    def open_clip(self) -> Callable[[], SceneSource] | None:
        """Opens the clip that the board shows, where it is known here."""
        ...

    def start(self) -> str:
        """Bring the board up and return its URL once it can be opened."""
        ...

    def stop(self) -> None:
        """Undo `start`, from any thread; a `start` that is still waiting raises."""
        ...


@dataclass(frozen=True)
class BoardAt:
    """A board that is already running.

    Attributes
    ----------
    url : str
        As accepted by `Board.open`.
    wait_s, on_wait, open_clip : float, callable, callable or None
        See `BoardSource`.
    """

    url: str
    wait_s: float = 0.0
    on_wait: Callable[[str], None] = lambda text: None
    open_clip: Callable[[], SceneSource] | None = None

    @property
    def activity(self) -> str:
        """There is nothing to bring up."""
        return "looking for the board"

    def start(self) -> str:
        """Return the URL."""
        return self.url

    def stop(self) -> None:
        """Leave the board running."""
