"""A lab as it is run, with emulated boards: ``python -m benchmarks.lab [--seconds S] [--json]``.

``python -m benchmarks.lab --faults [--minutes M]`` records four boards behind lines that flip bits,
drop bytes and stall, and of boards that reset themselves (`BAD_LINE`): windows that are wrong (one
of ten is compared), and memory of every process against 5 % above what it was in the third tenth of
the time, as in `benchmarks.soak`.

``focalloop lab`` runs in processes of its own: a gateway, a worker and an emulated board for each
board, of 256x256 pixels.

* Four boards at 15 windows per second, all recorded, one of them watched and rebuilt beside it:
  windows that are recorded against real time, and how many are missing, were skipped by a board or
  differ from what the emulator computes again here (one of 50 is compared); the pictures per second
  of the viewer, against 10.
  Processor time per window of the gateway, the workers and the boards, and per picture of the pool.
* Sixteen boards at 3.75 windows per second, likewise, one of them watched.
* One board at 15 windows per second, recorded likewise under eight viewers, two of which read
  nothing: the pictures per second of the slowest of the six, against 14.
* What fifty viewers cost that look at no picture, against 3 % of a core.
* How long the raw line of a lease is open after the lease has ended, against 1 s.
* 1,000 connections whose request has begun and does not go on: the longest of 50 answers meanwhile,
  against 100 ms.
* How long the service of a board does not answer after ``kill -9`` of its worker, against 3 s.

Rates and times need two cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from benchmarks import report
from benchmarks.preview import DeadViewer, idle_viewer, running, viewer
from benchmarks.processes import used_s
from benchmarks.report import Row
from benchmarks.usage import Usage, settled_rows
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.scene import open_scene
from focalloop.host.errors import RecordingError
from focalloop.host.lab.client import LabClient, LabError
from focalloop.host.recording.recording import Recording

SECONDS = 60.0
START_TIMEOUT_S = 180.0
COMPARED, COMPARED_ON_BAD_LINE = 50, 10
"""One of so many windows is computed again and compared."""

MINUTES = 10.0
BAD_LINE = "flips=1e-6, drops=1e-7, stall=every 70 s, reset=every 60 s"

LONG_S = 3600.0
VIEWERS, DEAD, IDLE = 8, 2, 50
ASK_S = 0.05
"""How often a dead viewer asks for a picture."""

HALF_OPEN = 1000
ANSWERS = 50
LEASE_S = 2.0
WATCHED = "edge-learned-2of16"


class Taken(NamedTuple):
    """What the recordings of some boards hold: windows, and how many of them are not as they must.

    Attributes
    ----------
    windows, missing, skipped, wrong : int
    """

    windows: int
    missing: int
    skipped: int
    wrong: int


class Recorded(NamedTuple):
    """What came of recording some boards for a while."""

    taken: Taken
    seconds: float
    """Of all boards together."""
    pictures_per_s: float
    used_s: dict[str, float]
    """Processor time meanwhile, by the kind of process."""
    watched_s: float

    def rows(self, name: str, windows_per_s: float) -> Iterator[Row]:
        """Compare with real time, with all that was recorded, and with what two cores have."""
        real_time = windows_per_s * self.seconds
        yield Row.of(f"recorded, {name}", self.taken.windows, "windows", "real time", real_time)
        for what, count in self.taken._asdict().items():
            if what != "windows":
                yield Row.of(f"{what}, {name}", count, "windows", "all", self.taken.windows)
        cores_s = 2 * self.watched_s
        for kind, used in sorted(self.used_s.items()):
            per = self.pictures_per_s * self.watched_s if kind == "pool" else self.taken.windows
            what = "picture" if kind == "pool" else "window"
            row = f"processor per {what}, {kind}, {name}"
            ms = 1000 / max(per, 1)
            yield Row.of(row, ms * used, "ms", "two cores meanwhile", ms * cores_s)


@contextmanager
def lab(folder: Path, boards: int, slot_rate_hz: float, faults: str = "") -> Iterator[LabClient]:
    """Run a lab of emulated boards b0, b1, ... until all of them stream."""
    emulate = f'scene = "synthetic", slot-rate = {slot_rate_hz:g}, faults = "{faults}", seed ='
    lines = [f"[boards.b{n}]\nemulate = {{ {emulate} {n} }}\n" for n in range(boards)]
    lines[0] += f'bundle = "{WATCHED}"\n'
    file = folder / "lab.toml"
    file.write_text("".join(lines))
    options = ("--state", str(folder / "state"), "--recordings", str(folder / "recordings"))
    with running("lab", "serve", str(file), "--http-port=0", *options) as (document, _):
        client = LabClient(document["url"])
        until_s = time.monotonic() + START_TIMEOUT_S
        while any(not board["windows_received"] for board in client.boards()["boards"]):
            if time.monotonic() > until_s:
                raise SystemExit(f"the {boards} boards did not stream in {START_TIMEOUT_S:g} s")
            time.sleep(0.5)
        yield client


def recorded(
    client: LabClient,
    folder: Path,
    boards: int,
    watch: Callable[[], float],
    compared: int = COMPARED,
) -> Recorded:
    """Record all boards while the first is watched.

    Parameters
    ----------
    watch : callable
        Looks for a while, and returns pictures per second.
    compared : int, optional
        As `COMPARED`.
    """
    names = [f"b{n}" for n in range(boards)]
    leases = [client.lease("benchmark", name, seconds=LONG_S) for name in names]
    for name, lease in zip(names, leases, strict=True):
        client.request("POST", f"boards/{name}/api/recordings", {}, lease.token)
    gateway, begun_s = _gateway(folder / "state"), time.monotonic()
    before = used_s(gateway, _kind)
    pictures_per_s = watch()
    used = {kind: now - before.get(kind, 0) for kind, now in used_s(gateway, _kind).items()}
    watched_s, recorded_s = time.monotonic() - begun_s, 0.0
    for name, lease in zip(names, leases, strict=True):
        path = f"boards/{name}/api/recordings/stop"
        recorded_s += client.request("POST", path, None, lease.token)["seconds"]
        client.release(lease.token)
    found = [
        _checked(folder / "recordings" / name, seed, compared) for seed, name in enumerate(names)
    ]
    taken = Taken(*map(sum, zip(*found, strict=True)))
    return Recorded(taken, recorded_s, pictures_per_s, used, watched_s)


def _checked(folder: Path, seed: int, compared: int) -> Taken:
    """Look through the recordings of a board."""
    windows = missing = skipped = wrong = 0
    for file in folder.glob("*.mcap"):
        with Recording(file) as recording:
            if recording.check():
                raise RecordingError(f"{file} is damaged")
            first = last = None
            for index, window in enumerate(recording.windows()):
                first = first or window
                if last is not None and window.number > last.number:  # else the board was reset
                    missing += window.number - last.number - 1
                if index % compared == 0:
                    scene = open_scene("synthetic", *window.ratio_map.shape, seed=seed)
                    emulator = Emulator(window.ratio_map, preset("paper"), seed=seed)
                    light = scene.window(window.number + window.skipped)
                    codes = emulator.read_out(light, window.number)
                    wrong += not np.array_equal(codes, window.codes)
                last, windows = window, windows + 1
            if first is not None and last is not None:
                skipped += last.skipped - first.skipped
    return Taken(windows, missing, skipped, wrong)


def recording_rows(boards: int, windows_per_s: float, seconds: float) -> Iterator[Row]:
    """Record so many boards at so many windows per second each."""
    name = f"{boards} boards at {windows_per_s:g} /s"
    with scratch_folder() as folder, lab(folder, boards, 16 * windows_per_s) as client:
        found = recorded(client, folder, boards, partial(watched, client, seconds))
        if boards == 4:
            yield from expiry_rows(client)
            yield from half_open_rows(client)
            yield from crash_rows(client, folder)
    yield from found.rows(name, windows_per_s)
    limit = min(10.0, windows_per_s)
    yield Row.of(f"watched beside it, {name}", found.pictures_per_s, "/s", "the limit", limit)


def watched(client: LabClient, seconds: float) -> float:
    """Return the pictures per second of one viewer."""
    with viewer(f"{client.url}boards/b0/") as watching:
        return watching.take(seconds) / seconds


def slowest_beside_dead(client: LabClient, seconds: float) -> float:
    """Return the pictures per second of the slowest of some viewers, beside some that are dead."""
    url = f"{client.url}boards/b0/"
    with ExitStack() as stack:
        dead = [stack.enter_context(closing(DeadViewer(url))) for _ in range(DEAD)]
        live = [stack.enter_context(viewer(url)) for _ in range(VIEWERS - DEAD)]
        with ThreadPoolExecutor(len(live)) as threads:
            counts = [threads.submit(each.take, seconds) for each in live]
            while not all(count.done() for count in counts):
                for each in dead:
                    each.ask()
                time.sleep(ASK_S)
        return min(count.result() for count in counts) / seconds


def viewer_rows(seconds: float) -> Iterator[Row]:
    """Record one board under many viewers, then look at what those cost that want no pictures."""
    name = f"{VIEWERS} viewers, {DEAD} of them dead"
    with scratch_folder() as folder, lab(folder, 1, 16 * 15.0) as client:
        watch = partial(slowest_beside_dead, client, seconds)
        found = recorded(client, folder, 1, watch)
        yield from found.rows(name, 15.0)
        yield Row.of(f"slowest, {name}", found.pictures_per_s, "/s", "the limit", 14.0)
        time.sleep(1.0)  # nobody looks any more
        before = _used_share(folder / "state", seconds)
        with ExitStack() as stack:
            for _ in range(IDLE):
                stack.enter_context(idle_viewer(f"{client.url}boards/b0/"))
            cost = _used_share(folder / "state", seconds) - before
    yield Row.of(f"{IDLE} idle viewers", 100 * cost, "% of a core", "the limit", 3.0)


def expiry_rows(client: LabClient) -> Iterator[Row]:
    """Measure how long a raw line outlives its lease."""
    lease = client.lease("benchmark", "b1", seconds=LEASE_S, wait_s=60)
    url = urlsplit(client.open_line(lease))
    ends_s = time.monotonic() + client.renew(lease.token).remaining_s
    with socket.create_connection((url.hostname, url.port), 5) as line:
        line.settimeout(30)
        with suppress(ConnectionResetError):
            while line.recv(4096):
                pass
    cut_s = max(0.0, time.monotonic() - ends_s)
    yield Row.of("a line is open after its lease", cut_s, "s", "the limit", 1.0)


def half_open_rows(client: LabClient) -> Iterator[Row]:
    """Measure answers while connections hold requests that do not go on."""
    url = urlsplit(client.url)
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            half = stack.enter_context(socket.create_connection((url.hostname, url.port), 30))
            half.sendall(b"GET /api/boards HTTP/1.1\r\nHost: ")
        times_s = []
        for _ in range(ANSWERS):
            began_s = time.perf_counter()
            client.request("GET", "healthz")
            times_s.append(time.perf_counter() - began_s)
    what = f"longest answer, {HALF_OPEN} half-open requests"
    yield Row.of(what, 1000 * max(times_s), "ms", "the limit", 100.0)


def crash_rows(client: LabClient, folder: Path) -> Iterator[Row]:
    """Measure how long a board's service is away after its worker was killed."""
    worker = _worker_of(folder / "state", "b2")
    began_s = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    while True:
        with suppress(LabError):
            client.request("GET", "boards/b2/api/state")
            break
        time.sleep(0.02)
    away_s = time.monotonic() - began_s
    yield Row.of("a killed worker answers again after", away_s, "s", "the limit", 3.0)


