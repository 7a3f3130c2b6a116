"""The preview as a user runs it, against real time: ``python -m benchmarks.service [--json]``.

``focalloop live`` runs in a process of its own, with the shipped bundle, clip and profile: an
emulated 256x256 board at 240 slots per second behind a pty.

* Time from the command to the first reconstructed window, with compiled kernels cached, against
  the limit of 10 s.
* Processor time of host and emulator together while nobody looks, against the limit of 55 % of a
  core.
* With a socket that takes every window: windows per second against real time (15), and the time
  from the end of a window's last slot until the socket has received it.
* The same while every window passes through a radio link (``--radio semcom``), and the processor
  time of host and emulator per window, against what two cores have in real time.
* With a socket that takes JPEG: its bytes per second in real time, and how near the planes are to
  those that another socket takes raw.
* With the page in headless Chromium without a GPU, if it is installed: windows per second, the time
  until a window is drawn, and the processor time per window, by process and by thread of the host,
  with its measurements shown. The limits are for Chromium alone, and for all together.
* The first view in Chromium: its bytes, and the time from its address to when it can be used, which
  is when *Pause*, pressed as often as the screen is drawn, first answers.

Rates and times need two cores that nothing else uses; processor times do not.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import report
from benchmarks.first_view import first_view
from benchmarks.jpeg_viewer import jpeg_viewer
from benchmarks.preview import running, viewer
from benchmarks.processes import role_in_chromium, used_s
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
PAGE_RATE_LIMIT = 14.8
PAGE_LIMIT_MS, ALL_LIMIT_MS = 25.0, 110.0
"""Processor time per window of Chromium, and of host, emulator and Chromium."""

CHROMIUM = "Chromium, "
LEAST_TOLD_MS = 0.05

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


def _of_live(host: int) -> dict[str, float]:
    """Processor time of host and emulator until now, seconds."""
    return used_s(host, lambda process: "host" if process == host else "emulator")


def _of_threads(url: str) -> dict[str, float]:
    """Processor time of the threads of the host until now, seconds, where the system tells it."""
    with urllib.request.urlopen(f"{url}metrics", timeout=10) as answer:
        text = answer.read().decode()
    told = re.findall(r'focalloop_processor_seconds_total{thread="(.*)"} (\S+)', text)
    return {f"host, {thread}": float(seconds) for thread, seconds in told}


def _speed(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}api/state", timeout=10) as answer:
        speed: dict[str, Any] = json.load(answer)["speed"]
        return speed


class _Watched:
    """A stretch of time in which windows are counted, and the processor time of each is told."""

    def __init__(
        self, url: str, meanwhile: Callable[[float], object], used: Callable[[], dict[str, float]]
    ) -> None:
        meanwhile(SETTLE_S)
        before, used_before, begun_s = _speed(url), used(), time.perf_counter()
        meanwhile(MEASURE_S)
        self.speed = _speed(url)
        count = self.speed["windows_reconstructed"] - before["windows_reconstructed"]
        self.windows_per_s = count / (time.perf_counter() - begun_s)
        self.used_ms = {
            name: 1000 * (used_s - used_before.get(name, 0.0)) / count
            for name, used_s in used().items()
        }

    def rows(self, viewer: str, peer: str, rate: float) -> list[Row]:
        """Return the rows of the rate and of the latency."""
        rows = [Row.of(f"windows reconstructed, {viewer}", self.windows_per_s, "1/s", peer, rate)]
        for share in ("p50", "p95"):
            value = self.speed[f"latency_{share}_ms"]
            if value is not None:
                name = f"latency {share}, {viewer}"
                rows.append(Row.of(name, value, "ms", "limit for p95", LATENCY_LIMIT_MS))
        return rows


def _processor_row(name: str, used_ms: float, peer: str, peer_ms: float) -> Row:
    return Row.of(f"processor, {name}", used_ms, "ms/window", peer, peer_ms)


@contextmanager
def _page(url: str, chromium: str) -> Iterator[tuple[Callable[[float], None], int]]:
    """Open the page as a user does: a tool that steers the browser would receive every picture."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium, *_CHROMIUM_FLAGS, f"--user-data-dir={profile}", url]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet) as browser:
            yield time.sleep, browser.pid
            browser.terminate()


def unwatched() -> Iterator[Row]:
    """Start, and let nobody look."""
    with _live() as (_, first_s, host):
        yield Row.of("first reconstructed window", first_s, "s", "limit", START_LIMIT_S)
        time.sleep(SETTLE_S)
        before_s, begun_s = sum(_of_live(host).values()), time.perf_counter()
        time.sleep(MEASURE_S)
        load = 100 * (sum(_of_live(host).values()) - before_s) / (time.perf_counter() - begun_s)
        yield Row.of("processor, no viewer", load, "%", "limit", UNWATCHED_LIMIT_PERCENT)


def sockets() -> Iterator[Row]:
    """Take every window by a socket, over the radio too, and as JPEG."""
    # Each viewer has a session of its own, so that it counts only its own latencies.
    with _live() as (url, _, host), viewer(url) as socket:
        yield from _Watched(url, socket.take, lambda: _of_live(host)).rows(
            "socket", "real time", REAL_TIME
        )
    with _live("--radio", "semcom") as (url, _, host), viewer(url) as socket:
        watched = _Watched(url, socket.take, lambda: _of_live(host))
        yield from watched.rows("over radio", "real time", REAL_TIME)
        used_ms = sum(watched.used_ms.values())
        yield _processor_row("over radio", used_ms, "two cores", TWO_CORES)
    with _live() as (url, *_):
        yield from jpeg_viewer(url, REAL_TIME)


def page(chromium: str) -> Iterator[Row]:
    """Look at the page in Chromium."""
    with _live() as (url, _, host), _page(url, chromium) as (look, browser):

        def used() -> dict[str, float]:
            of_chromium = used_s(browser, lambda process: CHROMIUM + role_in_chromium(process))
            return _of_live(host) | _of_threads(url) | of_chromium

        watched = _Watched(url, look, used)
        yield from watched.rows("page in Chromium", "limit", PAGE_RATE_LIMIT)
    told = watched.used_ms
    for name in sorted(told):
        if told[name] >= LEAST_TOLD_MS:
            yield _processor_row(name, told[name], "two cores", TWO_CORES)
    page_ms = sum(used_ms for name, used_ms in told.items() if name.startswith(CHROMIUM))
    live_ms = told["host"] + told["emulator"]
    yield _processor_row("page alone", page_ms, "limit", PAGE_LIMIT_MS)
    yield _processor_row("live and page", live_ms + page_ms, "limit", ALL_LIMIT_MS)


def measure() -> list[Row]:
    """Run every measurement and return its rows."""
    rows = [*unwatched(), *sockets()]
    chromium = shutil.which("chromium")
    if chromium is not None:
        rows += page(chromium)
        with _live() as (url, *_):
            rows += first_view(url, chromium)
    return rows


if __name__ == "__main__":
    report.main("The preview against real time.", measure)
