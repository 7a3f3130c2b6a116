"""The C firmware for tests: built once per session, and reached in three ways.

A `PipedBoard` takes the place of a `VirtualBoard` on a test bench: bytes in, bytes out, with a
simulated clock. `native_board` and `qemu_board` run the firmware in real time behind a TCP port.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

SOURCES = ROOT / "firmware_sim" / "reference_firmware"
TOOLS = {
    "native": ("make", "gcc"),
    "cortex-m3": ("make", "arm-none-eabi-gcc"),
    "fuzzers": ("make", "clang"),
}


SMALL = "-DBOARD_WIDTH=40 -DBOARD_HEIGHT=24 -DFL_MAX_PAYLOAD=256 -DFL_IN_FLIGHT=2"
"""For QEMU, which receives a few kilobytes per second: a small array, and short frames."""

TIMEOUT_S = 10.0
"""Time to wait for an answer: an emulated microcontroller on a busy machine is slow."""


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="focal-board-")


@functools.cache
def build(target: str, config: str = "", sanitize: bool = True) -> Path:
    """Return the folder in which `make target` built; skip the test if a tool is missing."""
    need(*TOOLS[target])
    out = Path(tempfile.mkdtemp(dir=_folder().name))
    words = ["make", "-C", str(SOURCES), target, f"BUILD={out}", f"CONFIG={config}", "-j2"]
    words += [] if sanitize else ["SANITIZE="]
    made = subprocess.run(words, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return out


def need(*tools: str) -> None:
    """Skip the test, with a sentence, if a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: the C firmware is not tested here")


class PipedBoard:
    """The native board on a pipe, for a test bench.

    Parameters
    ----------
    **options : str or int
        Options of the program, as in ``array="40x24", boot_id=1``.
    """

    def __init__(self, **options: Any) -> None:
        words = [word for name, value in options.items() for word in _option(name, value)]
        self._process = subprocess.Popen(
            [build("native") / "focal-board", "--bench", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._waiting = b""

    def receive(self, data: bytes) -> None:
        """Take bytes off the line; the next `poll` acts on them."""
        self._waiting += data

    def poll(self, now_us: int, room: int = 256 * 1024) -> bytes:
        """Let time pass and return what the board sends, at most `room` bytes."""
        data, self._waiting = self._waiting, b""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("<QII", now_us, room, len(data)) + data)
        self._process.stdin.flush()
        head = self._process.stdout.read(4)
        assert len(head) == 4, "the board crashed; its sanitizer says why on standard error"
        return self._process.stdout.read(*struct.unpack("<I", head))

    def close(self) -> None:
        """End the program and check its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(10) == 0


def _option(name: str, value: Any) -> tuple[str, str]:
    return "--" + name.replace("_", "-"), str(value)


@contextlib.contextmanager
def native_board(**options: Any) -> Iterator[str]:
    """Run a native board and yield the URL of its TCP port."""
    words = [word for name, value in options.items() for word in _option(name, value)]
    process = subprocess.Popen(
        [build("native") / "focal-board", "--tcp", "0", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.poll() is None, "the board crashed; its sanitizer says why"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def qemu_board(config: str = "") -> Iterator[str]:
    """Run a Cortex-M3 board in QEMU and yield the URL of its UART's TCP port."""
    need("qemu-system-arm")
    image = build("cortex-m3", config) / "focal-board.elf"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        [
            *("qemu-system-arm", "-machine", "mps2-an385", "-accel", "tcg,thread=single"),
            *("-display", "none", "-monitor", "none"),
            *("-serial", f"tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on"),
            *("-kernel", str(image)),
        ],
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        _wait_for(port)
        yield f"socket://127.0.0.1:{port}"
        assert process.poll() is None, "the emulator ended by itself"
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline_s, "QEMU opened no port"
            time.sleep(0.02)
