"""How a calibration is reported in the terminal."""

from __future__ import annotations

import numpy as np
from rich.table import Table
from rich.text import Text

from focalloop.calibration.report.charts import number
from focalloop.calibration.report.verdict import verdict
from focalloop.calibration.result import Calibration
from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.fixed_pattern import Defect
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
    print_result(_defects(result))
    for warning in result.warnings:
        stdout.print(Text.assemble(("warning:", "yellow"), f" {warning}"))


def _defects(result: Calibration) -> str:
    """Say how many pixels are defective, or why that is not known."""
    if isinstance(result.pattern, FocalloopError):
        return f"There is no correction of single pixels: {result.pattern}."
    counts = np.bincount(result.pattern.defects.ravel(), minlength=len(Defect))
    if not counts[1:].any():
        return "No pixel is defective."
    kinds = ", ".join(f"{counts[kind]} {kind.name.lower()}" for kind in Defect if kind)
    return f"Defective pixels, left out of all estimates: {kinds}."
