"""TIFF stacks: a folder of single- or multi-page images with a table that says what each shows.

The table, ``levels.csv``, has a row for each level of the photon transfer curve:

    file,kind,exposure_s,photons
    dark.tif,dark,0.010,
    flat_1.tif,flat,0.010,1200
    flat_2_*.tif,flat,0.010,2400

``file`` may be a pattern, for reads in files of their own, taken in the order of their names.
``photons`` a pixel may be left out.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from focalloop.calibration.errors import CalibrationError
from focalloop.calibration.files.images import ImageReader
from focalloop.calibration.readings import Level, Readings

TABLE = "levels.csv"
"""Name of the table in a stack's folder."""

COLUMNS = ("file", "kind", "exposure_s")

Progress = Callable[[int, int], None]
"""Takes levels done and levels in all."""


def read_tiff_stack(
    path: str | Path,
    *,
    bits: int | None = None,
    full_scale_dn: float | None = None,
    progress: Progress | None = None,
) -> Readings:
    """Read a TIFF stack, or any other gray images that Pillow reads.

    Parameters
    ----------
    path : str or Path
        The folder with a ``levels.csv``, or the table itself under any name.
    bits : int, optional
        Resolution of the converter; 8-bit images need none.
    full_scale_dn : float, optional
        From black to signal 1.0, where that is known.
    progress : callable, optional
        Takes levels read and levels in all.

    Raises
    ------
    CalibrationError
        The table or an image is missing or not what it should be; the text says which row or file.
    """
    path = Path(path)
    table = path / TABLE if path.is_dir() else path
    try:
        data = table.read_bytes()
        rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines(), strict=True))
    except OSError as error:
        raise CalibrationError(
            f"{table} cannot be read ({error.strerror}): a TIFF stack needs this table of levels"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CalibrationError(f"{table} is no table of comma-separated values ({error})") from None
    if not rows or any(rows[0].get(column) is None for column in COLUMNS):
        raise CalibrationError(
            f"{table} is no table of levels: its first line is `file,kind,exposure_s` or "
            "`file,kind,exposure_s,photons`, and a line for each level follows"
        )
    reader = ImageReader(bits)
    levels = []
    for done, row in enumerate(rows, 1):
        levels.append(_level(table, done + 1, row, reader))
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


def _level(table: Path, line: int, row: dict[str, str | None], reader: ImageReader) -> Level:
    where = f"line {line} of {table}"
    pattern, kind = (row["file"] or "").strip(), (row["kind"] or "").strip().lower()
    if kind not in ("dark", "flat"):
        raise CalibrationError(f"{where} has the kind {kind!r}: write dark or flat")
    paths = _files(table.parent, pattern)
    if not paths:
        raise CalibrationError(f"{where} names {pattern!r}, and no file is there by that name")
    exposure_s = _number(where, "exposure_s", row["exposure_s"])
    photons = _number(where, "photons", row.get("photons") or None)
    if exposure_s is None:
        raise CalibrationError(f"{where} has no exposure_s: write the seconds of the exposure")
    return Level(
        reads=reader.read(paths),
        dark=kind == "dark",
        exposure=exposure_s,
        light=0.0 if kind == "dark" else photons,
        name=pattern,
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    named = folder / pattern
    if named.is_file() or not pattern:  # a name may have brackets, which mean something in patterns
        return [named] if pattern else []
    with suppress(NotImplementedError, ValueError):  # from the root, or not well formed
        return sorted(folder.glob(pattern))
    return []


def _number(where: str, column: str, text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise CalibrationError(f"{where} has {text.strip()!r} for {column}: a number from 0 up")
    return value
