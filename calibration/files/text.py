"""Text files as instruments, spreadsheets and editors write them: descriptors and tables.

They come in any Unicode encoding or in that of an old Windows program, with or without a byte order
mark, with semicolons or tabs between cells and decimal commas where the language has them, with
capitals, and with the backslashes of Windows in paths. All of it is read here, in one way.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from focalloop.calibration.errors import CalibrationError
from focalloop.firmware_sim.files import exists

MAX_TEXT_BYTES = 16 << 20
"""Largest text that is read."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEPARATORS = ",;\t|"


def read_text(path: Path, what: str) -> tuple[bytes, str]:
    """Read a text file: its bytes, and what they say.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it is, for errors.

    Raises
    ------
    CalibrationError
        The file is missing, too large or not text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: no possible file name
        reason = getattr(error, "strerror", None) or error
        raise CalibrationError(f"{what} {path} cannot be read ({reason}): check its path") from None
    if len(data) > MAX_TEXT_BYTES:
        raise CalibrationError(f"{what} {path} exceeds {MAX_TEXT_BYTES >> 20} MiB: it is not text")
    text = decoded(data)
    if "\0" in text:
        raise CalibrationError(f"{what} {path} is not text: write it as text, in UTF-8")
    return data, text


def decoded(data: bytes) -> str:
    """Decode text by its byte order mark, else as UTF-8, else as Windows wrote it before that."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def number(text: str) -> float | None:
    """Read a finite number, 0 or larger, with decimal point or comma; None for anything else."""
    plain = text.strip()
    if plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    if not re.fullmatch(r"[+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|-0+\.?0*", plain):
        return None
    value = float(plain)
    return value if math.isfinite(value) else None


def named(folder: Path, name: str) -> Path:
    """Return the path of a file that a text names, relative to its folder.

    A name is taken as it is if there is such a file; else with slashes for backslashes; else, as on
    Windows, whatever the capitals, if only one file is meant.
    """
    name = name.strip().strip('"')
    plain = folder / name
    if exists(plain):
        return plain
    found = folder
    for part in name.replace("\\", "/").split("/"):
        step = found / part
        if part not in ("", ".", "..") and not exists(step) and exists(found) and found.is_dir():
            alike = [path for path in found.iterdir() if path.name.casefold() == part.casefold()]
            step = alike[0] if len(alike) == 1 else step
        found = step
    return found if not name.startswith("/") else plain


@dataclass(frozen=True)
class Row:
    """A row of a table: the number of its line, and its cells by the names of their columns."""

    line: int
    cells: dict[str, str]


def table_rows(text: str, where: object, columns: Sequence[str], more: Sequence[str]) -> list[Row]:
    """Read the rows of a table whose first line names its columns, in any order and case.

    The separator is what ``sep=`` in the first line says, else the comma, semicolon, tab or bar
    that the line of names has most of. Empty lines, and lines that start with ``#``, are skipped.

    Parameters
    ----------
    text : str
        The table.
    where : object
        Its file, for errors.
    columns, more : sequence of str
        Names of the columns that it must have, and that it may have; others are ignored.

    Raises
    ------
    CalibrationError
        If there are no such columns, or a line does not have a cell for each.
    """
    lines = text.splitlines()
    start = 0
    separator = None
    if lines and (said := re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\r\n"), re.IGNORECASE)):
        separator, start = said[1], 1
    kept = [(n, line) for n, line in enumerate(lines, 1) if n > start and not _empty(line)]
    if not kept:
        raise CalibrationError(_form(where, columns, more))
    first = kept[0][1]
    separator = separator or max(_SEPARATORS, key=first.count)
    numbers = [n for n, _ in kept]
    reader = csv.reader((line for _, line in kept), delimiter=separator, strict=True)
    rows: list[Row] = []
    names: list[str] = []
    try:
        for cells in reader:
            line = numbers[reader.line_num - 1]
            if not names:
                names = [_column(cell) for cell in cells]
                named_cells = [name for name in names if name]
                if not set(columns) <= set(names) or len(set(named_cells)) < len(named_cells):
                    raise CalibrationError(_form(where, columns, more))
                continue
            extra = [cell for cell in cells[len(names) :] if cell.strip()]
            if extra:
                raise CalibrationError(
                    f"line {line} of {where} has {len(cells)} cells where the first line names "
                    f"{len(names)} columns: quote a cell that contains {separator!r}, such as a "
                    "number with a decimal comma, or separate the cells by semicolons"
                )
            cells += [""] * (len(names) - len(cells))
            rows.append(Row(line, {n: c.strip() for n, c in zip(names, cells, strict=False)}))
    except csv.Error as error:
        line = numbers[min(reader.line_num, len(numbers)) - 1]
        raise CalibrationError(
            f"line {line} of {where} is not a row of a table ({error}): write it as text"
        ) from None
    if not rows:
        raise CalibrationError(_form(where, columns, more))
    return rows


def _form(where: object, columns: Sequence[str], more: Sequence[str]) -> str:
    return (
        f"{where} is not a table of levels: its first line must be `{','.join(columns)}` or "
        f"`{','.join([*columns, *more])}`, and a line for each level must follow"
    )


def _empty(line: str) -> bool:
    return not line.strip(_SEPARATORS + ' "\r\n') or line.lstrip().startswith("#")


def _column(cell: str) -> str:
    return re.sub(r"[\s\-]+", "_", cell.strip().casefold())
