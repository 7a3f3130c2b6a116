"""The `focalloop` command line.

Every command prints for people by default and one JSON document with ``--json``; progress and
notices go to standard error, so that standard output stays clean for pipes. An expected failure
is one sentence on standard error and exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.command_tree import CommandTree
from focalloop.host.cli.output import print_error, print_in_any_encoding, print_warning

app = typer.Typer(
    name="focalloop",
    cls=CommandTree,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("focalloop"))
        raise typer.Exit


@app.callback()
def _root(
    show_version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Emulate, drive and deploy programmable focal-plane sensors."""


class _Warnings(logging.Handler):
    """Prints what the packages below warn of as the commands print their own warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        print_warning(record.getMessage())


_warnings = _Warnings(logging.WARNING)


def main() -> None:
    """Run the command line; turn expected errors into one sentence and exit code 1."""
    print_in_any_encoding()
    logging.getLogger("focalloop").addHandler(_warnings)
    try:
        app()
    except FocalloopError as error:
        print_error(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone; writing the rest would only raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
