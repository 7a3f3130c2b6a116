"""TIFF stacks: images and their table become readings, and invalid ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from focalloop.calibration import CalibrationError
from focalloop.calibration.files.tiff_stack import read_tiff_stack

SHAPE = (5, 7)

TABLE = """\
file,kind,exposure_s,photons
dark.tif,dark,0.01,
flat_*.tif,flat,0.01,1200
"""


def codes(seed, count, bits=10, dtype=np.uint16):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << bits, (count, *SHAPE)).astype(dtype)


def save(path, pages):
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=rest)


@pytest.fixture
def stack(tmp_path):
    save(tmp_path / "dark.tif", codes(1, 3))
    for index, page in enumerate(codes(2, 2)):
        save(tmp_path / f"flat_{index}.tif", [page])
    (tmp_path / "levels.csv").write_text(TABLE)
    return tmp_path


def test_pages_and_patterns_are_reads(stack):
    readings = read_tiff_stack(stack, bits=10, full_scale_dn=900.0)
    dark, flat = readings.levels
    np.testing.assert_array_equal(dark.reads, codes(1, 3))
    np.testing.assert_array_equal(flat.reads, codes(2, 2))
    assert (dark.dark, flat.dark) == (True, False)
    assert (flat.exposure, flat.light) == (0.01, 1200.0)
    assert (readings.bits, readings.full_scale_dn) == (10, 900.0)
    assert readings.origin["images"]["count"] == 3


def test_the_table_may_have_any_name_and_no_photons(stack):
    table = stack / "night.csv"
    table.write_text("file,kind,exposure_s\ndark.tif,dark,0.01\nflat_*.tif,FLAT,0.02\n")
    _, flat = read_tiff_stack(table, bits=12).levels
    assert (flat.exposure, flat.light) == (0.02, None)


@pytest.mark.parametrize("maximum", [1023, 65535])
def test_the_codes_of_a_pgm_are_those_that_it_stores(stack, maximum):
    for index, page in enumerate(codes(2, 2)):
        header = f"P5 {SHAPE[1]} {SHAPE[0]} {maximum}\n".encode()
        (stack / f"flat_{index}.pgm").write_bytes(header + page.astype(">u2").tobytes())
    (stack / "levels.csv").write_text(TABLE.replace("flat_*.tif", "flat_*.pgm"))
    _, flat = read_tiff_stack(stack, bits=10).levels
    np.testing.assert_array_equal(flat.reads, codes(2, 2))


def test_eight_bit_images_need_no_bits(stack):
    save(stack / "dark.tif", codes(1, 2, 8, np.uint8))
    for index in range(2):
        save(stack / f"flat_{index}.tif", codes(index, 1, 8, np.uint8))
    assert read_tiff_stack(stack).bits == 8


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (TABLE, "", "is not a table of levels"),
        ("file,kind", "name,kind", "is not a table of levels"),
        ("dark.tif,dark", "dark.tif,black", "line 2"),
        ("flat_*.tif", "none_*.tif", "none_*.tif"),
        ("flat_*.tif", "/none_*.tif", "/none_*.tif"),
        ("flat_*.tif", "", "line 3"),
        ("flat_*.tif", "flat_**.tif", "flat_**.tif"),
        ("flat_*.tif", "..", "Is a directory"),
        ("0.01,1200", "nan,1200", "'nan' for exposure_s"),
        ("0.01,1200", "0.01,-1", "'-1' for photons"),
        ("0.01,1200", ",1200", "no exposure_s"),
        ("0.01,1200", "0,01,1200", "line 3"),
        ("0.01,1200", '0.01,"12', "line 3"),
        ("0.01,1200", "0.01,12²", "line 3"),
        ("file,kind", "file,file,kind", "is not a table of levels"),
        ("dark.tif,dark,0.01,", "\n# a word\n\ndark.tif,black,0.01,", "line 5"),
    ],
)
def test_an_invalid_table_is_refused_with_its_line(stack, old, new, words):
    (stack / "levels.csv").write_text(TABLE.replace(old, new))
    with pytest.raises(CalibrationError) as error:
        read_tiff_stack(stack, bits=10)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_images_that_do_not_hold_codes_are_refused(stack):
    (stack / "levels.csv").rename(stack / "kept.csv")
    with pytest.raises(CalibrationError, match=r"levels\.csv cannot be read"):
        read_tiff_stack(stack)
    (stack / "kept.csv").rename(stack / "levels.csv")
    with pytest.raises(CalibrationError, match="resolution of the ADC"):
        read_tiff_stack(stack)
    with pytest.raises(CalibrationError, match="9 bits end at 511"):
        read_tiff_stack(stack, bits=9)
    save(stack / "dark.tif", codes(1, 2)[:, :, :6])
    with pytest.raises(CalibrationError, match=r"flat_0\.tif has 7x5 pixels, .* is 6x5"):
        read_tiff_stack(stack, bits=10)
    save(stack / "dark.tif", codes(1, 2).astype(np.float32))
    with pytest.raises(CalibrationError, match="floating-point"):
        read_tiff_stack(stack, bits=10)
    save(stack / "dark.tif", np.full((2, *SHAPE), np.nan, np.float32))
    with pytest.raises(CalibrationError, match="NaN"):
        read_tiff_stack(stack, bits=10)
