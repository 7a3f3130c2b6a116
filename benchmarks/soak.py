"""The preview on a bad line for ten minutes: ``python -m benchmarks.soak [--minutes N] [--json]``.

``focalloop emulate`` and ``focalloop live --port`` run in processes of their own, with one viewer
that takes every picture: first over a clean line, then over one that flips bits, is unplugged and
stalls (`BAD_LINE`), then over a clean one again, so that what else the machine does hits both.

* Pictures per second on the bad line, against 90 % of those on the clean one.
* Memory of either process, against 5 % above what it was in the third minute of ten; descriptors
  and threads, against those of that minute. Each is the highest median of a minute from then on, so
  the port that is closed during an outage does not count, and one that is left open does.

A process's memory is what it has for itself, swapped out or not. Progress goes to standard error.
Ctrl-C ends the run, and what was measured is printed. The exit code is 1 unless every limit held.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from tempfile import TemporaryDirectory
from typing import NamedTuple

from websockets.exceptions import WebSocketException

from benchmarks import report
from benchmarks.preview import CommandEndedError, running, viewer
from benchmarks.report import Row
from benchmarks.usage import PARTS, Usage, settled_rows
from focalloop.host.cli.commands.live import DEMO_CLIP

BAD_LINE = "flips=1e-6, disconnect=every 60 s, stall=every 90 s"
MINUTES = 10.0
CLEAN_SHARE = 0.1
"""Duration of each of the clean stretches, over that of the bad one."""

MIN_PICTURES = 0.9
SLOT_RATE_HZ = 240
REAL_TIME = SLOT_RATE_HZ / 16
SETTLE_S = 4.0
SAMPLE_S = 1.0
PROGRESS_S = 5.0


class Sample(NamedTuple):
    """Pictures that came in a while, and what both processes used at its end."""

    duration_s: float
    pictures: int
    usage: dict[str, Usage]
    """By the name of the process."""


def _samples(name: str, faults: str, duration_s: float) -> Iterator[Sample]:
    """Run the preview on a line with these faults, and look at it once per second."""
    _tell(f"{name} line: starting")
    scene = files("focalloop.host") / "clips" / DEMO_CLIP
    with TemporaryDirectory() as folder:
        link = f"{folder}/board"  # a device that is unplugged would come back under another name
        board = [f"--scene={scene}", f"--slot-rate={SLOT_RATE_HZ}", f"--link={link}"]
        page = [f"--port={link}", "--no-open", "--http-port=0"]
        with (
            running("emulate", *board, f"--faults={faults}") as (_, emulator),
            running("live", *page) as (document, host),
            viewer(document["url"]) as look,
        ):
            _tell(f"{name} line: settling")
            look.take(min(SETTLE_S, duration_s))
            end_s = time.perf_counter() + duration_s
            taken = 0
            while taken < PARTS or time.perf_counter() < end_s:
                begun_s = time.perf_counter()
                pictures = look.take(SAMPLE_S)
                taken += 1
                usage = {"host": Usage.of(host), "emulator": Usage.of(emulator)}
                yield Sample(time.perf_counter() - begun_s, pictures, usage)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _told(samples: Iterator[Sample], name: str) -> Iterator[Sample]:
    """Tell on standard error how it goes."""
    elapsed_s = told_s = 0.0
    pictures = 0
    for sample in samples:
        yield sample
        elapsed_s += sample.duration_s
        pictures += sample.pictures
        if elapsed_s - told_s >= PROGRESS_S:
            usage = "; ".join(
                f"{process} {used.memory:.1f} MB, {used.descriptors} descriptors, "
                f"{used.threads} threads"
                for process, used in sample.usage.items()
            )
            rate = pictures / (elapsed_s - told_s)
            clock = timedelta(seconds=round(elapsed_s))
            _tell(f"{name} line {clock}: {rate:.2f} pictures/s; {usage}")
            told_s, pictures = elapsed_s, 0


class Soak:
    """What was measured so far on the clean and on the bad line."""

    def __init__(self) -> None:
        self.clean: list[Sample] = []
        self.bad: list[Sample] = []

    def run(self, minutes: float) -> None:
        """Measure; what came before an error or Ctrl-C is kept.

        Parameters
        ----------
        minutes : float
            Duration on the bad line.
        """
        clean = ("clean", "", CLEAN_SHARE * minutes, self.clean)
        bad = ("bad", BAD_LINE, minutes, self.bad)
        for name, faults, duration, kept in (clean, bad, clean):
            for sample in _told(_samples(name, faults, 60 * duration), name):
                kept.append(sample)

    def rows(self) -> list[tuple[Row, bool]]:
        """Return every figure beside its limit, and whether that held."""
        found = []
        if self.clean:
            clean = _rate(self.clean)
            row = Row.of("pictures, clean line", clean, "1/s", "real time", REAL_TIME)
            found.append((row, clean > 0))
        if self.clean and clean > 0 and self.bad:
            bad, least = _rate(self.bad), MIN_PICTURES * clean
            row = Row.of("pictures, bad line", bad, "1/s", "least, 90 % of the clean line", least)
            found.append((row, bad >= least))
        for process in self.bad[0].usage if self.bad else ():
            found += settled_rows(process, [sample.usage[process] for sample in self.bad])
        return found


def _rate(samples: list[Sample]) -> float:
    """Return pictures per second."""
    return sum(s.pictures for s in samples) / sum(s.duration_s for s in samples)


def main() -> None:
    """Run the soak and print what it found."""
    parser = argparse.ArgumentParser(description="The preview on a bad line, for a while.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="duration on the bad line")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if not options.minutes > 0:
        parser.error("--minutes must be above 0")
    soak, ended = Soak(), ""
    try:
        soak.run(options.minutes)
    except KeyboardInterrupt:
        ended = "stopped early"
    except (CommandEndedError, OSError, WebSocketException) as error:
        ended = f"ended early: {error}"
    rows = soak.rows()
    report.show([row for row, _ in rows], options.json)
    missed = [row.name for row, held in rows if not held]
    verdict = f"limits missed: {', '.join(missed)}" if missed else "every limit above held"
    _tell(f"{ended}; {verdict}" if ended else verdict)
    sys.exit(1 if ended or missed else 0)


if __name__ == "__main__":
    # In the background of a script, Ctrl-C is off.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    main()
