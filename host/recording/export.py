"""Recordings as what other programs read: captures, arrays, stacks of pictures, videos, logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from focalloop.firmware_sim.files import WriteError, scratch_folder, written_whole
from focalloop.firmware_sim.pictures import gray
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import RecordingError
from focalloop.host.reconstruction.video import encode_frames
from focalloop.host.recording.export_hdf5 import write_hdf5
from focalloop.host.recording.export_ome_zarr import write_ome_zarr
from focalloop.host.recording.export_rerun import write_rerun
from focalloop.host.recording.messages import NS
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.window_reader import RecordedWindow

Kind = Literal["capture", "npz", "tiff", "mp4", "h5", "ome-zarr", "rrd"]

MAX_RATE_HZ = 1000.0
"""Fastest video, in windows per second."""

_MAX_CLASSIC_TIFF_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Form:
    """A form that recordings are exported to.

    Attributes
    ----------
    write : callable
        Takes the recording, its windows and what to write.
    suffixes : tuple of str
        What the name of the output ends with, the usual one first; empty for any.
    folder : bool
        Whether it is a folder.
    package : str
        Package that it needs from the extra ``recordings``; empty if none.
    """

    write: Callable[[Recording, Iterator[RecordedWindow], Path], None]
    suffixes: tuple[str, ...] = ()
    folder: bool = False
    package: str = ""


def export(
    recording: Recording,
    kind: Kind,
    output: Path,
    progress: Callable[[int], None] = lambda windows: None,
) -> int:
    """Write the intact windows of a recording in another form, one by one; return their number.

    Parameters
    ----------
    recording : Recording
    kind : {"capture", "npz", "tiff", "mp4", "h5", "ome-zarr", "rrd"}
        A capture folder, with everything; ``reads (N, R, H, W) float32`` in signal units with
        ``numbers (N,)``, ``times_unix_s (N,)`` and ``levels (N, H, W) uint8`` of the maps; the
        light of each window, float32, as a page of a TIFF file; or as a frame of a video; or one of
        those that ``docs/recordings.md`` specifies.
    output : Path
        File or, for a capture and OME-Zarr, folder to write.
    progress : callable, optional
        Takes the number of windows written so far.

    Raises
    ------
    RecordingError
        The recording holds no intact window, or windows of boards that differ in size; or a
        package of the extra ``recordings`` is missing.
    WriteError, VideoError
        The output cannot be written; nothing of it is left.
    """
    form = FORMS[kind]
    if form.package and find_spec(form.package) is None:
        raise RecordingError(
            f"--to {kind} needs the package {form.package}: pip install 'focalloop[recordings]'"
        )
    written = 0

    def windows() -> Iterator[RecordedWindow]:
        nonlocal written
        for recorded in recording.recorded_windows():
            _check_size(recording, recorded)
            yield recorded
            written += 1
            progress(written)
        if not written:
            raise RecordingError(f"{recording.path} holds no windows to export")

    if not len(recording):
        raise RecordingError(f"{recording.path} holds no windows to export")
    try:
        form.write(recording, windows(), output)
    except OSError as error:  # of the temporary files
        raise WriteError(f"cannot write {output}: {error.strerror or error}") from error
    return written


def _check_size(recording: Recording, recorded: RecordedWindow) -> None:
    board, window = recording.board, recorded.window
    if window.ratio_map.shape != board.shape or window.plan.max_reads > max(board.level_set):
        raise RecordingError(
            f"window {window.number} of {recording.path.name} is of another board than the first, "
            "of another size or with more reads: such a recording cannot be exported"
        )


def _write_capture(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    with CaptureWriter(output, recording.board) as writer:
        for each in windows:
            writer.add(
                each.window, light=each.light, gain=each.gain, temperature_c=each.temperature_c
            )


def _write_npz(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    board, count = recording.board, len(recording)
    shape = (count, max(board.level_set), *board.shape)
    numbers, times_s = np.zeros(count, np.int64), np.zeros(count)
    with scratch_folder() as scratch:
        reads = np.memmap(scratch / "reads", np.float32, "w+", shape=shape)
        levels = np.memmap(scratch / "levels", np.uint8, "w+", shape=(count, *board.shape))
        at = 0
        for at, each in enumerate(windows, 1):
            window = each.window
            reads[at - 1, : window.plan.max_reads] = window.reads
            levels[at - 1], numbers[at - 1] = window.ratio_map.levels, window.number
            times_s[at - 1] = each.ended_ns / NS
        with written_whole(output) as partial:
            np.savez(
                partial, reads=reads[:at], levels=levels[:at], numbers=numbers[:at],
                times_unix_s=times_s[:at],
            )  # fmt: skip
        del reads, levels  # Windows removes no file that is mapped


def _write_tiff(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    from tifffile import TiffWriter

    height, width = recording.board.shape
    big = len(recording) * height * width * 4 > _MAX_CLASSIC_TIFF_BYTES
    with written_whole(output) as partial, TiffWriter(partial, bigtiff=big) as stack:
        for each in windows:
            stack.write(each.window.light, photometric="minisblack", metadata=None)


def _write_mp4(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    length_s = (recording.end_ns - recording.start_ns) / NS
    rate_hz = min(MAX_RATE_HZ, max(1.0, (len(recording) - 1) / max(length_s, 1e-3)))
    frames = (gray(each.window.light) for each in windows)
    with written_whole(output) as partial:
        encode_frames(partial, frames, recording.board.shape, rate_hz)


FORMS: dict[Kind, Form] = {
    "capture": Form(_write_capture, folder=True),
    "npz": Form(_write_npz, (".npz",)),
    "tiff": Form(_write_tiff, (".tif", ".tiff")),
    "mp4": Form(_write_mp4, (".mp4",)),
    "h5": Form(write_hdf5, (".h5", ".hdf5"), package="h5py"),
    "ome-zarr": Form(write_ome_zarr, (".ome.zarr", ".zarr"), folder=True, package="zarr"),
    "rrd": Form(write_rerun, (".rrd",), package="rerun"),
}
"""The forms by their names."""
