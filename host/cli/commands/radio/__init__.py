"""The commands of ``focalloop radio`` that need no training packages."""

from __future__ import annotations

from typing import Any

COMMANDS: dict[str, tuple[str, Any]] = {
    "send": (
        "Send clips or a capture over a radio channel, and rebuild the video.",
        f"{__name__}.send:send",
    ),
    "encode": (
        "Compress windows with the learned codec.",
        f"{__name__}.compression:encode",
    ),
    "decode": (
        "Restore the measurements in a compressed file, and rebuild the video.",
        f"{__name__}.compression:decode",
    ),
    "export": (
        "Write windows as a SigMF recording, for another radio to send.",
        f"{__name__}.record:export",
    ),
    "import": (
        "Rebuild the video of windows that a radio has received.",
        f"{__name__}.record:import_",
    ),
}
