"""Training data as a file, written window by window."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.files import written_whole


def write_windows(
    path: Path,
    shape: tuple[int, ...],
    clips: Iterable[NDArray[np.uint8]],
    others: Callable[[], dict[str, NDArray[Any]]],
) -> str:
    """Write training data as an uncompressed ``.npz``, a window at a time.

    Parameters
    ----------
    path : Path
        Of the file.
    shape : tuple of int
        ``(N, T, S, S)`` of ``clips``.
    clips : iterable of ndarray of uint8
        N windows.
    others : callable
        Gives the other arrays by name, once all windows are written.

    Returns
    -------
    str
        SHA-256 of the windows' bytes.

    Raises
    ------
    WriteError
        If the file cannot be written; windows that fail leave what was there before, too.
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
