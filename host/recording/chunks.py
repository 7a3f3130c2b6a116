"""The chunks of an MCAP file, found whatever else of the file is missing or damaged.

The library's reader needs an intact index, and its streaming reader ends at the first wrong length.
This one goes from record to record, and where that fails, to the next chunk that it recognises.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Chunk, ChunkIndex, Header, Message, MessageIndex, Metadata
from mcap.stream_reader import breakup_chunk, get_chunk_data_stream

MAGIC = b"\x89MCAP0\r\n"
MAX_CHUNK_BYTES = 1 << 30
"""Largest chunk that is read, before and after compression."""

_RECORD = struct.Struct("<BQ")
_CHUNK = struct.Struct("<QQQIl4s")
_ZSTD = struct.pack("<l4s", 4, b"zstd")
"""Name of the compression in a chunk, by which one is found; it is at `_ZSTD_AT` of its record."""

_ZSTD_AT = _RECORD.size + 28
_SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class ChunkAt:
    """Where a chunk is, and what the indices behind it say of it.

    Attributes
    ----------
    offset, length : int
        Place of its record in the file, in bytes.
    start_ns, end_ns : int
        Log times of its first and last message.
    counts : Counter of int
        Messages by channel; empty if their index is missing.
    times_ns : list of tuple of int
        Channel and log time of each message; empty likewise.
    index_at : dict of int to int
        Place of the index of each channel; empty likewise.
    """

    offset: int
    length: int
    start_ns: int
    end_ns: int
    counts: Counter[int] = field(default_factory=Counter)
    times_ns: list[tuple[int, int]] = field(default_factory=list)
    index_at: dict[int, int] = field(default_factory=dict)

    def forget_index(self) -> None:
        """Take the index for missing: it may not be whole."""
        self.counts.clear()
        self.times_ns.clear()
        self.index_at.clear()


@dataclass(frozen=True)
class Structure:
    """What a file consists of.

    Attributes
    ----------
    chunks : tuple of ChunkAt
        The chunks in their order, whole as far as their lengths tell.
    finished : bool
        Whether the file has its end, so that nothing was cut off.
    damaged : tuple of tuple of int
        Begin and end of the parts that are no records, in bytes.
    profile : str or None
        Profile of the header; None if that is damaged.
    metadata : dict of str to str
        Of the record ``focalloop``; empty if it is missing.
    """

    chunks: tuple[ChunkAt, ...]
    finished: bool
    damaged: tuple[tuple[int, int], ...]
    profile: str | None
    metadata: dict[str, str]


def structure_of(file: BinaryIO) -> Structure:
    """Find the chunks of a file, without reading them."""
    return _Walk(file).run()


def message_index(file: BinaryIO, chunk: ChunkAt) -> list[MessageIndex] | None:
    """Make the index of a chunk anew from its messages; None if it is damaged."""
    file.seek(chunk.offset + _RECORD.size)
    try:
        record = Chunk.read(ReadDataStream(BytesIO(file.read(chunk.length - _RECORD.size))))
        stream, size = get_chunk_data_stream(record, True)
        found: dict[int, MessageIndex] = {}
        while stream.count < size:
            at, opcode, length = stream.count, stream.read1(), stream.read8()
            body = stream.read(length)
            if opcode == Opcode.MESSAGE:
                message = Message.read(ReadDataStream(BytesIO(body)), length)
                index = found.setdefault(message.channel_id, MessageIndex(message.channel_id, []))
                index.records.append((message.log_time, at))
    except Exception:  # any that decompression and parsing of damaged bytes can raise
        return None
    return list(found.values())


def chunk_index(file: BinaryIO, chunk: ChunkAt) -> ChunkIndex:
    """Return what the index of a file says of a chunk, whose own index has to be there."""
    file.seek(chunk.offset + _RECORD.size)
    start_ns, end_ns, uncompressed, *_ = _CHUNK.unpack(file.read(_CHUNK.size))
    return ChunkIndex(
        chunk_length=chunk.length,
        chunk_start_offset=chunk.offset,
        compression="zstd",
        compressed_size=chunk.length - _RECORD.size - _CHUNK.size - 8,
        message_start_time=start_ns,
        message_end_time=end_ns,
        message_index_length=sum(_RECORD.size + 6 + 16 * n for n in chunk.counts.values()),
        message_index_offsets=dict(chunk.index_at),
        uncompressed_size=uncompressed,
    )


def messages_in(file: BinaryIO, chunk: ChunkAt) -> list[Message] | None:
    """Return the messages of a chunk in their order; None if it is damaged."""
    file.seek(chunk.offset + _RECORD.size)
    body = file.read(chunk.length - _RECORD.size)
    try:
        record = Chunk.read(ReadDataStream(BytesIO(body)))
        if record.uncompressed_size > MAX_CHUNK_BYTES:
            return None
        return [each for each in breakup_chunk(record, True) if isinstance(each, Message)]
    except Exception:  # any that decompression and parsing of damaged bytes can raise
        return None


class _Walk:
    """One pass over the records of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self._chunks: list[ChunkAt] = []
        self._damaged: list[tuple[int, int]] = []
        self._profile: str | None = None
        self._metadata: dict[str, str] = {}

    def run(self) -> Structure:
        """Walk to the end of the data, or of the file."""
        self._file.seek(0)
        at = len(MAGIC)
        if self._file.read(len(MAGIC)) != MAGIC:
            at = self._next_chunk(0)
            self._damaged.append((0, at))
        finished = False
        while at < self._size:
            length = self._record_length(at)
            if length is None:
                following = self._next_chunk(at + 1)
                self._damage(at, following)
                at = following
                continue
            if self._take(at, length):
                self._file.seek(-len(MAGIC), os.SEEK_END)
                finished = self._file.read() == MAGIC
                break
            at += length
        if not finished and self._chunks:
            # It may have been cut between two records of the last index.
            self._chunks[-1].forget_index()
        return Structure(
            tuple(self._chunks), finished, tuple(self._damaged), self._profile, self._metadata
        )

    def _damage(self, begin: int, end: int) -> None:
        """Note a damaged part, in which the index of the chunk before it may have been."""
        self._damaged.append((begin, end))
        if self._chunks:
            self._chunks[-1].forget_index()

    def _record_length(self, at: int) -> int | None:
        """Return the bytes of the record at an offset; None if there is no whole one."""
        self._file.seek(at)
        head = self._file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            return None
        opcode, body = _RECORD.unpack(head)
        if body > min(MAX_CHUNK_BYTES, self._size - at - _RECORD.size):
            return None
        # A wrong length or kind would lead over good chunks: both are stated in another way too.
        inner = {
            Opcode.HEADER: (4, 0, 8),
            Opcode.METADATA: (4, 0, 8),
            Opcode.CHUNK: (8, 36, 44),
            Opcode.MESSAGE_INDEX: (4, 2, 6),
        }.get(opcode)
        if inner is None:
            return _RECORD.size + 4 if (opcode, body) == (Opcode.DATA_END, 4) else None
        size, offset, beside = inner
        stated = self._stated(at, size, offset)
        if opcode in (Opcode.HEADER, Opcode.METADATA):  # a text and its length, twice
            stated += self._stated(at, 4, 4 + stated)
        return _RECORD.size + int(body) if body == stated + beside else None

    def _stated(self, at: int, size: int, offset: int) -> int:
        """Return the number of `size` bytes at an offset in the body of the record at `at`."""
        self._file.seek(at + _RECORD.size + offset)
        return int.from_bytes(self._file.read(size), "little")

    def _take(self, at: int, length: int) -> bool:
        """Take the record at an offset; return True if it is the end of the data."""
        self._file.seek(at)
        opcode = Opcode(self._file.read(1)[0])
        self._file.seek(at + _RECORD.size)
        if opcode == Opcode.CHUNK:
            head = self._file.read(_CHUNK.size)
            if len(head) == _CHUNK.size:
                start_ns, end_ns, *_ = _CHUNK.unpack(head)
                self._chunks.append(ChunkAt(at, length, start_ns, end_ns))
        elif opcode in (Opcode.HEADER, Opcode.MESSAGE_INDEX, Opcode.METADATA):
            try:
                self._take_small(opcode, self._file.read(length - _RECORD.size), at)
            except Exception:  # damaged, and not needed
                self._damage(at, at + length)
        return opcode == Opcode.DATA_END

    def _take_small(self, opcode: Opcode, body: bytes, at: int) -> None:
        stream = ReadDataStream(BytesIO(body))
        if opcode == Opcode.HEADER:
            self._profile = Header.read(stream).profile
        elif opcode == Opcode.METADATA:
            metadata = Metadata.read(stream)
            if metadata.name == "focalloop":
                self._metadata = metadata.metadata
        elif self._chunks:
            index = MessageIndex.read(stream)
            self._chunks[-1].index_at[index.channel_id] = at
            self._chunks[-1].counts[index.channel_id] += len(index.records)
            self._chunks[-1].times_ns.extend(
                (index.channel_id, at_ns) for at_ns, _ in index.records
            )

    def _next_chunk(self, at: int) -> int:
        """Return where the next whole chunk begins, or the end of the file."""
        for found in self._found(at + _ZSTD_AT):
            begin = found - _ZSTD_AT
            self._file.seek(begin)
            if self._file.read(1) == bytes([Opcode.CHUNK]) and self._record_length(begin):
                return begin
        return self._size

    def _found(self, at: int) -> Iterator[int]:
        """Yield every offset of `_ZSTD` from `at` on."""
        while at < self._size:
            self._file.seek(at)
            part = self._file.read(_SEARCH_BYTES + len(_ZSTD) - 1)
            found = part.find(_ZSTD)
            while found >= 0:
                yield at + found
                found = part.find(_ZSTD, found + 1)
            at += _SEARCH_BYTES
