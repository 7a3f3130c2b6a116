"""Validation quality over the hours of runs of ``focalloop train`` that go on from each other.

``python -m benchmarks.training_hours LOG.csv... -o PICTURE.png`` joins the logs of the runs, in
their order, and prints the hours until the end of each and its quality then. The shipped logs are
``docs/results/training/told-*.csv`` and ``aperture-*.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.maps.figures import STYLE
from benchmarks.report import Row, show
from focalloop.firmware_sim.files import written_whole
from focalloop.models.training.run_log import RunLog

Curve = list[tuple[float, float]]
"""Hours since the first run began, and the validation PSNR in dB then, at each report."""


def joined(logs: Sequence[Path]) -> list[Curve]:
    """Return the curve of each run, whose hours follow those of the run before."""
    curves: list[Curve] = []
    begun_h = 0.0
    for path in logs:
        rows = RunLog(path).rows()
        if not rows:
            raise SystemExit(f"{path} has no rows: give log.csv of a folder of `focalloop train`")
        curves.append(
            [(begun_h + float(row["minutes"]) / 60, float(row["validation_psnr"])) for row in rows]
        )
        begun_h = curves[-1][-1][0]
    return curves


def drawn(curves: Sequence[Curve]) -> Figure:
    """Draw the curves, with a line where a run ended and the next one began."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.set_title("validation PSNR, dB, over hours of training", loc="left")
        for number, curve in enumerate(curves, 1):
            axes.plot(*zip(*curve, strict=True), marker=".", label=f"run {number}")
            axes.axvline(curve[-1][0], color="0.8", linewidth=0.8, zorder=0)
        axes.set_xlabel("hours on one core")
        axes.legend(frameon=False)
    return figure


def rows(curves: Sequence[Curve]) -> Iterator[Row]:
    """Yield hours and quality at the end of each run, against those of the first."""
    first_h, first_db = curves[0][-1]
    for number, curve in enumerate(curves, 1):
        hours, psnr_db = curve[-1]
        yield Row.of(f"run {number}, hours since the first began", hours, "h", "run 1", first_h)
        yield Row.of(f"run {number}, validation", psnr_db, "dB", "run 1", first_db)


def main() -> None:
    """Print the rows, and draw the picture where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG.csv")
    parser.add_argument("-o", "--output", type=Path, metavar="PICTURE.png")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    curves = joined(options.logs)
    show(rows(curves), options.json)
    if options.output is not None:
        with written_whole(options.output) as partial:
            drawn(curves).savefig(partial, format="png", dpi=120)


if __name__ == "__main__":
    main()
