"""TIFF stacks: a folder of single- or multi-page images with a table that describes them.

The table, ``levels.csv``, has a row for each level of the photon transfer curve:

    file,kind,exposure_s,photons
    dark.tif,dark,0.010,
    flat_1.tif,flat,0.010,1200
    flat_2_*.tif,flat,0.010,2400

``file`` may be a pattern, where each read has its own file; the files are taken in the order of
their names. ``photons``, per pixel, may be left out. Spreadsheets may write the table in their way:
`focalloop.calibration.files.text` says what is read.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.files.images import ImageReader, Progress
from focalloop.calibration.files.text import Row, named, number, read_text, table_rows
from focalloop.calibration.readings import Level, Readings
from focalloop.firmware_sim.files import exists

TABLE = "levels.csv"
"""Name of the table in the folder of a stack."""

COLUMNS = ("file", "kind", "exposure_s")
MORE_COLUMNS = ("photons",)


def read_tiff_stack(
    path: str | Path,
    *,
    bits: int | None = None,
    full_scale_dn: float | None = None,
    progress: Progress | None = None,
) -> Readings:
    """Read a TIFF stack, or gray images in another format that Pillow reads.

    Parameters
    ----------
    path : str or Path
        A folder with a ``levels.csv``, or the table itself, under any name.
    bits : int, optional
        Resolution of the ADC; not needed for 8-bit images.
    full_scale_dn : float, optional
        Codes from black to signal 1.0, if known.
    progress : callable, optional
        Takes the number of levels read and in total.

    Raises
    ------
    CalibrationError
        If the table or an image is missing or invalid; the text names the line or file.
    """
    path = Path(path)
    table = table_of(path)
    data, text = read_text(table, "the table of levels")
    rows = table_rows(text, table, COLUMNS, MORE_COLUMNS)
    reader = ImageReader(bits)
    levels = []
    for done, row in enumerate(rows, 1):
        levels.append(_level(table, row, reader))
        if progress is not None:
            progress(done, len(rows))
    return Readings(
        levels=tuple(levels),
        bits=bits or 8,
        full_scale_dn=full_scale_dn,
        black_level_dn=None,
        slots=None,
        exposure_unit="s",
        origin={
            "source": "TIFF stack",
            "file": table.name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "images": reader.summary(),
        },
    )


def table_of(path: Path) -> Path:
    """Return the table of a stack: the path itself, or in a folder `TABLE`, in any case."""
    return named(path, TABLE) if exists(path) and path.is_dir() else path


def _level(table: Path, row: Row, reader: ImageReader) -> Level:
    where = f"line {row.line} of {table}"
    pattern, kind = row.cells["file"], row.cells["kind"].casefold()
    if kind not in ("dark", "flat"):
        raise CalibrationError(f"{where} has the kind {kind!r}: write dark or flat")
    paths = _files(table.parent, pattern)
    if not paths:
        raise CalibrationError(
            f"{where} names {pattern!r}, but there is no such file: correct the name"
        )
    exposure_s = _number(where, "exposure_s", row)
    photons = _number(where, "photons", row)
    if exposure_s is None:
        raise CalibrationError(f"{where} has no exposure_s: write the exposure in seconds")
    return Level(
        reads=reader.read(paths),
        dark=kind == "dark",
        exposure=exposure_s,
        light=0.0 if kind == "dark" else photons,
        name=pattern,
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    if not pattern:
        return []
    one = named(folder, pattern)
    if one.is_file():  # a name may have brackets, which a pattern would interpret
        return [one]
    with suppress(NotImplementedError, ValueError):  # an absolute pattern, or a malformed one
        return sorted(folder.glob(pattern.replace("\\", "/")))
    return []


def _number(where: str, column: str, row: Row) -> float | None:
    text = row.cells.get(column, "")
    if not text:
        return None
    value = number(text)
    if value is None:
        raise CalibrationError(f"{where} has {text!r} for {column}: write a number, 0 or larger")
    return value
