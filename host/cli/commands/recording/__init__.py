"""The commands of ``focalloop recording``."""

from __future__ import annotations

from typing import Any

COMMANDS: dict[str, tuple[str, Any]] = {
    "info": ("Say what a recording holds, and what of it is damaged.", f"{__name__}.info:info"),
    "export": (
        "Write a recording as a capture, as arrays, as pictures, as a video or as a log.",
        f"{__name__}.export:export",
    ),
    "recover": (
        "Finish a recording that was cut off, or save what is left of a damaged one.",
        f"{__name__}.recover:recover",
    ),
    "list": ("List the recordings of a folder.", f"{__name__}.stored:list_"),
    "pin": ("Keep a recording whatever the quota of its folder.", f"{__name__}.stored:pin"),
    "unpin": ("Let the quota remove a recording again.", f"{__name__}.stored:unpin"),
    "note": ("Note something of a recording as a whole.", f"{__name__}.stored:note"),
    "reindex": ("Make the index of a folder of recordings anew.", f"{__name__}.stored:reindex"),
}
