"""Reading JSON that nobody vouches for: numbers are finite, and integers have 64 bits.

Python's own reader takes NaN, Infinity, 1e999 and integers of thousands of digits, which end as an
OverflowError wherever they are used.
"""

from __future__ import annotations

import json
import math
from typing import Any


def parse_json(data: bytes | str) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """Parse JSON, in any Unicode encoding, with or without a byte order mark.

    NaN and Infinity, which are not JSON but which Python writes, become None.

    Raises
    ------
    ValueError
        If it is no JSON, holds a number beyond the range of an int64 or float64, or is nested too
        deeply for Python.
    """
    try:
        text = data.decode(json.detect_encoding(data)) if isinstance(data, bytes) else data
        return json.loads(
            text, parse_constant=lambda _: None, parse_float=_finite, parse_int=_of_64_bits
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _of_64_bits(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= 1 << 63:
        raise ValueError(f"{text[:40]} is too large a number")
    return value
