"""What the emulated sensor looks at: a file on repeat, a synthetic picture, or a camera.

A scene is anything with the few members of `SceneSource`; the emulated board asks it for one window
after another. `open_scene` makes one from the text of an option ``--scene``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.scenes.clips import Clips, load_clips
from focalloop.firmware_sim.scenes.synthetic import SyntheticScene

SYNTHETIC = "synthetic"

FILE_WINDOWS = 64
"""Windows of a file that are loaded and repeated: 64 MiB at 16x256x256."""


class SceneSource(Protocol):
    """A scene on an array of ``(H, W)`` pixels, in windows of ``T`` slots."""

    @property
    def shape(self) -> tuple[int, int]:
        """Array size ``(H, W)``."""
        ...

    @property
    def slots(self) -> int:
        """Frame slots per window, T."""
        ...

    def window(self, index: int) -> NDArray[np.uint8]:
        """Return the radiance of window `index`: ``(T, H, W) uint8``, 255 is white; read only."""
        ...

    def close(self) -> None:
        """Release the device or file; safe to call twice."""
        ...


def open_scene(
    spec: str | Path,
    height: int,
    width: int,
    slots: int = 16,
    *,
    seed: int = 0,
    white: float | None = None,
    frames_per_slot: float = 1.0,
    note: Callable[[str], None] = lambda text: None,
) -> SceneSource:
    """Open a scene for an array of ``height x width`` pixels.

    Parameters
    ----------
    spec : str or Path
        ``"synthetic"``, ``"camera:N"``, or a path that `load_clips` reads.
    seed : int, optional
        Seed of the synthetic picture; other scenes do not use it.
    white : float or None, optional
        As for `load_clips`.
    frames_per_slot : float, optional
        How fast a clip is played: below 1, frames stay for several slots; above, some are left out.
    note : callable, optional
        Called with each note of the clips.

    Raises
    ------
    SceneError
        If the camera or the file cannot be used.
    """
    text = str(spec)
    if text == SYNTHETIC:
        return SyntheticScene(height, width, slots, seed=seed)
    number = camera_number(text)
    if number is not None:
        from focalloop.firmware_sim.scenes.camera import CameraScene

        return CameraScene(number, height, width, slots)
    clips = load_clips(text, slots, size=(height, width), max_clips=FILE_WINDOWS, white=white)
    for each in clips.notes:
        note(each)
    return FileScene(clips, frames_per_slot)


def camera_number(spec: str) -> int | None:
    """Return the number of the camera that `spec` names, or None if it names none.

    Raises
    ------
    SceneError
        It is written as a camera, but without a number.
    """
    kind, _, number = spec.partition(":")
    if kind != "camera" or exists(spec):
        return None
    if not (number.isascii() and number.isdecimal()):
        raise SceneError(f"{spec!r} does not name a camera: write camera:0 for the first one")
    return int(number)


def is_clip(spec: str) -> bool:
    """Whether `spec` names neither a synthetic picture nor a camera; raises as `camera_number`."""
    return spec != SYNTHETIC and camera_number(spec) is None


class FileScene:
    """Clips played one after the other, and then again from the first.

    Parameters
    ----------
    clips : Clips
    frames_per_slot : float, optional
        As for `open_scene`.
    """

    def __init__(self, clips: Clips, frames_per_slot: float = 1.0) -> None:
        self._clips = clips.clips.view()
        self._clips.flags.writeable = False
        self._frames_per_slot = frames_per_slot
        self.names = clips.names
        _, self.slots, height, width = clips.clips.shape
        self.shape = (height, width)

    def window(self, index: int) -> NDArray[np.uint8]:
        """Return window `index`, ``(T, H, W) uint8``: clip ``index mod N`` at a frame per slot."""
        if self._frames_per_slot == 1.0:
            window: NDArray[np.uint8] = self._clips[index % len(self._clips)]
            return window
        frames = self._clips.reshape(-1, *self.shape)
        slots = np.arange(index * self.slots, (index + 1) * self.slots)
        chosen = np.floor(slots * self._frames_per_slot + 1e-6).astype(np.int64) % len(frames)
        window = frames[chosen]
        window.flags.writeable = False
        return window

    def close(self) -> None:
        """Do nothing: no file is held open."""
