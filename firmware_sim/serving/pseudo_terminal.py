"""Whether this system has pseudo-terminals; a module that loads at once."""

from __future__ import annotations

import os


def has_pseudo_terminals() -> bool:
    """Return whether a board can be served on a pseudo-terminal; Windows has none."""
    try:
        import tty  # noqa: F401 - it needs termios

        for end in os.openpty():
            os.close(end)
    except (ImportError, AttributeError, OSError):
        return False
    return True
