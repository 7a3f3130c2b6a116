"""What recording costs, and what survives a kill: ``python -m benchmarks.recording [--json]``.

* CPU time per window of a recorder, at 256x256 pixels and two reads of 16 bits per pixel, against
  appending the same bytes to a file with an `fsync` per second; bytes per window;
* CPU time of a list of ten recordings of ten minutes, by the index of their folder, against opening
  each of them;
* windows lost after ``kill -9`` at random points, in seconds of the recording, over `--kills` runs
  of a recorder that makes one recording after the other at 15 windows per second; the same if all
  that was written after the last `fsync` is lost too. Each file is then recovered and read: those
  that were finished have to be whole, and all windows bit for bit what was recorded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.emulator.emulator import Emulator
from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.maps.defaults import DEFAULT_LEVEL_SET, NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import Feature, HelloAnswer
from focalloop.host.recording.mcap_file import UNFINISHED, McapFile
from focalloop.host.recording.recorder import Recorder
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.recovery import recover_all
from focalloop.host.recording.store import RecordingStore
from focalloop.host.recording.writer import RecordingWriter

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

SHAPE = (256, 256)
WINDOWS_PER_S = 15
WINDOWS = 300
WINDOWS_PER_RECORDING = 20
LISTED = 10
LISTED_CHUNKS = 1200
KILLS = 200
FORK = multiprocessing.get_context("fork")

BOARD = HelloAnswer(
    boot_id=1, max_payload=8192, height=SHAPE[0], width=SHAPE[1], slots=16, bits=16,
    black_level_dn=4096.0, full_scale_dn=49152.0, level_set=DEFAULT_LEVEL_SET, max_in_flight=8,
    held_windows=8, max_object=1 << 20, features=Feature.EMULATOR, slot_rate_hz=240.0,
    name="benchmark", firmware="1", serial="1",
)  # fmt: skip


def windows() -> list[Window]:
    """Return windows of the clip that comes along, with the noise of the paper."""
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE)
    plan, emulator = ReadPlan.of(ratio_map), Emulator(ratio_map, preset("paper"), seed=0)
    with as_file(files("focalloop.host") / "clips" / "box.mp4") as clip:
        scenes = load_clips(clip, 16, size=SHAPE).clips
    return [
        Window(
            number=number,
            ratio_map=ratio_map,
            plan=plan,
            codes=emulator.read_out(scene, number),
            black_level_dn=BOARD.black_level_dn,
            full_scale_dn=BOARD.full_scale_dn,
            bits=BOARD.bits,
            time_s=0.0,
        )
        for number, scene in enumerate(scenes)
    ]


def _numbered(taken: list[Window], number: int) -> Window:
    return replace(taken[number % len(taken)], number=number, time_s=time.monotonic())


def cost_rows(taken: list[Window], folder: Path) -> Iterator[Row]:
    """Measure the CPU time and the bytes per window."""
    began_s = time.process_time()
    with (folder / "plain").open("wb") as plain:
        for number in range(WINDOWS):
            plain.write(taken[number % len(taken)].codes.tobytes())
            if number % WINDOWS_PER_S == 0:
                plain.flush()
                os.fsync(plain.fileno())
    plain_ms = 1e3 * (time.process_time() - began_s) / WINDOWS
    plain_bytes = (folder / "plain").stat().st_size / WINDOWS
    for name, pictures in (("recording", False), ("recording with pictures", True)):
        path = folder / f"{name}.mcap"
        prepared = [_numbered(taken, number) for number in range(WINDOWS)]
        began_s, due_s = time.process_time(), time.monotonic()
        with Recorder(path, BOARD, pictures=pictures) as recorder:
            for window in prepared:
                recorder.add(window)
                due_s += 1 / WINDOWS_PER_S
                time.sleep(max(0.0, due_s - time.monotonic()))
        cpu_ms = 1e3 * (time.process_time() - began_s) / WINDOWS
        state = recorder.state()
        if state.windows != WINDOWS or state.gaps:
            raise SystemExit(f"{state.windows} of {WINDOWS} windows were recorded")
        yield Row.of(f"CPU, {name}", cpu_ms, "ms/window", "plain append", plain_ms)
        size = state.bytes / WINDOWS
        yield Row.of(f"size, {name}", size, "B/window", "plain append", plain_bytes)


def list_rows(folder: Path) -> Iterator[Row]:
    """Measure the list of a folder, with and without its index."""
    ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (8, 8))
    board, plan = replace(BOARD, height=8, width=8), ReadPlan.of(ratio_map)
    codes = np.zeros(plan.count, np.uint16)
    window = Window(
        number=0, ratio_map=ratio_map, plan=plan, codes=codes, bits=BOARD.bits, time_s=0.0,
        black_level_dn=BOARD.black_level_dn, full_scale_dn=BOARD.full_scale_dn,
    )  # fmt: skip
    store = RecordingStore(folder / "list")
    for _ in range(LISTED):
        with RecordingWriter(store.new(), board) as writer:
            for number in range(LISTED_CHUNKS):
                writer.add(replace(window, number=number), received_s=number / 2)
    taken_ms = []
    for _ in range(2):
        began_s = time.process_time()
        found = RecordingStore(store.folder).recordings()
        taken_ms.append(1e3 * (time.process_time() - began_s))
        if sum(each.summary.windows for each in found if each.summary) != LISTED * LISTED_CHUNKS:
            raise SystemExit("the list is not of what was recorded")
    yield Row.of("CPU, list by the index", taken_ms[1], "ms", "opening each", taken_ms[0])


def _record(
    taken: list[Window], folder: Path, handed_over: Synchronized[int], synced: Synchronized[int]
) -> None:
    """Make one recording after the other in real time.

    Each window is counted as soon as its recorder has it, and so is what the disk has of the file.
    """
    sync = McapFile.sync

    def counted(file: McapFile) -> None:
        sync(file)
        synced.value = file.tell()

    McapFile.sync = counted  # type: ignore[assignment, method-assign]
    due_s = time.monotonic()
    for index in count():
        with Recorder(folder / f"{index}.mcap", BOARD) as recorder:
            for _ in range(WINDOWS_PER_RECORDING):
                recorder.add(_numbered(taken, handed_over.value))
                handed_over.value += 1
                due_s += 1 / WINDOWS_PER_S
                time.sleep(max(0.0, due_s - time.monotonic()))


def killed(taken: list[Window], folder: Path, after_s: float) -> tuple[float, float]:
    """Kill a recorder after so many seconds; return the seconds of windows that are lost.

    First what a killed program costs, then what a machine does that stops with it: all that was
    written after the last `fsync`.
    """
    handed_over, synced = FORK.Value("q", 0), FORK.Value("q", 0)
    there, stopped = folder / "killed", folder / "stopped"
    there.mkdir()
    process = FORK.Process(target=_record, args=(taken, there, handed_over, synced))
    process.start()
    time.sleep(after_s)
    process.kill()
    process.join()
    shutil.copytree(there, stopped)
    for cut_off in stopped.glob(f"*{UNFINISHED}"):
        os.truncate(cut_off, min(synced.value, cut_off.stat().st_size))
    lost = [handed_over.value - _recovered(taken, each) for each in (there, stopped)]
    shutil.rmtree(there)
    shutil.rmtree(stopped)
    return lost[0] / WINDOWS_PER_S, lost[1] / WINDOWS_PER_S


def _recovered(taken: list[Window], folder: Path) -> int:
    """Recover what was cut off; return the number of windows, which have to be the first ones."""
    recover_all(folder)
    numbers, intact = [], True
    for path in sorted(folder.iterdir(), key=lambda each: int(each.stem)):
        with Recording(path) as recording:
            intact &= recording.check() == ()
            for window in recording.windows():
                numbers.append(window.number)
                expected = taken[window.number % len(taken)].codes
                intact &= window.codes.tobytes() == expected.tobytes()
    if not intact or numbers != list(range(len(numbers))):
        raise SystemExit("what was recovered is not what was recorded")
    return len(numbers)


def kill_rows(taken: list[Window], folder: Path, kills: int) -> Iterator[Row]:
    """Kill recorders at random points, and measure what is lost."""
    rng = np.random.default_rng(0)
    lost_s = [killed(taken, folder, rng.uniform(0.5, 2.5)) for _ in range(kills)]
    ways = f"after {kills} kills at random points", "with all after the last fsync"
    for way, seconds in zip(ways, zip(*lost_s, strict=True), strict=True):
        yield Row.of(f"lost at most, {way}", max(seconds), "s", "a second", 1.0)
        yield Row.of(f"lost on average, {way}", float(np.mean(seconds)), "s", "a second", 1.0)


def measure(kills: int = KILLS) -> Iterator[Row]:
    """Measure cost, then losses."""
    taken = windows()
    with scratch_folder() as folder:
        yield from cost_rows(taken, folder)
        yield from list_rows(folder)
        yield from kill_rows(taken, folder, kills)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kills", type=int, default=KILLS)
    own, sys.argv[1:] = parser.parse_known_args()
    report.main("Recordings: cost, and what survives a kill.", partial(measure, own.kills))
