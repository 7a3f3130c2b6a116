"""Reading zips and NumPy arrays that nobody vouches for, in bounded memory.

Sizes are checked against what the headers say before anything is unpacked, nothing is unpickled,
and every defect becomes an `ArchiveError` of one clause, which continues the name of the file.
"""

from __future__ import annotations

import ast
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError

MAX_DIRECTORY_BYTES = 1 << 20
"""Largest list of members of a zip: Python takes many times its size to hold it."""

MAX_HEADER_BYTES = 1 << 14
"""Largest header of an array, which names its type and shape."""

_MAX_DIMENSIONS = 8
_NAME_SIZES_AT = 26
"""Where the header of a member states how long its name and extra field are, which follow it."""
_PLAIN_TYPE = re.compile(r"[<>|=]?[?biufcSU]\d{0,9}")
_END_BYTES = 22
"""Size of the record at the end of a zip that states how many members there are."""
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # an offset before the start, a name that is not UTF-8
    OverflowError,
    RuntimeError,  # an encrypted member
    IndexError,
    MemoryError,
)
"""What zipfile and its decompressors raise on damaged data."""


class ArchiveError(FocalloopError, ValueError):
    """A zip or array that cannot be read; the text continues the name of its file."""


@dataclass(frozen=True)
class ArrayHeader:
    """What a ``.npy`` file says of its array before the numbers."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        """Size of the numbers, bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """A zip that is open for reading; `opened` makes it.

    Attributes
    ----------
    names : tuple of str
        Its members, in the order of its directory.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        members = archive.infolist()
        self.names = tuple(member.filename for member in members)
        if len(set(self.names)) < len(members):
            raise ArchiveError("is damaged: it has two members of one name")

    def read(self, name: str, max_bytes: int) -> bytes:
        """Unpack a member of at most `max_bytes`."""
        with self._unpacking(name, max_bytes) as (_, file):
            return file.read()

    def stored_at(self, name: str) -> int | None:
        """Return where a member that is not compressed begins in the file, else None."""
        with self._unpacking(name, None):
            member = self._archive.getinfo(name)
            if member.compress_type != zipfile.ZIP_STORED:
                return None
            file = cast("BinaryIO", self._archive.fp)
            file.seek(member.header_offset + _NAME_SIZES_AT)
            name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
            start: int = file.tell() + name_bytes + extra_bytes
            file.seek(0, io.SEEK_END)
            if start + member.file_size > file.tell():
                raise ArchiveError("is truncated")
            return start

    def header(self, name: str) -> ArrayHeader:
        """Read the header of an array, by the name of its member, ``clips.npy``."""
        with self._unpacking(name, None) as (_, file):
            return read_array_header(file)

    def array(self, name: str, max_bytes: int) -> NDArray[Any]:
        """Unpack an array of at most `max_bytes`."""
        with self._unpacking(name, max_bytes + MAX_HEADER_BYTES) as (size, file):
            header = read_array_header(file)
            if size - file.tell() != header.nbytes:
                raise ArchiveError("is truncated or damaged")
            body = file.read()
        if len(body) != header.nbytes:
            raise ArchiveError(f"has a truncated or damaged {name.removesuffix('.npy')}")
        order = "F" if header.fortran_order else "C"
        array = np.frombuffer(body, header.dtype).reshape(header.shape, order=cast("Any", order))
        return cast("NDArray[Any]", array)

    @contextmanager
    def _unpacking(self, name: str, max_bytes: int | None) -> Iterator[tuple[int, IO[bytes]]]:
        plain = name.removesuffix(".npy")
        if name not in self.names:
            raise ArchiveError(f"has no {plain}")
        member = self._archive.getinfo(name)
        if max_bytes is not None and member.file_size > max_bytes:
            raise ArchiveError(
                f"holds {member.file_size} bytes of {plain}, too large: the limit is {max_bytes}"
            )
        # Python unpacks the other methods in pieces of any size.
        if member.compress_type not in _METHODS:
            raise ArchiveError(
                f"has {plain} compressed by a method other than deflate: save it again with NumPy "
                "or an ordinary zip program"
            )
        try:
            with self._archive.open(member) as file:
                yield member.file_size, file
        except ArchiveError as error:
            raise ArchiveError(f"{error} (in {plain})") from None
        except _DAMAGED as error:
            raise ArchiveError(f"is truncated or damaged in {plain} ({_reason(error)})") from None


@contextmanager
def opened(source: Path | bytes) -> Iterator[Archive]:
    """Open a zip, from a file or from its bytes.

    Raises
    ------
    ArchiveError
        If it is not a zip, is damaged, or lists more members than anybody packs.
    """
    try:
        raw = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    except (OSError, ValueError) as error:
        raise ArchiveError(f"cannot be read ({_reason(error)})") from None
    with raw:
        file = _Listing(raw)
        try:
            archive = zipfile.ZipFile(cast("BinaryIO", file))
        except ArchiveError:
            raise
        except _DAMAGED as error:
            raise ArchiveError(f"is not a readable zip ({_reason(error)})") from None
        file.max_bytes = -1
        with archive:
            _check_count(raw, len(archive.infolist()))
            yield Archive(archive)


def read_array_header(file: IO[bytes]) -> ArrayHeader:
    """Read the header of a ``.npy`` file of numbers or text; `file` is then at the first number.

    Raises
    ------
    ArchiveError
        If it is damaged, of another version, or of Python objects.
    """
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise ArchiveError("is not a NumPy array")
    size_format = "<H" if start[6] == 1 else "<I"
    size_bytes = file.read(struct.calcsize(size_format))
    try:
        (size,) = struct.unpack(size_format, size_bytes)
        if size > MAX_HEADER_BYTES:
            raise ArchiveError(f"has a header of {size} bytes, above {MAX_HEADER_BYTES}")
        said = ast.literal_eval(file.read(size).decode("utf-8").strip())
        descr, shape, fortran_order = said["descr"], said["shape"], said["fortran_order"]
    except (ValueError, SyntaxError, TypeError, KeyError, struct.error) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError("is not a NumPy array: its header is damaged") from None
    except (MemoryError, RecursionError):  # brackets without end
        raise ArchiveError("is not a NumPy array: its header is damaged") from None
    if not isinstance(descr, str) or not _PLAIN_TYPE.fullmatch(descr):
        raise ArchiveError(f"holds pickled objects ({str(descr)[:40]}), not plain numbers or text")
    sizes = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not sizes or len(shape) > _MAX_DIMENSIONS or not isinstance(fortran_order, bool):
        raise ArchiveError("is truncated or damaged: its header names no shape")
    try:
        dtype = np.dtype(descr)
    except (TypeError, ValueError) as error:
        raise ArchiveError(f"is not a NumPy array ({_reason(error)})") from None
    return ArrayHeader(dtype, shape, fortran_order)


def _check_count(file: BinaryIO | io.BytesIO, found: int) -> None:
    """Refuse a list of members that lost some: a flipped length can hide those after it."""
    file.seek(-_END_BYTES, io.SEEK_END)
    end = file.read(_END_BYTES)
    if end[:4] == b"PK\5\6" and struct.unpack_from("<H", end, 10)[0] != min(found, 0xFFFF):
        raise ArchiveError("is damaged: its list of members is not complete")


class _Listing:
    """A file for `zipfile`, which reads the list of members in one piece of the size it states."""

    def __init__(self, file: BinaryIO | io.BytesIO) -> None:
        self._file = file
        self.max_bytes = MAX_DIRECTORY_BYTES

    def read(self, size: int = -1) -> bytes:
        if 0 <= self.max_bytes < size:
            raise ArchiveError("is damaged: its list of members is larger than anybody packs")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as of the file
        return getattr(self._file, name)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
