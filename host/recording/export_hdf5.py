"""Recordings as HDF5 files, for MATLAB, h5py and others."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from focalloop.firmware_sim.files import written_whole
from focalloop.host.captures.writer import board_facts
from focalloop.host.recording.messages import NS
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.window_reader import RecordedWindow

if TYPE_CHECKING:
    import h5py


def write_hdf5(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    """Write windows to an HDF5 file as they come; ``docs/recordings.md`` names what it holds."""
    import h5py

    with written_whole(output) as partial:
        try:
            with h5py.File(partial, "w") as file:
                _fill(file, recording, windows)
        except OSError as error:  # h5py's text is of several lines
            raise OSError(error.errno, os.strerror(error.errno or errno.EIO)) from error


def _fill(file: h5py.File, recording: Recording, windows: Iterator[RecordedWindow]) -> None:
    board, count = recording.board, len(recording)
    file.attrs["board"] = json.dumps(board_facts(board))
    # Planes without a read are not stored: a chunk that was never written reads as zeros.
    packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    reads = file.create_dataset(
        "reads",
        (count, max(board.level_set), *board.shape),
        np.float32,
        maxshape=(None, max(board.level_set), *board.shape),
        chunks=(1, 1, *board.shape),
        **packed,
    )
    levels = file.create_dataset(
        "levels", (0, *board.shape), np.uint8,
        maxshape=(None, *board.shape), chunks=(1, *board.shape), **packed,
    )  # fmt: skip
    maps: dict[bytes, int] = {}
    rows: list[tuple[int, int, float]] = []
    for each in windows:
        window = each.window
        place = maps.setdefault(window.ratio_map.hash(), len(maps))
        if place == len(levels):
            levels.resize(place + 1, axis=0)
            levels[place] = window.ratio_map.levels
        reads[len(rows), : window.plan.max_reads] = window.reads
        rows.append((place, window.number, each.ended_ns / NS))
    reads.resize(len(rows), axis=0)
    for name, dtype, column in zip(
        ("map", "numbers", "times_unix_s"), ("i4", "i8", "f8"), zip(*rows, strict=True), strict=True
    ):
        file.create_dataset(name, data=np.array(column, dtype))
