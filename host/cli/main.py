"""The `focalloop` command line.

Every command prints for people by default and one JSON document with ``--json``; progress and
notices go to standard error, so that standard output stays clean for pipes. An expected failure
is one sentence on standard error and exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys

import typer

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.host.cli.command_tree import CommandTree
from focalloop.host.cli.interruption import StoppedError
from focalloop.host.cli.output import (
    ignore_lost_complaints,
    print_error,
    print_in_any_encoding,
    print_notice,
    print_warning,
)

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
    ignore_lost_complaints()
    print_in_any_encoding()
    end_in_order()
    logging.getLogger("focalloop").addHandler(_warnings)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # at exit, Python would only complain of an error
    except FocalloopError as error:
        print_error(str(error))
        sys.exit(1)
    except StoppedError as stopped:
        print_notice(str(stopped))
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _discard_output()
        sys.exit(1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            print_error(
                f"{str(error.filename)[:60]}… is too long for the name of a file: shorten it"
            )
            sys.exit(1)
        if error.errno not in _FULL or error.filename is not None:
            raise
        _discard_output()
        print_error(
            f"standard output cannot be written ({error.strerror}): free space where it goes, or "
            "send it elsewhere"
        )
        sys.exit(1)


def end_in_order() -> None:
    """Let SIGTERM and SIGHUP end the program as an exception does: what is not whole is removed."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What a device that takes no more data answers."""


def _discard_output() -> None:
    """Send what standard output still holds nowhere; writing it would only raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
