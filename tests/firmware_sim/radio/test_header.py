"""The header: every field comes back, and what does not fit is refused."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.header import (
    HEADER_BYTES,
    MAX_RATE_MAP_BYTES,
    MAX_SCALE,
    MAX_SIDE,
    Header,
)

HASHES = st.binary(min_size=4, max_size=4)


@given(
    HASHES,
    HASHES,
    st.integers(0, 65535),
    st.tuples(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE)),
    st.floats(0, MAX_SCALE, width=16),
    st.integers(0, MAX_RATE_MAP_BYTES),
    st.integers(0, 15),
    st.floats(-MAX_SCALE, MAX_SCALE, width=16),
    st.booleans(),
)
def test_every_field_comes_back(model, ratio_map, number, shape, scale, size, level, offset, mixed):
    level = 0 if size else level
    header = Header(model, ratio_map, number, shape, scale, size, level, offset, mixed)
    assert len(header.packed()) == HEADER_BYTES == 20
    assert Header.unpacked(header.packed()) == header


@given(st.sampled_from([b"\x01", b"\x81"]), st.binary(min_size=19, max_size=19))
def test_any_bytes_are_a_header_or_an_error(first, rest):
    try:
        header = Header.unpacked(first + rest)
    except RadioError:
        return
    assert math.isfinite(header.scale)
    assert math.isfinite(header.offset)
    assert min(header.shape) > 0


def test_the_scale_is_half_precision():
    header = Header(b"abcd", b"efgh", 0, (1, 1), math.pi)
    assert Header.unpacked(header.packed()).scale == np.float16(math.pi)


def test_bytes_are_as_documented():
    header = Header(b"abcd", b"efgh", 258, (3, 5), 1.0, level=2, offset=-2.0)
    front = b"\x01" + b"abcdefgh" + b"\x02\x01" + b"\x03\x50\x00"
    expected = front + b"\x00\x3c" + b"\x00\xc0" + b"\x02\xff"
    assert header.packed() == expected
    assert replace(header, mixed=True).packed() == b"\x81" + expected[1:]


def test_another_version_is_refused():
    packed = Header(b"abcd", b"efgh", 0, (1, 1), 1.0).packed()
    for version in (0, 2, 0x80, 0x82):
        with pytest.raises(RadioError, match=f"version {version & 0x7F} arrived, but 1 is known"):
            Header.unpacked(bytes([version]) + packed[1:])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"model": b"abc"}, "hash of the model, not b'abc'"),
        ({"ratio_map": b""}, "hash of the ratio map"),
        ({"shape": (0, 4)}, "1 to 4095 .*not 0x4"),
        ({"shape": (4, 4096)}, "not 4x4096"),
        ({"scale": math.nan}, "not nan"),
        ({"scale": math.inf}, "not inf"),
        ({"scale": 65505.0}, "0 to 65504"),
        ({"offset": math.nan}, "not nan"),
        ({"offset": -65505.0}, "within 65504, not -65505"),
        ({"rate_map_bytes": 0xFF00}, "at most 65279 bytes, not 65280"),
    ],
)
def test_what_does_not_fit_is_refused(fields, problem):
    good = {"model": b"abcd", "ratio_map": b"efgh", "number": 0, "shape": (1, 1), "scale": 1.0}
    with pytest.raises(RadioError, match=problem):
        Header(**(good | fields))


def test_the_documented_fields_fill_the_header():
    document = Path(__file__).parents[3] / "docs/radio.md"
    text = document.read_text(encoding="utf-8")
    table = text[text.index("**Header**") : text.index("**Rate map.**")]
    assert sum(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE))) == HEADER_BYTES
    assert f"| header | {HEADER_BYTES} bytes |" in text
