"""The log of a run: a CSV file with one row per report, which stays consistent on resuming."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from focalloop.firmware_sim.files import written_whole

STEP = "step"
"""Column that orders the rows."""


class RunLog:
    """Rows of a CSV file, ordered by step.

    Every change rewrites the file whole, so that neither a reader nor a killed run finds or leaves
    half of it. A run has a few hundred rows at most.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, str]]:
        """Return all rows as text by column; malformed lines are left out."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            return [row for row in csv.DictReader(file) if (row.get(STEP) or "").isdecimal()]

    def append(self, entry: dict[str, Any]) -> None:
        """Add a row, and remove rows of the same or a later step, whose weights were not kept.

        Columns that the file does not have yet are added.
        """
        row = {key: f"{v:.4f}" if isinstance(v, float) else str(v) for key, v in entry.items()}
        self._write([*self._until(int(entry[STEP]) - 1), row])

    def drop_after(self, step: int) -> None:
        """Remove the rows after `step`, which the checkpoint to resume from does not include.

        A log without such rows is not touched.
        """
        kept = self._until(step)
        if len(kept) < len(self.rows()):
            self._write(kept)

    def _until(self, step: int) -> list[dict[str, str]]:
        return [row for row in self.rows() if int(row[STEP]) <= step]

    def _write(self, rows: list[dict[str, str]]) -> None:
        columns = dict.fromkeys(key for row in rows for key in row if key is not None)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        with written_whole(self.path) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8", newline="")
