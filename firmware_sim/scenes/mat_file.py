"""Numeric arrays in MATLAB files of level 5 (``save -v6`` and ``-v7``).

Format: "MAT-File Level 5 File Format" in the documentation of MathWorks. The reader of SciPy is not
used, because a damaged file can crash the interpreter in it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER_BYTES = 128
_COMPRESSED, _MATRIX = 15, 14
_TAG_BYTES = 8
_HEAD_BYTES = 4096
"""Enough of a compressed variable to know its name, type and shape."""

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_STORED |= {12: "i8", 13: "u8"}
"""NumPy name of each type in which numbers are stored."""

_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
_CLASSES |= {14: "i8", 15: "u8"}
"""NumPy name of each class of numeric array, which may be stored in a smaller type."""

_COMPLEX = 0x0800


class MatFileError(ValueError):
    """A file that is damaged or not a MATLAB file of level 5; the text continues its name."""


@dataclass(frozen=True)
class MatVariable:
    """One variable of a file.

    Attributes
    ----------
    name, shape : str or tuple of int
        As in MATLAB.
    dtype : np.dtype[Any] or None
        Type of its numbers; None if it is not an array of real numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    _element: bytes = field(repr=False)
    _compressed: bool = field(repr=False)
    _order: str = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Size of its numbers in memory, bytes."""
        return math.prod(self.shape) * (self.dtype.itemsize if self.dtype else 0)

    def read(self) -> NDArray[Any]:
        """Return its numbers, of its shape and dtype.

        Raises
        ------
        MatFileError
            If they are damaged, or the variable is not an array of real numbers.
        """
        if self.dtype is None:
            raise MatFileError(f"holds no real numbers in `{self.name}`")
        content, count = self._element, math.prod(self.shape)
        try:
            head = _head(content) if self._compressed else content
            *_, (kind, start, size) = islice(_tags(head, self._order), 4)
            stored = np.dtype(self._order + _STORED[kind])
            # Before anything is decompressed: no more than `nbytes`, which the caller has checked.
            if size != count * stored.itemsize or stored.itemsize > self.dtype.itemsize:
                raise ValueError(f"{size} bytes of {stored} where {self.nbytes} at most belong")
            if self._compressed:
                start += _TAG_BYTES
                content = zlib.decompressobj().decompress(content, start + size)
            numbers = np.frombuffer(content, stored, count, start)
            return numbers.reshape(self.shape, order="F").astype(self.dtype, copy=False)
        except (struct.error, zlib.error, ValueError, KeyError) as error:
            raise MatFileError(f"is damaged in `{self.name}` ({error})") from None


def variables(path: Path) -> list[MatVariable]:
    """List the variables of a file; their numbers are not yet decompressed.

    Raises
    ------
    MatFileError
        If the file is damaged or of another format.
    """
    content = path.read_bytes()
    version, mark = content[124:126], content[126:128]
    if mark not in (b"IM", b"MI"):
        raise MatFileError("is not a MATLAB file of level 5, as `save -v7` writes")
    order = "<" if mark == b"IM" else ">"
    if struct.unpack(order + "H", version)[0] == 0x0200:
        raise MatFileError("is a MATLAB 7.3 (HDF5) file, which is not supported")
    try:
        found = _parts(content[_HEADER_BYTES:], order)
        return [_variable(kind, data, order) for kind, data in found]
    except (struct.error, zlib.error, ValueError, KeyError) as error:
        raise MatFileError(f"is damaged ({error})") from None


def _variable(kind: int, element: bytes, order: str) -> MatVariable:
    head = element
    if kind == _COMPRESSED:
        kind = struct.unpack_from(order + "I", zlib.decompressobj().decompress(element, 4))[0]
        head = _head(element)
    if kind != _MATRIX:
        raise ValueError(f"an element of type {kind} where a variable belongs")
    (_, flags), (_, dimensions), (_, name) = islice(_parts(head, order), 3)
    flag = struct.unpack_from(order + "I", flags)[0]
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    if min(shape, default=-1) < 0:
        raise ValueError(f"a shape of {shape}")
    dtype = None if flag & _COMPLEX else _CLASSES.get(flag & 0xFF)
    return MatVariable(
        name.decode("latin-1"),
        shape,
        None if dtype is None else np.dtype(dtype),
        element,
        head is not element,
        order,
    )


def _head(compressed: bytes) -> bytes:
    """Return the beginning of a compressed variable, after its tag."""
    return zlib.decompressobj().decompress(compressed, _HEAD_BYTES)[_TAG_BYTES:]


def _parts(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of consecutive elements, which are all there."""
    for kind, start, size in _tags(content, order):
        if start + size > len(content):
            raise ValueError("it ends too early")
        yield kind, content[start : start + size]


def _tags(content: bytes, order: str) -> Iterator[tuple[int, int, int]]:
    """Yield type, place and size of consecutive elements; the last may end after the content."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from(order + "II", content, at)
        start = at + _TAG_BYTES
        if kind >> 16:  # up to 4 bytes, packed into the tag
            kind, size = kind & 0xFFFF, kind >> 16
            start = at + 4
        yield kind, start, size
        at = start + size
        if kind != _COMPRESSED:
            at += -at % 8
