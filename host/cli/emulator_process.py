"""The emulated board as a process of its own, behind a real serial device.

The host then reaches it as it reaches any board, and neither can take the other's time or crash
with it. The process ends with its parent, however that ends: it watches its standard input, a
pipe that only the parent holds open.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.output import print_warning

if TYPE_CHECKING:
    from focalloop.firmware_sim.scenes.scene import SceneSource

START_TIMEOUT_S = 120.0
"""Four times what the very first start takes, which compiles the kernels, on an idle machine."""

_STOP_TIMEOUT_S = 3.0
_WARNING = "warning: "


class EmulatorProcessError(FocalloopError):
    """The emulator did not start, or ended too early."""


class EmulatorProcess:
    """``focalloop emulate`` in a process of its own: a `BoardSource`.

    Parameters
    ----------
    *options : str
        Command-line options of ``focalloop emulate``.
    open_clip : callable or None, optional
        Opens the clip that they name, as that command does; by default what the board looks at is
        not known here.
    """

    wait_s = 0.0
    on_wait = staticmethod(print_warning)
    activity = "starting the emulated board; its very first start compiles kernels"

    def __init__(self, *options: str, open_clip: Callable[[], SceneSource] | None = None) -> None:
        self.open_clip = open_clip
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._stderr_lines: deque[str] = deque(maxlen=20)
        self._warnings: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> str:
        """Start the process and return the device name of its board, once it answers there.

        Raises
        ------
        EmulatorProcessError
            The process ended, or was not ready in time; the text says what it printed.
        """
        with self._lock:
            self._process = process = self._spawn()
        self._stderr_lines.clear()
        listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
        listener.start()
        deadline = threading.Timer(START_TIMEOUT_S, process.kill)
        deadline.start()
        started_s = time.monotonic()
        try:
            document = _first_document(process)
        finally:
            deadline.cancel()
        if document is not None:
            return str(document["url"])
        if time.monotonic() - started_s >= START_TIMEOUT_S:
            raise EmulatorProcessError(f"the emulator was not ready in {START_TIMEOUT_S:.0f} s")
        process.wait()
        listener.join(_STOP_TIMEOUT_S)
        errors = [line for line in self._stderr_lines if line.startswith("error: ")]
        reason = errors[-1].removeprefix("error: ") if errors else " ".join(self._stderr_lines)
        raise EmulatorProcessError(
            f"the emulated board did not start: {reason or 'it printed nothing'}"
        )

    def stop(self) -> None:
        """Ask the process to end, and kill it if it does not; harmless where none runs."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # as if this process had ended; Windows has no signal to ask with
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                sys.executable,
                "-P",  # a serial.py in the user's folder is not pyserial
                "-m",
                "focalloop.host.cli.emulator_process",
                "emulate",
                "--json",
                *self._options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            # Ctrl-C is for the parent, which then stops this process.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in map(str.strip, process.stderr):
                self._stderr_lines.append(line)
                if line.startswith(_WARNING) and line not in self._warnings:
                    self._warnings.add(line)  # once, however often the board is started again
                    print_warning(line.removeprefix(_WARNING))


def _first_document(process: subprocess.Popen[str]) -> dict[str, Any] | None:
    """Read the JSON document that a running process prints; None if it ends before that."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        try:
            document: dict[str, Any] = json.loads(text)
        except ValueError:
            continue
        return document
    return None


def _end_with_parent() -> None:
    """Wait until the parent's end of the pipe closes, then end as on Ctrl-C."""
    while os.read(0, 1):  # not sys.stdin, whose lock a daemon thread must not hold at the end
        pass
    signal.raise_signal(signal.SIGTERM)


def _main() -> None:
    from focalloop.host.cli.main import main

    threading.Thread(target=_end_with_parent, daemon=True).start()
    main()


if __name__ == "__main__":
    _main()
