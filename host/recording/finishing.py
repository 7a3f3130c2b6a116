"""Finishing a recording that was cut off where it is: its end is written behind its last chunk.

Nothing is copied, so that hours take as long as seconds, and a full disk is no obstacle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from typing import IO, BinaryIO, cast

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import ChunkIndex, DataEnd, Footer, McapRecord, Statistics, SummaryOffset

from focalloop.host.recording.chunks import (
    MAGIC,
    ChunkAt,
    Structure,
    chunk_index,
    message_index,
    structure_of,
)
from focalloop.host.recording.mcap_file import new_mcap
from focalloop.host.recording.messages import NOTE


def end_of_whole(file: BinaryIO, structure: Structure) -> tuple[list[ChunkAt], int] | None:
    """Return the whole chunks of a file that lacks nothing but its end, and where they end.

    It is None for a file that is damaged elsewhere too. Every chunk was on the disk before the next
    one was begun, so that only the last one has to be read.
    """
    size = file.seek(0, 2)
    chunks = list(structure.chunks)
    torn_at_end = all(end == size for _, end in structure.damaged)
    if structure.profile is None or not torn_at_end or not chunks:
        return None
    *before, last = chunks
    if not all(chunk.index_at for chunk in before):
        return None
    if message_index(file, last) is None:
        return (before, last.offset) if before else None
    return chunks, last.offset + last.length


def finish(file: BinaryIO, chunks: list[ChunkAt], end: int, note: bytes) -> None:
    """Write the end of a file in place of whatever is behind its whole chunks, with a note.

    Parameters
    ----------
    file : file
        Open for reading and writing.
    chunks, end
        From `end_of_whole`.
    note : bytes
        Message of the note.
    """
    tail = RecordBuilder()
    indices = []
    for chunk in chunks:
        if not chunk.index_at:
            for each in message_index(file, chunk) or ():
                chunk.index_at[each.channel_id] = end + tail.count
                chunk.counts[each.channel_id] = len(each.records)
                each.write(tail)
        indices.append((chunk_index(file, chunk), chunk.counts))
    _write_end(tail, end, indices, note)
    file.seek(end)
    file.truncate()
    file.write(tail.end())  # type: ignore[no-untyped-call]


def _write_end(
    tail: RecordBuilder, begin: int, chunks: list[tuple[ChunkIndex, Counter[int]]], note: bytes
) -> None:
    """Add the note, and the index of the whole file, to what is written from `begin` on."""
    last_ns = max(index.message_end_time for index, _ in chunks)
    of_note = BytesIO()
    mcap = new_mcap(cast("IO[bytes]", of_note))
    mcap.add_message(NOTE.number, last_ns, note, last_ns)
    mcap.finish()  # type: ignore[no-untyped-call]
    (chunk,) = structure_of(of_note).chunks
    index = chunk_index(of_note, chunk)
    moved = begin + tail.count - chunk.offset
    tail.write(of_note.getvalue()[chunk.offset :][: chunk.length + index.message_index_length])
    index.chunk_start_offset += moved
    index.message_index_offsets = {
        channel: at + moved for channel, at in index.message_index_offsets.items()
    }
    chunks = [*chunks, (index, chunk.counts)]
    summary = make_reader(BytesIO(of_note.getvalue())).get_summary()
    assert summary is not None
    counts = sum((each for _, each in chunks), Counter())
    statistics = Statistics(
        attachment_count=0,
        channel_count=len(summary.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(chunks),
        message_count=counts.total(),
        message_start_time=min(index.message_start_time for index, _ in chunks),
        message_end_time=last_ns,
        metadata_count=1,
        schema_count=len(summary.schemas),
    )
    groups: tuple[tuple[Opcode, Iterable[McapRecord]], ...] = (
        (Opcode.SCHEMA, summary.schemas.values()),
        (Opcode.CHANNEL, summary.channels.values()),
        (Opcode.STATISTICS, [statistics]),
        (Opcode.CHUNK_INDEX, [index for index, _ in chunks]),
    )
    DataEnd(0).write(tail)
    summary_at = begin + tail.count
    offsets = []
    for opcode, records in groups:
        at = begin + tail.count
        for record in records:
            record.write(tail)
        offsets.append(SummaryOffset(opcode, at, begin + tail.count - at))
    offsets_at = begin + tail.count
    for offset in offsets:
        offset.write(tail)
    Footer(summary_at, offsets_at, 0).write(tail)
    tail.write(MAGIC)
