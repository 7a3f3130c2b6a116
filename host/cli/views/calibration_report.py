"""How a calibration is reported in the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from focalloop.calibration.report.charts import number
from focalloop.calibration.report.verdict import verdict
from focalloop.calibration.result import Calibration
from focalloop.host.cli.output import print_result, stdout

_COLOURS = {"good": "green", "warn": "yellow", "bad": "red"}


def print_calibration(result: Calibration) -> None:
    """Print the estimates with their intervals, the verdict, and the warnings."""
    table = Table("estimate", "value", "95 % interval", "unit")
    for name, estimate in result.estimates.items():
        low, high = (number(end, 5) for end in estimate.ci95)
        table.add_row(name, number(estimate.value, 5), f"{low} … {high}", estimate.unit)
    stdout.print(table)
    found = verdict(result)
    headline = Text(f"{found.headline}.", style=f"bold {_COLOURS[found.mood]}")
    stdout.print(headline)
    for sentence in found.sentences:
        print_result(sentence)
    for warning in result.warnings:
        stdout.print(Text.assemble(("warning:", "yellow"), f" {warning}"))
