"""Run `focalloop live` from a fresh base install until its first reconstructed frame, then stop it.

Usage: python scripts/first_frame.py PATH_OF_FOCALLOOP
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys

FIRST_TIME_LIMIT_S = 60.0
"""What a user may have to wait the very first time, with nothing compiled yet."""


def main(focalloop: str) -> int:
    """Return 0 if a window was reconstructed in time and Ctrl-C ended everything."""
    if importlib.util.find_spec("torch"):
        print("the base install pulled torch")
        return 1
    live = subprocess.Popen(
        [focalloop, "live", "--no-open", "--http-port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert live.stdout is not None
    text = ""
    for line in live.stdout:
        text += line
        if line == "}\n":
            break
    live.send_signal(signal.SIGINT)
    status = live.wait(timeout=30)
    document = json.loads(text)
    print(json.dumps(document))
    if status not in (0, 130):
        print(f"focalloop live ended with exit code {status}")
        return 1
    return 0 if document["first_picture_s"] <= FIRST_TIME_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
