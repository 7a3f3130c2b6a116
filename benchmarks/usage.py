"""What processes hold while they run for long: their memory must not grow, for one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Row

PARTS, SETTLED = 10, 2
"""Parts of a long run, and the one with whose usage that of the later ones is compared."""

MAX_MEMORY = 1.05


class Usage(NamedTuple):
    """What a process uses."""

    memory: float
    """Not shared with other processes, MB."""
    descriptors: float
    threads: float

    @classmethod
    def of(cls, process: int) -> Usage:
        """Look at a running process.

        Raises
        ------
        OSError
            It has ended.
        """
        folder = Path(f"/proc/{process}")
        lines = (line.split() for line in (folder / "status").read_text().splitlines())
        own = sum(float(line[1]) for line in lines if line[0] in ("RssAnon:", "VmSwap:"))
        counts = (sum(1 for _ in (folder / name).iterdir()) for name in ("fd", "task"))
        return cls(own * 1024 / 1e6, *counts)


def settled_rows(name: str, usages: Sequence[Usage]) -> list[tuple[Row, bool]]:
    """Compare what a process used late with what it did once it had settled.

    Parameters
    ----------
    name : str
        Name of the process.
    usages : sequence of Usage
        At regular times; where there are fewer than `PARTS`, nothing is compared.

    Returns
    -------
    list of tuple of Row and bool
        The highest median of a part, beside the limit, and whether that held.
    """
    length = len(usages) // PARTS
    if length == 0:
        return []
    parts = [usages[start : start + length] for start in range(0, len(usages), length)][SETTLED:]
    medians = [Usage(*map(statistics.median, zip(*part, strict=True))) for part in parts]
    found = []
    for quantity, *values in zip(Usage._fields, *medians, strict=True):
        allowed = values[0] * (MAX_MEMORY if quantity == "memory" else 1)
        unit = "MB" if quantity == "memory" else ""
        row = Row.of(f"{quantity}, {name}", max(values), unit, "most", allowed)
        found.append((row, max(values) <= allowed))
    return found