def _used_share(state: Path, seconds: float) -> float:
    """Return the cores that the gateway and the worker of b0 use, over so many seconds."""
    gateway = _gateway(state)
    counted = {str(gateway), str(_worker_of(state, "b0"))}

    def used_by_both() -> float:
        return sum(each for pid, each in used_s(gateway, str).items() if pid in counted)

    before = used_by_both()
    time.sleep(seconds)
    return (used_by_both() - before) / seconds


def _kind(process: int) -> str:
    """Return what a process of a lab is."""
    words = Path(f"/proc/{process}/cmdline").read_text()
    kinds = {"lab_worker": "worker", "lab_pool": "pool", "emulator_process": "board"}
    return next((kind for word, kind in kinds.items() if word in words), "gateway")


def _gateway(state: Path) -> int:
    return int((state / "gateway.lock").read_text())


def _worker_of(state: Path, board: str) -> int:
    return _holder_of(state / f"{board}.lock")


def _holder_of(file: Path) -> int:
    """Return the process that holds a lock."""
    lock = file.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if int(fields[5].rpartition(":")[2]) == lock:
            return int(fields[4])
    raise SystemExit(f"nothing runs that would hold {file}")


def fault_rows(minutes: float) -> Iterator[Row]:
    """Record four boards behind bad lines, one of them watched."""
    usages: defaultdict[str, list[Usage]] = defaultdict(list)

    def watch() -> float:
        with viewer(f"{client.url}boards/b0/") as watching:
            pictures, end_s = 0, time.monotonic() + 60 * minutes
            while time.monotonic() < end_s:
                pictures += watching.take(1.0)
                for name, process in _processes(folder / "state", 4).items():
                    usages[name].append(Usage.of(process))
        return pictures / (60 * minutes)

    with scratch_folder() as folder, lab(folder, 4, 16 * 15.0, BAD_LINE) as client:
        found = recorded(client, folder, 4, watch, COMPARED_ON_BAD_LINE)
    name = f"bad lines for {minutes:g} min"
    yield Row.of(
        f"recorded, {name}", found.taken.windows, "windows", "real time", 15 * found.seconds
    )
    compared = found.taken.windows / COMPARED_ON_BAD_LINE
    yield Row.of(f"wrong, {name}", found.taken.wrong, "windows", "compared", compared)
    yield Row.of(f"watched, {name}", found.pictures_per_s, "/s", "real time", 15.0)
    for process, used in usages.items():
        yield from (row for row, _ in settled_rows(process, used))


def _processes(state: Path, boards: int) -> dict[str, int]:
    """Return the processes of a lab by what they are."""
    workers = {f"worker {n}": _worker_of(state, f"b{n}") for n in range(boards)}
    pool = _holder_of(state / "pool.lock")
    return {"gateway": _gateway(state), "pool": pool, **workers}


def measure(seconds: float) -> Iterator[Row]:
    """Measure four boards, then sixteen, then one under many viewers."""
    yield from recording_rows(4, 15.0, seconds)
    yield from recording_rows(16, 3.75, seconds)
    yield from viewer_rows(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    own, sys.argv[1:] = parser.parse_known_args()
    chosen = partial(fault_rows, own.minutes) if own.faults else partial(measure, own.seconds)
    report.main("A lab: recordings, leases and faults.", chosen)
