"""Recordings as OME-Zarr 0.5 images, for napari, Fiji and others.

The specification is https://ngff.openmicroscopy.org/0.5/.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np

from focalloop.firmware_sim.files import folder_written_whole
from focalloop.host.captures.writer import board_facts
from focalloop.host.recording.messages import NS
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.window_reader import RecordedWindow

_SHARD_BYTES = 32 << 20
"""Pictures in one file of the folder, before compression; they are in memory together."""


def write_ome_zarr(recording: Recording, windows: Iterator[RecordedWindow], output: Path) -> None:
    """Write the light of windows to an OME-Zarr image as they come, with axes t, y and x."""
    import zarr

    count, (height, width) = len(recording), recording.board.shape
    together = min(count, max(1, _SHARD_BYTES // (4 * height * width)))
    numbers: list[int] = []
    times_s: list[float] = []
    with folder_written_whole(output) as partial:
        image = zarr.open_group(partial, mode="a", zarr_format=3)
        light = image.create_array(
            "0",
            shape=(count, height, width),
            dtype=np.float32,
            chunks=(1, height, width),
            shards=(together, height, width),
            dimension_names=("t", "y", "x"),
        )
        while batch := list(islice(windows, together)):
            begin = len(numbers)
            light[begin : begin + len(batch)] = np.stack([each.window.light for each in batch])
            numbers += [each.window.number for each in batch]
            times_s += [each.ended_ns / NS for each in batch]
        light.resize((len(numbers), height, width))
        image.create_array("numbers", data=np.array(numbers, np.int64))
        image.create_array("times_unix_s", data=np.array(times_s))
        image.update_attributes(
            {
                "ome": _description(output.name, times_s),
                "software": f"focalloop {version('focalloop')}",
                "board": board_facts(recording.board),
            }
        )


def _description(name: str, times_s: list[float]) -> dict[str, object]:
    """Return the ``ome`` attributes: one resolution, and the mean time between windows."""
    spacing_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0
    scale = [spacing_s if spacing_s > 0 else 1.0, 1.0, 1.0]
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": [
                    {"name": "t", "type": "time", "unit": "second"},
                    {"name": "y", "type": "space"},
                    {"name": "x", "type": "space"},
                ],
                "datasets": [
                    {
                        "path": "0",
                        "coordinateTransformations": [{"type": "scale", "scale": scale}],
                    }
                ],
            }
        ],
    }
