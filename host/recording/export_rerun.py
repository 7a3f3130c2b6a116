"""Recordings as files of the rerun viewer: pictures, maps, events and counters over time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import WriteError, written_whole
from focalloop.host.recording import messages
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.timeline import mark_of
from focalloop.host.recording.window_reader import RecordedWindow

if TYPE_CHECKING:
    from rerun import TimeColumn
    from rerun.chunk import Chunk

_LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR"}


def write_rerun(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    """Write windows to an ``.rrd`` file as they come, then events, notes, gaps and states."""
    from rerun.chunk import LazyChunkStream

    failure: list[BaseException] = []

    def chunks() -> Iterator[Chunk]:
        try:
            yield from _windows(windows)
            yield from _happenings(recording)
        except BaseException as error:  # rerun keeps no more of it than its text
            failure.append(error)
            raise

    with written_whole(output) as partial:
        try:
            LazyChunkStream.from_iter(chunks()).write_rrd(
                partial, application_id="focalloop", recording_id=recording.path.stem
            )
        except RuntimeError as error:
            if failure:
                raise failure[0] from None
            raise WriteError(f"cannot write {output}: {error}") from None


def _windows(windows: Iterator[RecordedWindow]) -> Iterator[Chunk]:
    """Yield the light of each window, and each map where it begins to hold."""
    from rerun import TextDocument, TimeColumn
    from rerun.chunk import Chunk

    before: bytes | None = None
    for each in windows:
        window = each.window
        times = [
            TimeColumn("time", timestamp=[np.datetime64(each.ended_ns, "ns")]),
            TimeColumn("window", sequence=[window.number]),
        ]
        if window.ratio_map.hash() != before:
            before = window.ratio_map.hash()
            yield _picture("/map", times, window.ratio_map.levels)
            summary = TextDocument.columns(text=[window.ratio_map.summary])
            yield Chunk.from_columns("/map/summary", times, summary)
        yield _picture("/light", times, window.light)


def _picture(
    path: str, times: list[TimeColumn], picture: NDArray[np.uint8] | NDArray[np.float32]
) -> Chunk:
    from rerun import Image
    from rerun.chunk import Chunk
    from rerun.components import ImageFormat

    form = ImageFormat(
        width=picture.shape[1],
        height=picture.shape[0],
        color_model="L",
        channel_datatype="F32" if picture.dtype == np.float32 else "U8",
    )
    columns = Image.columns(buffer=[picture.tobytes()], format=[form])
    return Chunk.from_columns(path, times, columns)


def _happenings(recording: Recording) -> Iterator[Chunk]:
    """Yield events, notes and gaps as a log, and the numbers of every state as curves."""
    from rerun import Scalars, TextLog, TimeColumn
    from rerun.chunk import Chunk

    told = messages.EVENT, messages.NOTE, messages.GAP
    for entry in recording.entries(*told, messages.STATE):
        times = [TimeColumn("time", timestamp=[np.datetime64(entry.log_ns, "ns")])]
        if entry.channel in told:
            mark = mark_of(entry, recording.start_ns)
            line = TextLog.columns(text=[mark.text], level=[_LEVELS[mark.level]])
            yield Chunk.from_columns(f"/{mark.kind}s", times, line)
            continue
        for path, value in _numbers("/state", messages.unpack_json(entry.channel, entry.data)):
            yield Chunk.from_columns(path, times, Scalars.columns(scalars=[value]))


def _numbers(path: str, document: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a state with their places in it."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _numbers(f"{path}/{name}", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}/{name}", float(value)
