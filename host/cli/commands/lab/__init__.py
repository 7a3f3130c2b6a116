"""The commands of a lab: its service, and what a user asks of it."""

from __future__ import annotations

from typing import Any

COMMANDS: dict[str, tuple[str, Any]] = {
    "serve": ("Serve the boards of a lab, each lent to one at a time.", f"{__name__}.serve:serve"),
    "boards": ("List the boards of a lab, and who has them.", f"{__name__}.boards:boards"),
    "reload": ("Make a lab read its lab.toml again.", f"{__name__}.boards:reload"),
    "lease": ("Lease a board, waiting for one if need be.", f"{__name__}.lease:lease"),
    "renew": ("Let a lease last longer.", f"{__name__}.lease:renew"),
    "release": ("Give a board back, or leave the queue.", f"{__name__}.lease:release"),
    "takeover": ("Take a board over from whoever has it.", f"{__name__}.lease:takeover"),
    "reindex": (
        "Make the indices of a lab's recordings anew.",
        f"{__name__}.reindex:reindex",
    ),
    "line": ("Open the raw line of a leased board as a TCP port.", f"{__name__}.lease:line"),
}

DEFAULT = "serve"
"""What ``focalloop lab`` runs where none of them is named."""
