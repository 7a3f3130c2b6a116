"""What every command prints with: results and JSON, notices and errors, and the progress bar."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.progress import Progress

_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)
}
"""What is shown for characters that would steer a terminal; tabs and line breaks do no harm."""


class _Shown(Console):
    """A console that shows the control characters in the name of a file."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - cells of tables
        return super().render_str(text.translate(_CONTROLS), **options)


# Names of files and boards may contain brackets and colons, so no text is taken for markup.
console = _Shown(stderr=True, markup=False, emoji=False)
"""Notices, progress and errors: standard error."""

stdout = _Shown(markup=False, emoji=False)
"""Tables and drawings for people: standard output."""


_SUBSTITUTES = {
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)),
    "⁻": "^-", "−": "-", "–": "-", "×": "x", "±": "+-", "·": ".", "…": "...", "°": "", "µ": "u",
    "σ": "sigma", "∞": "inf", "█": "#", "━": "-", "•": "*",
}  # fmt: skip
"""What stands for the characters of our own texts where they cannot be written."""


def ignore_lost_complaints() -> None:
    """Go on where standard error cannot be written, as on a full disk."""
    stream = sys.stderr
    if isinstance(stream, TextIOWrapper) and stream is sys.__stderr__ and not stream.isatty():
        raw = _Tolerant(stream.fileno(), "w", closefd=False)
        sys.stderr = TextIOWrapper(BufferedWriter(raw), stream.encoding, line_buffering=True)


class _Tolerant(FileIO):
    """A file that drops what it cannot write."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def print_in_any_encoding() -> None:
    """Replace what the encoding of standard output or error lacks from now on; JSON is ASCII."""
    codecs.register_error("focalloop", _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="focalloop")


def _substitute(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_SUBSTITUTES.get(character, "?") for character in lacking), error.end


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which has an s where it is not one: "1 window"."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def print_result(text: str) -> None:
    """Print a result for people on standard output; each of its lines stays one line."""
    _print(stdout, text)


def print_notice(text: str) -> None:
    """Print on standard error what happens beside the result."""
    _print(console, text)


def print_warning(text: str) -> None:
    """Print a warning on standard error."""
    _print(console, text, "warning: ", "yellow")


def print_error(text: str) -> None:
    """Print what failed on standard error."""
    _print(console, text, "error: ", "bold red")


def _print(console: Console, text: str, label: str = "", style: str = "") -> None:
    shown = Text.assemble((label, style), text.translate(_CONTROLS))
    console.print(shown, highlight=False, soft_wrap=True)


def print_json(document: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print one JSON document on standard output.

    Parameters
    ----------
    document : any
        Any value the standard JSON encoder takes; NaN and infinities are refused, since they are
        not JSON.
    """
    # Not `stdout`, which would colour and wrap it on a terminal.
    print(json.dumps(document, indent=2, allow_nan=False), flush=True)


def progress_bar(*, percent: bool = False, transient: bool = False) -> Progress:
    """Return a progress bar on standard error; where that is no terminal, a line now and then.

    Parameters
    ----------
    percent : bool, optional
        Show the share that is done instead of the counts.
    transient : bool, optional
        Remove the bar when it ends.
    """
    if not console.is_terminal:
        from focalloop.host.cli.progress_lines import ProgressLines

        return ProgressLines(print_notice, percent)
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    # On a narrow terminal the description wraps: a clock that is cut off says nothing.
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold")),
        BarColumn(bar_width=20),
        TaskProgressColumn() if percent else MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        console=console,
        transient=transient,
    )


@contextmanager
def activity(text: str) -> Iterator[None]:
    """Show on standard error what is done while the block runs, for an unknown time."""
    if console.is_terminal:
        with console.status(Text(text), spinner="line"):
            yield
    else:
        with progress_bar() as bar:
            bar.add_task(text, total=None)
            yield
