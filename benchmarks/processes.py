"""Processor time of processes and of those that they have started, from ``/proc``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def used_s(process: int, name_of: Callable[[int], str]) -> dict[str, float]:
    """Return the processor time of a process and its descendants until now, seconds, by name.

    Parameters
    ----------
    process : int
        Id of a process that runs.
    name_of : callable
        Returns the name under which to count a process, by its id.
    """
    ticks: Counter[str] = Counter()
    for each in tree(process):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            name = name_of(each)
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        ticks[name] += int(fields[11]) + int(fields[12])  # user and system
    return {name: count / _TICKS_PER_S for name, count in ticks.items()}


def role_in_chromium(process: int) -> str:
    """Return what a process of Chromium is for, as Chromium calls it: ``renderer`` draws pages."""
    found = re.search(r"--type=([a-z-]+)", Path(f"/proc/{process}/cmdline").read_text())
    return "browser" if found is None else found[1]


def tree(process: int) -> Iterator[int]:
    """Yield the ids of a process and its descendants."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in found:
            yield from tree(int(child))
