"""Recordings as what other programs read: captures, arrays, stacks of pictures, videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from focalloop.firmware_sim.files import scratch_folder, written_whole
from focalloop.firmware_sim.window import Window
from focalloop.host.captures.capture import monotonic_epoch_s
from focalloop.host.captures.writer import CaptureWriter
from focalloop.host.errors import RecordingError
from focalloop.host.reconstruction.video import write_video
from focalloop.host.recording.messages import NS
from focalloop.host.recording.recording import Recording

Kind = Literal["capture", "npz", "tiff", "mp4"]

MAX_RATE_HZ = 1000.0
"""Fastest video, in windows per second."""


def export(
    recording: Recording,
    kind: Kind,
    output: Path,
    progress: Callable[[int], None] = lambda windows: None,
) -> int:
    """Write the intact windows of a recording in another form; return their number.

    Parameters
    ----------
    recording : Recording
    kind : {"capture", "npz", "tiff", "mp4"}
        A capture folder, with everything; ``reads (N, R, H, W) float32`` in signal units with
        ``numbers (N,)``, ``times_unix_s (N,)`` and ``levels (N, H, W) uint8`` of the maps; the
        light of each window, float32, as a page of a TIFF file; or as a frame of a video.
    output : Path
        File or, for a capture, folder to write.
    progress : callable, optional
        Takes the number of windows written so far.

    Raises
    ------
    RecordingError
        The recording holds no windows.
    WriteError, VideoError
        The output cannot be written.
    """
    if not len(recording):
        raise RecordingError(f"{recording.path} holds no windows to export")
    written = 0

    def windows() -> Iterator[Window]:
        nonlocal written
        for window in recording.windows():
            yield window
            written += 1
            progress(written)

    match kind:
        case "capture":
            with CaptureWriter(output, recording.board) as writer:
                for each in recording.recorded_windows():
                    writer.add(
                        each.window, light=each.light, gain=each.gain,
                        temperature_c=each.temperature_c,
                    )  # fmt: skip
                    written += 1
                    progress(written)
        case "npz":
            _write_npz(recording, windows(), output)
        case "tiff":
            _write_tiff(windows(), output)
        case "mp4":
            length_s = (recording.end_ns - recording.start_ns) / NS
            rate_hz = min(MAX_RATE_HZ, max(1.0, (len(recording) - 1) / max(length_s, 1e-3)))
            frames = [window.light[None] for window in windows()]
            write_video(output, frames, [""] * len(frames), frames_per_s=rate_hz)
    return written


def _write_npz(recording: Recording, windows: Iterator[Window], output: Path) -> None:
    board, count, epoch_s = recording.board, len(recording), monotonic_epoch_s()
    shape = (count, max(board.level_set), *board.shape)
    numbers, times_s = np.zeros(count, np.int64), np.zeros(count)
    with scratch_folder() as scratch:
        reads = np.memmap(scratch / "reads", np.float32, "w+", shape=shape)
        levels = np.memmap(scratch / "levels", np.uint8, "w+", shape=(count, *board.shape))
        at = 0
        for at, window in enumerate(windows, 1):
            reads[at - 1, : window.plan.max_reads] = window.reads
            levels[at - 1], numbers[at - 1] = window.ratio_map.levels, window.number
            times_s[at - 1] = window.time_s + epoch_s
        with written_whole(output) as partial:
            np.savez(
                partial, reads=reads[:at], levels=levels[:at], numbers=numbers[:at],
                times_unix_s=times_s[:at],
            )  # fmt: skip
        del reads, levels  # Windows removes no file that is mapped


def _write_tiff(windows: Iterator[Window], output: Path) -> None:
    pages = (Image.fromarray(np.ascontiguousarray(window.light)) for window in windows)
    with written_whole(output) as partial:
        next(pages).save(partial, "TIFF", save_all=True, append_images=pages)
