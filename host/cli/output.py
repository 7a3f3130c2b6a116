"""What every command shares: where it prints, how it shows progress, and its ``--json`` option."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True)
"""Notices, tables' captions, progress and errors: standard error."""

stdout = Console()
"""Results for people: standard output."""

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]


def emit_json(document: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print one JSON document on standard output.

    Parameters
    ----------
    document : any
        Any value the standard JSON encoder takes; NaN and infinities are refused, since they are
        not JSON.
    """
    typer.echo(json.dumps(document, indent=2, allow_nan=False))


def progress_bar() -> Progress:
    """Return a progress bar on standard error that is silent where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
