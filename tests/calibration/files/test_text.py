"""Descriptors and tables as editors, spreadsheets and other languages write them."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from focalloop.calibration import CalibrationError, Readings
from focalloop.calibration.files.emva import is_emva, read_emva
from focalloop.calibration.files.text import number, read_text
from focalloop.calibration.files.tiff_stack import read_tiff_stack
from focalloop.host.captures.calibrate import kind_of

DESCRIPTOR = """\
# measured in the lab, Frühling
v 3.0
n 12 9 6
b 40000.5 120.5
i images/Bright one.png
d 40000.5
i images/dark.png
"""
TABLE = """\
file,kind,exposure_s,photons
images/Bright one.png,flat,0.0125,120.5
images/dark.png,dark,0.0125,
"""

Written = Callable[[str], bytes]


def as_is(text: str) -> bytes:
    return text.encode()


def changed(*pairs: tuple[str, str]) -> Written:
    def write(text: str) -> bytes:
        for old, new in pairs:
            text = text.replace(old, new)
        return text.encode()

    return write


ENCODINGS: dict[str, Written] = {
    "as it is": as_is,
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "Windows-1252": lambda text: text.encode("cp1252"),
    "lines of Windows": changed(("\n", "\r\n")),
    "lines of an old Mac": changed(("\n", "\r")),
    "blank lines": changed(("\n", "\n\n")),
    "backslashes": changed(("/", "\\")),
    "other capitals of files": changed(("images/", "IMAGES/"), ("dark.png", "Dark.PNG")),
    "quoted names": changed(("images/Bright one.png", '"images/Bright one.png"')),
    "spaces at the ends": changed(("\n", "  \n")),
}
DESCRIPTORS = ENCODINGS | {
    "decimal commas": changed((".5", ",5")),
    "tabs": changed(("b 40000.5 120.5", "b\t40000.5\t120.5"), ("i ", "i\t")),
    "semicolons": changed(
        ("n 12 9 6", "n;12;9;6"), ("b 40000.5 120.5", "b;40000,5;120,5;"), ("i ", "i;")
    ),
    "commas between numbers": changed(("n 12 9 6", "n 12, 9, 6")),
    "capitals": changed(("\nn ", "\nN "), ("\nb ", "\nB "), ("\ni ", "\nI "), ("\nd ", "\nD ")),
}
TABLES = ENCODINGS | {
    "semicolons and decimal commas": changed((",", ";"), (".0", ",0"), (".5", ",5")),
    "tabs": changed((",", "\t")),
    "sep=": lambda text: ("sep=;\r\n" + text.replace(",", ";")).encode(),
    "sep= of a bar": lambda text: ('"SEP=|"\n' + text.replace(",", "|")).encode(),
    "quoted decimal commas": changed(("0.0125", '"0,0125"')),
    "capitals": changed(("file,kind,exposure_s", "File,KIND,Exposure s"), ("dark,", "DARK,")),
    "other columns, in another order": changed(
        ("file,kind,", "kind,note,file,"),
        ("images/Bright one.png,flat,", 'flat,"so, so",images/Bright one.png,'),
        ("images/dark.png,dark,", "dark,,images/dark.png,"),
    ),
    "no last cell": changed(("0.0125,\n", "0.0125\n")),
    "empty cells at the ends": changed(("\n", ",,\n")),
    "comments": lambda text: ("# the lab\n" + text).encode(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for seed, name in enumerate(("Bright one.png", "dark.png")):
        codes = np.random.default_rng(seed).integers(0, 4096, (6, 9), np.uint16)
        Image.fromarray(codes).save(tmp_path / "images" / name)
    return tmp_path


def facts(readings: Readings) -> list[tuple[bool, float, float | None, bytes]]:
    return [(lv.dark, lv.exposure, lv.light, lv.reads.tobytes()) for lv in readings.levels]


@pytest.mark.parametrize("write", DESCRIPTORS.values(), ids=DESCRIPTORS.keys())
def test_a_descriptor_is_read_however_it_is_written(folder: Path, write: Written) -> None:
    path = folder / "data.txt"
    path.write_text(DESCRIPTOR, encoding="utf-8")
    plain = facts(read_emva(path))
    path.write_bytes(write(DESCRIPTOR))
    assert is_emva(path)
    assert kind_of(path) == "emva"
    assert facts(read_emva(path)) == plain


@pytest.mark.parametrize("write", TABLES.values(), ids=TABLES.keys())
def test_a_table_is_read_however_it_is_written(folder: Path, write: Written) -> None:
    path = folder / "levels.csv"
    path.write_text(TABLE, encoding="utf-8")
    plain = facts(read_tiff_stack(folder, bits=12))
    path.write_bytes(write(TABLE))
    assert facts(read_tiff_stack(folder, bits=12)) == plain


def test_a_table_may_have_capitals_in_its_name(folder: Path) -> None:
    (folder / "LEVELS.CSV").write_text(TABLE)
    assert kind_of(folder) == "tiff stack"
    assert len(read_tiff_stack(folder, bits=12).levels) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0), (" 1.5 ", 1.5), ("1,5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("1,5E-2", 0.015),
        ("+2", 2.0), ("-0", 0.0), ("-1", None), ("1.000,5", None), ("1,000,000", None),
        ("12²", None), ("\u0661", None), ("1_000", None), ("nan", None), ("1e999", None),
        ("", None), ("0x10", None), (".", None),
    ],
)  # fmt: skip
def test_numbers_are_those_of_instruments(text: str, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize("content", [b"\0\1\2", b"v 3.0\n\0"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.txt").write_bytes(content)
    with pytest.raises(CalibrationError, match="is not text"):
        read_text(tmp_path / "data.txt", "the table")
