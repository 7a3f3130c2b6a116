"""The `focalloop` command line.

Every command prints for people by default and one JSON document with ``--json``; progress and
notices go to standard error, so that standard output stays clean for pipes. An expected failure
is one sentence on standard error and exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points, version

import typer
from rich.markup import escape

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.commands import (
    board_commands,
    calibrate_commands,
    evaluate_commands,
    live_commands,
    map_commands,
)
from focalloop.host.cli.output import console

app = typer.Typer(
    name="focalloop",
    help="Emulate, drive and deploy programmable focal-plane sensors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("focalloop"))
        raise typer.Exit


@app.callback()
def _root(
    show_version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Emulate, drive and deploy programmable focal-plane sensors."""


for _module in (
    live_commands,
    board_commands,
    calibrate_commands,
    map_commands,
    evaluate_commands,
):
    _module.register(app)

# The commands of `models` arrive by entry point, so that `host` imports nothing of it.
for _entry in sorted(entry_points(group="focalloop.commands"), key=lambda entry: entry.name):
    _entry.load()(app)


def main() -> None:
    """Run the command line; turn expected errors into one sentence and exit code 1."""
    try:
        app()
    except FocalloopError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away; writing the rest would only raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
