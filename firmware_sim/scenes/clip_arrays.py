"""Clips kept as arrays: ``.npz`` and ``.npy`` files, and ``.mat`` files of the SCI benchmark.

Values are returned as they are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.archives import ArchiveError, opened, read_array_header
from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.scenes.grayscale import weighed
from focalloop.firmware_sim.scenes.mat_file import MatFileError, variables
from focalloop.firmware_sim.scenes.messages import check_bytes, one_line

SCI_KEY = "orig"
"""Variable of the video in the grayscale SCI benchmark (``kobe32_cacti.mat`` ...)."""

SEQUENCES = "sequences"
KINDS = {"clips": "(N, T, H, W)", SEQUENCES: "(N, F, H, W)"}
"""Arrays of an ``.npz``: windows, which are never cut, or videos of any length."""

MAX_NAMES_BYTES = 16 << 20
"""Limit of the names of clips in an ``.npz``."""


@dataclass(frozen=True, eq=False)
class StoredClips:
    """What an ``.npz`` holds.

    Attributes
    ----------
    values : ndarray
        Of shape (N, F, H, W), as stored.
    names : list of str or None
        One for each, if the file has names.
    sequences : bool
        Whether each is a video, to be cut into windows, and not itself a window.
    """

    values: NDArray[Any]
    names: list[str] | None
    sequences: bool


def clips_in_npz(path: Path, max_bytes: int) -> StoredClips:
    """Read ``clips`` or ``sequences``, as in `KINDS`, and ``names (N,)`` if there are any.

    Raises
    ------
    SceneError
        If the file is damaged or larger than `max_bytes`, or its arrays are not clips.
    """
    try:
        with opened(path) as archive:
            kind = next((kind for kind in KINDS if f"{kind}.npy" in archive.names), None)
            if kind is None:
                found = ", ".join(Path(name).stem for name in archive.names) or "nothing"
                raise SceneError(f"{path} has no array `clips` (it has {found[:200]})")
            check_bytes(path, archive.header(f"{kind}.npy").nbytes, max_bytes)
            values = archive.array(f"{kind}.npy", max_bytes)
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
    if values.ndim != 4 or 0 in values.shape:
        raise SceneError(
            f"`{kind}` in {path} is {values.dtype} of shape {values.shape}; "
            f"{kind} are of shape {KINDS[kind]}"
        )
    if names is not None and len(names) != len(values):
        raise SceneError(f"{path} has {len(values)} {kind} but {len(names)} names")
    return StoredClips(values, names, kind == SEQUENCES)


def array_in_npy(path: Path, max_bytes: int) -> NDArray[Any]:
    """Read a video ``(F, H, W)`` or clips ``(N, T, H, W)``; colours, as a last axis, become gray.

    Raises
    ------
    SceneError
        If the file is damaged or larger than `max_bytes`, or its array is neither.
    """
    try:
        with path.open("rb") as file:
            header = read_array_header(file)
            colour = len(header.shape) > 3 and header.shape[-1] in (3, 4)
            if len(header.shape) - colour not in (3, 4) or 0 in header.shape:
                raise SceneError(
                    f"{path} is {header.dtype} of shape {header.shape}; frames are of shape "
                    "(F, H, W), and clips of (N, T, H, W)"
                )
            check_bytes(path, header.nbytes, max_bytes)
            body = file.read(header.nbytes + 1)
        if len(body) != header.nbytes:
            raise ArchiveError("is truncated or damaged")
    except (ArchiveError, OSError) as error:
        raise SceneError(
            f"{path} is not a readable .npy of frames (it {one_line(error)}): "
            "fetch or write it again"
        ) from None
    order: Literal["C", "F"] = "F" if header.fortran_order else "C"
    values: NDArray[Any] = np.frombuffer(body, header.dtype).reshape(header.shape, order=order)
    if not colour:
        return values
    if values.dtype.kind not in "iuf":
        raise SceneError(f"{path} is {values.dtype}; clips are numbers, 0..255 or 0..1")
    return np.stack([weighed(frame) for frame in values])


def frames_in_mat(path: Path, max_bytes: int) -> NDArray[Any]:
    """Read the video ``orig (H, W, F)`` of a MATLAB file, as ``(F, H, W)``.

    Raises
    ------
    SceneError
        If the file is damaged, of MATLAB 7.3 or larger than `max_bytes`, or has no such video.
    """
    check_bytes(path, path.stat().st_size, max_bytes)
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
    return np.moveaxis(values, 2, 0)
