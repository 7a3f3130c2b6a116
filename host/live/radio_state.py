"""What a live session shows of its radio link, and the choices that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RadioChoice:
    """How windows are sent over the radio link."""

    method: str
    """One of `RadioState.methods`."""
    channel: str
    """``awgn``, ``rayleigh`` or ``rayleigh-block``."""
    snr_db: float
    """Es/N0 per complex symbol, -10 to 40."""
    symbols: int
    """Complex symbols to spend on a window."""


@dataclass(frozen=True)
class RadioState:
    """The radio link between sensor and reconstruction, and the newest window that it carried."""

    choice: RadioChoice
    methods: tuple[str, ...]
    """What can be chosen as the method."""
    min_symbols: int
    max_symbols: int
    """Range in which a page offers symbols; the method may not reach all of it."""
    problem: str = ""
    """Why windows come without the link, or with other symbols than were chosen."""
    payload_symbols: int | None = None
    rate_map_symbols: int | None = None
    header_symbols: int | None = None
    """What the newest window was sent with, by what they carry."""
    lost: bool = False
    """Whether it was lost: it is shown as mid-grey."""
    windows_sent: int = 0
    windows_lost: int = 0
    """Since `choice` was last changed."""
    link_ms: float | None = None
    """Median time of both ends of the link over the last 60 windows."""
    rate_map: tuple[str, ...] = ()
    """A digit for the rate of each location of 16x16 pixels, a row in each text; empty where the
    method has no rates or the window was lost."""


class RadioSource(Protocol):
    """What the service needs of a radio link."""

    def state(self) -> RadioState:
        """Return a snapshot of the link."""
        ...

    def choose(self, choice: RadioChoice) -> None:
        """Send the windows like this from now on."""
        ...
