"""The file of training data, an ``.npz``, as it is written.

It holds ``clips`` (N, T, S, S) uint8, ``validation`` (N,) bool, ``source`` (N,) the name of each
window's source, ``recipe`` a JSON text, and where windows move in different ways ``filmed`` (N,)
bool. `focalloop.models.training.training_data` reads it.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole

RENDERER = 2
"""In every recipe: raised when the same settings and sources come to give other pixels.

Windows of recipes that name no renderer were drawn by Pillow, those of 2 by OpenCV.
"""


def save_windows(path: Path, made: dict[str, NDArray[Any]]) -> None:
    """Write arrays by name as an uncompressed ``.npz``, whole or not at all.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **made)


def write_windows(
    path: Path,
    shape: tuple[int, ...],
    clips: Iterable[NDArray[np.uint8]],
    others: Callable[[], dict[str, NDArray[Any]]],
) -> str:
    """Write training data as an uncompressed ``.npz``, one window at a time.

    Parameters
    ----------
    path : Path
        File to write.
    shape : tuple of int
        Shape ``(N, T, S, S)`` of ``clips``.
    clips : iterable of ndarray of uint8
        The N windows.
    others : callable
        Called once all windows are written; returns the other arrays by name.

    Returns
    -------
    str
        SHA-256 of the bytes of the windows.

    Raises
    ------
    WriteError
        If the file cannot be written. An older file stays, also if `clips` raises.
    """
    digest = hashlib.sha256()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        with archive.open("clips.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for clip in clips:
                content = clip.tobytes()
                digest.update(content)
                file.write(content)
        for name, array in others().items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return digest.hexdigest()
