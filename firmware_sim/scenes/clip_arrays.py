"""Clips kept as arrays: ``.npz`` files, and the ``.mat`` files of the SCI benchmark.

Values are returned as uint8, 255 is white, whether a file has them as 0..255 or as 0..1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import ArchiveError, opened
from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.mat_file import MatFileError, variables

SCI_KEY = "orig"
"""Variable of the video in the grayscale SCI benchmark (``kobe32_cacti.mat`` ...)."""

MAX_NAMES_BYTES = 16 << 20
"""Limit of the names of clips in an ``.npz``."""


def clips_in_npz(path: Path, max_bytes: int) -> tuple[NDArray[np.uint8], list[str] | None]:
    """Read ``clips (N, T, H, W)`` and, if there are any, ``names (N,)``.

    Raises
    ------
    SceneError
        If the file is damaged or larger than `max_bytes`, or its arrays are not clips.
    """
    try:
        with opened(path) as archive:
            if "clips.npy" not in archive.names:
                found = ", ".join(Path(name).stem for name in archive.names) or "nothing"
                raise SceneError(f"{path} has no array `clips` (it has {found[:200]})")
            check_bytes(path, archive.header("clips.npy").nbytes, max_bytes)
            clips = archive.array("clips.npy", max_bytes)
            names = None
            if "names.npy" in archive.names:
                listed = archive.array("names.npy", MAX_NAMES_BYTES)
                if listed.ndim != 1:
                    raise SceneError(f"`names` in {path} has the shape {listed.shape}, not (N,)")
                names = [str(name) for name in listed.tolist()]
    except ArchiveError as error:
        raise SceneError(
            f"{path} is not a readable .npz of clips (it {error}): fetch or write it again"
        ) from None
    if clips.ndim != 4 or 0 in clips.shape:
        raise SceneError(
            f"`clips` in {path} is {clips.dtype} of shape {clips.shape}; "
            "clips are of shape (N, T, H, W)"
        )
    if names is not None and len(names) != len(clips):
        raise SceneError(f"{path} has {len(clips)} clips but {len(names)} names")
    return _as_uint8(clips, f"`clips` in {path}"), names


def frames_in_mat(path: Path, max_bytes: int) -> NDArray[np.uint8]:
    """Read the video ``orig (H, W, F)`` of a MATLAB file, as ``(F, H, W) uint8``.

    Raises
    ------
    SceneError
        If the file is damaged, of MATLAB 7.3 or larger than `max_bytes`, or has no such video.
    """
    try:
        found = {variable.name: variable for variable in variables(path)}
        video = found.get(SCI_KEY)
        if video is None or len(video.shape) != 3 or 0 in video.shape:
            listed = (f"{v.name} {'x'.join(map(str, v.shape))}" for v in found.values())
            raise SceneError(
                f"{path} has no video `{SCI_KEY}` of shape (H, W, frames) "
                f"(it has {', '.join(listed) or 'nothing'}): save a gray video under that name"
            )
        check_bytes(path, video.nbytes, max_bytes)
        values = video.read()
    except (MatFileError, OSError, MemoryError) as error:
        raise SceneError(
            f"{path} {one_line(error)}: fetch it again, or save it again in MATLAB with "
            f"save('{path.name}', '{SCI_KEY}', '-v7'), or in Python with scipy.io.savemat"
        ) from None
    return _as_uint8(np.moveaxis(values, 2, 0), f"`{SCI_KEY}` in {path}")


def _as_uint8(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Convert values in [0, 255], or floats in [0, 1], to 0..255."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype.kind not in "iuf":
        raise SceneError(f"{what} is {values.dtype}; clips are numbers, 0..255 or 0..1")
    darkest, brightest = values.min(), values.max()
    if not (darkest >= 0 and brightest <= 255):  # so that NaN is refused as well
        raise SceneError(
            f"{what} ranges from {darkest:g} to {brightest:g}; clips are 0..255 or 0..1: "
            "scale and clip it first"
        )
    scale = 255 if values.dtype.kind == "f" and brightest <= 1 else 1
    return np.rint(values * np.float32(scale)).astype(np.uint8, order="C")


def check_bytes(path: Path, count: int, max_bytes: int) -> None:
    """Refuse clips of `count` bytes, before they are decoded, if that is more than `max_bytes`.

    Raises
    ------
    SceneError
        If it is.
    """
    if count > max_bytes:
        raise SceneError(
            f"{path} needs more than {max_bytes >> 30} GiB of memory as clips: "
            "give fewer or smaller ones"
        )


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
