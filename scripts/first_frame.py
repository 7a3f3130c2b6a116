"""Run `focalloop live` from a fresh base installation until its first reconstructed frame.

    python scripts/first_frame.py FOCALLOOP

Exits with 1 if the frame is late or missing, if Ctrl-C does not end everything, or if the
installation brought torch. Run it with the Python of the installation, and FOCALLOOP beside it.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import threading

FIRST_TIME_LIMIT_S = 60.0
"""Longest wait for the first frame, with no kernel compiled yet."""


def main(focalloop: str) -> int:
    """Return 0 if a window was reconstructed in time and Ctrl-C ended everything."""
    if importlib.util.find_spec("torch"):
        print("the base installation brought torch")
        return 1
    live = subprocess.Popen(
        [focalloop, "live", "--no-open", "--http-port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    impatience = threading.Timer(2 * FIRST_TIME_LIMIT_S, live.kill)
    impatience.daemon = True
    impatience.start()
    assert live.stdout is not None
    text = ""
    for line in live.stdout:
        text += line
        if line == "}\n":
            break
    else:
        print(f"focalloop live ended without a frame, with exit code {live.wait()}")
        return 1
    live.send_signal(signal.SIGINT)
    status = live.wait(timeout=30)
    print(text)
    if status not in (0, 130):
        print(f"focalloop live ended with exit code {status}")
        return 1
    first_picture_s = json.loads(text)["first_picture_s"]
    if first_picture_s > FIRST_TIME_LIMIT_S:
        print(f"the first frame took {first_picture_s:.1f} s, over {FIRST_TIME_LIMIT_S:.0f} s")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
