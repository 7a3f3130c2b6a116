"""One window on the air, and the complex symbols that it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SymbolCount:
    """Complex symbols of one window, counted from what was really sent.

    Attributes
    ----------
    payload : int
        Symbols of the data, with padding.
    rate_map : int
        Symbols of the coded rate map.
    header : int
        Symbols of the header.
    """

    payload: int
    rate_map: int = 0
    header: int = 0

    @property
    def total(self) -> int:
        """All symbols of the window."""
        return self.payload + self.rate_map + self.header
