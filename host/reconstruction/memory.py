"""What a network with memory is told of the window before: the last frame that it rebuilt.

That helps only where the next window begins when this frame ends. So it is kept for the window that
was exposed right after and no other: after a gap, a restart of the board, or on an array of another
size, nothing is remembered. Nor is it where the reads show another scene: networks learn from
scenes without a cut, and believe what they are told.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.host.reconstruction.reconstruct import Float32, Reconstructor

SAME_SCENE = 0.5
"""Least correlation between the last frame and the light of the window. Within the long clips it is
0.68 at the least, between two of them rarely above."""


class Place(NamedTuple):
    """Where a window lies in time: that of the same stream with the next number follows it."""

    stream: Hashable
    number: int

    @classmethod
    def of(cls, window: Window) -> Place:
        """Return the place of a board's window; those that were not read out count too."""
        board = window.board
        boot = None if board is None else (board.serial, board.boot_id)
        return cls((boot, window.kind), window.number + window.skipped)

    @property
    def following(self) -> Place:
        """Place of the window that follows."""
        return self._replace(number=self.number + 1)


class Remembering(Protocol):
    """A network with memory, wherever it runs."""

    uses_last: bool

    def __call__(self, reads: Float32, ratio_map: RatioMap, last: Float32 | None = None) -> Float32:
        """Reconstruct as `OnnxReconstructor` does."""
        ...


def remembers(reconstruct: Reconstructor) -> TypeGuard[Remembering]:
    """Whether it is a network with memory."""
    return bool(getattr(reconstruct, "uses_last", False))


class LastFrame:
    """The memory of one stream of windows, which are rebuilt one after the other."""

    def __init__(self) -> None:
        self._kept: tuple[Place, Float32] | None = None

    def rebuild(
        self, reconstruct: Reconstructor, reads: Float32, ratio_map: RatioMap, place: Place
    ) -> Float32:
        """Reconstruct a window, and remember its last frame if the network has memory.

        Parameters
        ----------
        reconstruct : callable
            What reconstructs; it may be another for every window.
        reads : ndarray of float32, shape (8, H, W)
            Measurements of the window.
        ratio_map : RatioMap
            Its map.
        place : Place
            Where it lies in time.

        Returns
        -------
        ndarray of float32, shape (T, H, W)
        """
        if not remembers(reconstruct):
            return reconstruct(reads, ratio_map)
        expected, frame = self._kept or (None, None)
        if (
            frame is None
            or place != expected
            or frame.shape != ratio_map.shape
            or not _like(frame, reads, ratio_map.measured)
        ):
            frame = None
        video = reconstruct(reads, ratio_map, frame)
        self.keep(video, place)
        return video

    def keep(self, video: Float32, place: Place) -> None:
        """Remember the last frame of a video (T, H, W)."""
        self._kept = place.following, np.clip(video[-1], 0, 1)


def _like(frame: Float32, reads: Float32, measured: NDArray[np.bool_]) -> bool:
    """Whether reads (8, H, W) may show what a frame does, where anything is to be seen."""
    light, shown = reads.sum(axis=0)[measured], frame[measured]
    light, shown = (values - values.mean() for values in (light, shown))
    scale = float(np.linalg.norm(light) * np.linalg.norm(shown))
    return scale == 0 or float(light @ shown) >= SAME_SCENE * scale
