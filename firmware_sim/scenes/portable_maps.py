"""Portable gray, colour and float maps (PGM, PPM, PFM): their numbers, and the maximum they state.

Formats: the man pages pgm(5), ppm(5) and pfm(5) of Netpbm. Pillow scales the numbers as it reads,
colours to 8 bits, and does not know floats in colours.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.pictures import PictureError
from focalloop.firmware_sim.scenes.grayscale import weighed
from focalloop.firmware_sim.scenes.value_range import Stored

_CHANNELS = {b"P2": 1, b"P5": 1, b"Pf": 1, b"P3": 3, b"P6": 3, b"PF": 3}
_PLAIN, _FLOATS = (b"P2", b"P3"), (b"Pf", b"PF")

_SPACE = rb"(?:\s|#[^\n]*\n)+"
_HEAD = re.compile(rb"P[2356fF]" + _SPACE + _SPACE.join([rb"(\d{1,9})"] * 2 + [rb"([-+.\deE]+)\s"]))
_MAX_HEAD_BYTES = 4096


def is_portable_map(file: BinaryIO) -> bool:
    """Whether a file begins as one of these formats does; it is then at its beginning."""
    kind = file.read(2)
    file.seek(0)
    return kind in _CHANNELS


def read_portable_map(file: BinaryIO) -> Stored:
    """Read the first picture of a file.

    Raises
    ------
    PictureError
        If it is damaged.
    """
    content = file.read()
    kind = content[:2]
    head = _HEAD.match(content[:_MAX_HEAD_BYTES])
    if head is None:
        raise PictureError("its header is damaged")
    shape = (int(head[2]), int(head[1]), _CHANNELS[kind])
    count = shape[0] * shape[1] * shape[2]
    if not 0 < count <= len(content):
        raise PictureError("it is smaller than the picture that it states")
    try:
        stated = float(head[3])
        if kind in _FLOATS:
            floats = np.frombuffer(content, "<f4" if stated < 0 else ">f4", count, head.end())
            values = floats.astype(np.float32).reshape(shape)[::-1]  # the last row comes first
            return Stored(_gray(values))
        if not 1 <= stated <= 65535:
            raise ValueError(f"a maximum of {stated:g}")
        dtype = np.dtype(np.uint8 if stated < 256 else np.uint16)
        largest = 255 if stated < 256 else 65535
        numbers: NDArray[Any]
        if kind in _PLAIN:
            words = re.sub(rb"#[^\n]*", b"", content[head.end() :]).split(None, count)[:count]
            numbers = np.array(words, "S6").astype(np.int64)
        else:
            numbers = np.frombuffer(content, dtype.newbyteorder(">"), count, head.end())
        if len(numbers) < count or not 0 <= numbers.min() <= numbers.max() <= largest:
            raise ValueError("numbers are missing or out of range")
    except (ValueError, OverflowError) as error:
        raise PictureError(str(error)) from None
    white = None if stated in (255, 65535) else stated  # these may be the maximum of the container
    return Stored(_gray(numbers.astype(dtype).reshape(shape)), white)


def _gray(picture: NDArray[Any]) -> NDArray[Any]:
    return picture[..., 0] if picture.shape[2] == 1 else weighed(picture)
