"""The preview as a user runs it, against real time: ``python -m benchmarks.service [--json]``.

``focalloop live`` runs in a process of its own, with the shipped bundle, clip and profile: an
emulated 256x256 board at 240 slots per second behind a pty.

* time from the command to the first reconstructed window, with compiled kernels cached, against
  the limit of 10 s;
* processor time of host and emulator together while nobody looks, against the limit of 55 % of a
  core;
* windows reconstructed per second with a socket that takes every window, and with the page in
  headless Chromium if it is installed, against real time (15);
* the same with a socket while every window passes through a radio link (``--radio semcom``), and
  the processor time of host and emulator per window, against what two cores have in real time;
* time from the end of a window's last slot until the socket has received it, and until the page has
  drawn it, against the 150 ms that 95 % of them may take.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.preview import running, viewer
from benchmarks.report import Row

SETTLE_S = 6.0
"""Longer than rates and quantiles look back, even when few pictures come."""

MEASURE_S = 20.0
REAL_TIME = 240 / 16
TWO_CORES = 2 * 1000 / REAL_TIME
"""Processor time that two cores have for a window in real time, milliseconds."""

LATENCY_LIMIT_MS = 150.0
START_LIMIT_S = 10.0
UNWATCHED_LIMIT_PERCENT = 55.0
_CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--window-size=1440,900",
]


@contextmanager
def _live(*options: str) -> Iterator[tuple[str, float, int]]:
    """Run ``focalloop live``; yield its URL, the time to its first window, and its process id."""
    started_s = time.perf_counter()
    with running("live", "--no-open", "--http-port=0", *options) as (document, process):
        yield document["url"], time.perf_counter() - started_s, process


def _percent_of_a_core(process: int) -> float:
    """Processor time of a process and its children over `MEASURE_S`, in percent of that time."""
    time.sleep(SETTLE_S)
    before_s, begun_s = _processor_s(process), time.perf_counter()
    time.sleep(MEASURE_S)
    used_s = _processor_s(process) - before_s
    return 100 * used_s / (time.perf_counter() - begun_s)


def _processor_s(process: int) -> float:
    """Processor time of a process and its children until now."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    processes = [process, *(int(child) for task in tasks for child in task.read_text().split())]
    used = 0
    for each in processes:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])  # user and system
    return used / os.sysconf("SC_CLK_TCK")


def _speed(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}api/state", timeout=10) as answer:
        speed: dict[str, Any] = json.load(answer)["speed"]
        return speed


def _windows_per_s(url: str, meanwhile: Callable[[float], object]) -> tuple[float, dict[str, Any]]:
    """Windows reconstructed per second while `meanwhile` runs, and the state after it."""
    meanwhile(SETTLE_S)
    before, begun_s = _speed(url), time.perf_counter()
    meanwhile(MEASURE_S)
    after = _speed(url)
    count = after["windows_reconstructed"] - before["windows_reconstructed"]
    return count / (time.perf_counter() - begun_s), after


@contextmanager
def _page(url: str, chromium: str) -> Iterator[Callable[[float], None]]:
    """Open the page as a user does: a tool that steers the browser would receive every picture."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium, *_CHROMIUM_FLAGS, f"--user-data-dir={profile}", url]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet) as browser:
            yield time.sleep
            browser.terminate()


def _rows_of(viewer: str, windows_per_s: float, speed: dict[str, Any]) -> list[Row]:
    rows = [
        Row.of(f"windows reconstructed, {viewer}", windows_per_s, "1/s", "real time", REAL_TIME)
    ]
    for share in ("p50", "p95"):
        value = speed[f"latency_{share}_ms"]
        if value is not None:
            name = f"latency {share}, {viewer}"
            rows.append(Row.of(name, value, "ms", "limit for p95", LATENCY_LIMIT_MS))
    return rows


def measure() -> list[Row]:
    """Run every measurement and return its rows."""
    rows = []
    with _live() as (_, first_s, process):
        rows.append(Row.of("first reconstructed window", first_s, "s", "limit", START_LIMIT_S))
        load = _percent_of_a_core(process)
        rows.append(Row.of("processor, no viewer", load, "%", "limit", UNWATCHED_LIMIT_PERCENT))
    chromium = shutil.which("chromium")
    # Each viewer has a session of its own, so that it counts only its own latencies.
    with _live() as (url, *_), viewer(url) as socket:
        rows += _rows_of("socket", *_windows_per_s(url, socket.take))
    with _live("--radio", "semcom") as (url, _, process), viewer(url) as socket:
        windows_per_s, speed = _windows_per_s(url, socket.take)
        rows += _rows_of("over radio", windows_per_s, speed)
        before_s, done = _processor_s(process), _speed(url)["windows_reconstructed"]
        socket.take(MEASURE_S)
        used_s = _processor_s(process) - before_s
        done = _speed(url)["windows_reconstructed"] - done
        rows.append(
            Row.of(
                "processor, over radio", 1000 * used_s / done, "ms/window", "two cores", TWO_CORES
            )
        )
    if chromium is not None:
        with _live() as (url, *_), _page(url, chromium) as look:
            rows += _rows_of("page in Chromium", *_windows_per_s(url, look))
    return rows


if __name__ == "__main__":
    report.main("The preview against real time.", measure)
