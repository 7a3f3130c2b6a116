"""The walk of ``docs/your-sensor.md``, from an unknown board to a network for it, as it stands."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import ROOT

BLOCK = re.compile(r"(?ms)^```sh\n(.*?)^```")
TIMEOUT_S = 360  # a quarter of it where nothing else runs

SAID = "corrected by what is kept of board bench-5"


@pytest.mark.timeout(TIMEOUT_S + 60)
def test_every_command_of_the_walk_does_what_the_page_says(tmp_path):
    page = (ROOT / "docs" / "your-sensor.md").read_text(encoding="utf-8")
    scripts = Path(sys.executable).parent
    walk = subprocess.Popen(
        ["bash", "-e", "-c", "\n".join(BLOCK.findall(page))],
        cwd=tmp_path,
        env=os.environ
        | {"PATH": f"{scripts}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    overdue = threading.Timer(TIMEOUT_S, os.killpg, (walk.pid, signal.SIGKILL))
    overdue.start()
    printed = ""
    for line in walk.stdout:
        printed += line
        if line.startswith("First picture"):  # of `focalloop live`, which runs until it is stopped
            os.killpg(walk.pid, signal.SIGTERM)
    overdue.cancel()
    # The shell ends by the signal, or with what it reports of a command that ended by it.
    assert walk.wait(60) in (0, -signal.SIGTERM, 128 + signal.SIGTERM), printed
    assert "Traceback" not in printed
    assert f"Reads  {SAID}" in printed, printed
    assert "66 hot, 66 dead, 65 stuck" in printed
    raw, corrected, trained = (float(m) for m in re.findall(r"│ mean +│ +([\d.]+)", printed))
    assert corrected > raw + 1
    assert trained > corrected + 0.4
    assert {"found.json", "correction.npz", "report.html", "bench-net", "seen", "seen.mp4"} <= {
        path.name for path in tmp_path.iterdir()
    }
