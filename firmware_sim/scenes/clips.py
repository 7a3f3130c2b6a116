"""Clips: video cut into windows of T gray frames, from the files people have.

`load_clips` reads an ``.npz`` or ``.npy``, a ``.mat`` of the SCI benchmark, a video, a TIFF stack,
or a folder of any of them and of frames. What is white follows from `value_range`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.files import exists
from focalloop.firmware_sim.scenes.clip_arrays import array_in_npy, clips_in_npz, frames_in_mat
from focalloop.firmware_sim.scenes.folders import Source, found_in, listed
from focalloop.firmware_sim.scenes.grayscale import fit_frame
from focalloop.firmware_sim.scenes.messages import check_bytes
from focalloop.firmware_sim.scenes.picture_files import (
    GrayPictures,
    is_stack,
    shown_pages,
    stored_pages,
)
from focalloop.firmware_sim.scenes.value_range import Stored, WhiteScale
from focalloop.firmware_sim.scenes.videos import gray_frames

MAX_CLIP_BYTES = 2 << 30
"""Memory limit of the clips of one source, which is checked before they are decoded."""

Frames = Iterator[NDArray[np.uint8]]
Size = tuple[int, int]
Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of one size: ``clips (N, T, H, W) uint8``, and a name for each.

    Attributes
    ----------
    clips : NDArray[np.uint8]
        The windows, 255 is white.
    names : tuple of str
        One per window.
    notes : tuple of str
        What a user should know: what was left out, clipped, or sampled by time.
    follows : tuple of bool
        Whether each window continues the one before, of the same video; empty if none does.
    """

    clips: NDArray[np.uint8]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    follows: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def load_clips(
    path: str | Path,
    slots: int = 16,
    *,
    size: Size | None = None,
    max_clips: int | None = None,
    white: float | None = None,
) -> Clips:
    """Read clips of `slots` frames from a file or folder.

    Parameters
    ----------
    path : str or Path
        An ``.npz`` with ``clips (N, T, H, W)``, or ``sequences (N, F, H, W)`` to be cut like
        videos, and optionally ``names (N,)``; an ``.npy`` of the shape ``(F, H, W)`` or
        ``(N, T, H, W)``; a ``.mat`` of the SCI benchmark with ``orig (H, W, F)``; a video file; a
        TIFF stack; or a folder. Of a folder, its pictures are one sequence (``00001.jpg`` ...,
        also the Need for Speed layout ``NAME/240/NAME/00001.jpg`` from any level), and every other
        file and folder in it is read by itself. Frames are cut into consecutive windows without
        overlap; a remainder shorter than a window is dropped.
    slots : int, optional
        Frame slots T of a clip.
    size : tuple of int or None, optional
        ``(H, W)`` to fit every frame to: scaled until it covers the size, then cropped to its
        middle. By default frames keep their size; in a folder of several sizes, the clips of the
        most frequent one are taken.
    max_clips : int or None, optional
        Stop after this many clips; by default, take all.
    white : float or None, optional
        The value of white where the files do not say, such as 4095 for frames of 12 bits.

    Raises
    ------
    SceneError
        If the source is missing, cannot be decoded, has another T, is too short or too large, or
        leaves open what is white.
    """
    path = Path(path)
    if not exists(path):
        raise SceneError(f"there is no clip at {path}: check the path")
    if not (path.is_file() or path.is_dir()):
        raise SceneError(f"{path} is a device or a pipe, which cannot be read twice: give a file")
    reader = _Reader(slots, size, max_clips, white)
    if not path.is_dir():
        reader.read(path, path.stem)
        return reader.clips([])
    found = found_in(path)
    names = _names(found.sources, path)
    for source, name in zip(found.sources, names, strict=True):
        reader.read(source, name, alone=len(found.sources) == 1)
    return reader.clips(found.left_out)


def frames_of_file(
    path: Path,
    size: Size | None = None,
    *,
    white: float | None = None,
    note: Note = lambda text: None,
) -> Frames:
    """Yield the gray frames ``(H, W) uint8`` of a video, a stack or an array of frames.

    Parameters
    ----------
    path : Path
        A video, a TIFF stack, a ``.mat`` or an ``.npy``.
    size, white : tuple or float or None, optional
        As for `load_clips`.
    note : callable, optional
        Called with what a user should know about the file.

    Raises
    ------
    SceneError
        As `load_clips`.
    """
    if path.suffix.lower() == ".mat":
        values = frames_in_mat(path, MAX_CLIP_BYTES)
        yield from _fitted(iter(_scaled_array(f"`orig` in {path}", values, white, note)), size)
    elif path.suffix.lower() == ".npy":
        values = array_in_npy(path, MAX_CLIP_BYTES)
        frames = _scaled_array(str(path), values, white, note)
        yield from _fitted(iter(frames.reshape(-1, *frames.shape[-2:])), size)
    elif is_stack(path):
        scale = WhiteScale(str(path), lambda: stored_pages(path), white)
        yield from _fitted(map(scale, shown_pages(path, note)), size)
        for text in scale.notes():
            note(text)
    else:
        yield from gray_frames(path, size, white=white, note=note)


def _scaled_array(
    what: str, values: NDArray[Any], white: float | None, note: Note
) -> NDArray[np.uint8]:
    stored = Stored(values)
    scale = WhiteScale(what, lambda: [stored], white)
    scaled = scale(stored)
    for text in scale.notes():
        note(text)
    return scaled


def _fitted(frames: Frames, size: Size | None) -> Frames:
    return frames if size is None else (fit_frame(frame, size) for frame in frames)


@dataclass(frozen=True, eq=False)
class _Window:
    source: Path
    name: str
    frames: NDArray[np.uint8]
    follows: bool

    @property
    def size(self) -> Size:
        return self.frames.shape[1], self.frames.shape[2]


class _Reader:
    """Collects the windows of one source after another."""

    def __init__(
        self, slots: int, size: Size | None, max_clips: int | None, white: float | None
    ) -> None:
        self._slots, self._size, self._max_clips, self._white = slots, size, max_clips, white
        self._windows: list[_Window] = []
        self._bytes = 0
        self._too_short: list[str] = []
        self._notes: list[str] = []

    def clips(self, left_out: list[str]) -> Clips:
        """Return what was collected, in the size that most of it has.

        Raises
        ------
        SceneError
            If that is nothing.
        """
        if not self._windows:
            if self._too_short:
                raise SceneError(
                    f"a clip needs {self._slots} frames; too short: {listed(self._too_short)}"
                )
            also = f" (it holds {listed(left_out)})" if left_out else ""
            raise SceneError(
                f"there are no frames or videos in that folder{also}: give a folder of either"
            )
        height, width = Counter(window.size for window in self._windows).most_common(1)[0][0]
        kept = [window for window in self._windows if window.size == (height, width)]
        others = dict.fromkeys(
            f"{window.source.name} ({window.size[1]}x{window.size[0]} pixels, the others "
            f"{width}x{height})"
            for window in self._windows
            if window.size != (height, width)
        )
        left_out = [*left_out, *(f"{each}, too short" for each in self._too_short), *others]
        if left_out:
            self._notes.append(f"left out: {listed(left_out)}")
        clips = np.stack([window.frames for window in kept])
        names, follows = zip(*((window.name, window.follows) for window in kept), strict=True)
        return Clips(clips, names, tuple(self._notes), follows)

    def read(self, source: Source, name: str, *, alone: bool = True) -> None:
        """Take the windows of a file, or of the pictures of a folder."""
        if self._is_full():
            return
        if isinstance(source, tuple):
            pictures = GrayPictures(source, self._white)
            place = source[0] if len(source) == 1 else source[0].parent
            self._cut(place, name, self._fitted(map(pictures, source)))
            self._notes += pictures.notes()
        elif source.suffix.lower() == ".npz":
            stored = clips_in_npz(source, MAX_CLIP_BYTES)
            if stored.sequences:
                scaled = self._scaled(f"`sequences` in {source}", stored.values)
                for number, frames in enumerate(scaled):
                    label = stored.names[number] if stored.names else f"{name}.{number}"
                    self._cut(source, label, self._fitted(iter(frames)))
            else:
                what = f"`clips` in {source}"
                self._take(source, what, name, stored.values, stored.names, alone)
        elif source.suffix.lower() == ".npy":
            values = array_in_npy(source, MAX_CLIP_BYTES)
            if values.ndim == 4:
                self._take(source, str(source), name, values, None, alone)
            else:
                self._cut(source, name, self._fitted(iter(self._scaled(str(source), values))))
        else:
            note = self._notes.append
            frames = frames_of_file(source, self._size, white=self._white, note=note)
            self._cut(source, name, frames)

    def _take(
        self,
        source: Path,
        what: str,
        name: str,
        clips: NDArray[Any],
        names: list[str] | None,
        alone: bool,
    ) -> None:
        # Not cut like a video: with another T the set, and so its scores, would be different.
        if clips.shape[1] != self._slots:
            if not alone:
                self._too_short.append(f"{source.name} (clips of {clips.shape[1]} frames)")
                return
            raise SceneError(
                f"the clips in {source} have T={clips.shape[1]} frames; T={self._slots} is needed "
                "here: save windows of that length, or use a ratio map for their T"
            )
        for number, clip in enumerate(self._scaled(what, clips)):
            if self._is_full():
                break
            label = names[number] if names else f"{name}[{number}]"
            self._add(source, label, list(self._fitted(iter(clip))))

    def _scaled(self, what: str, values: NDArray[Any]) -> NDArray[np.uint8]:
        return _scaled_array(what, values, self._white, self._notes.append)

    def _fitted(self, frames: Frames) -> Frames:
        return _fitted(frames, self._size)

    def _is_full(self) -> bool:
        return self._max_clips is not None and len(self._windows) >= self._max_clips

    def _cut(self, source: Path, name: str, frames: Frames) -> None:
        taken = 0
        while not self._is_full():
            window = list(islice(frames, self._slots))
            if len(window) < self._slots:
                if not taken:
                    count = f"{len(window)} frame{'' if len(window) == 1 else 's'}"
                    self._too_short.append(f"{source.name} ({count})")
                break
            self._add(source, f"{name}[{taken}]", window, follows=taken > 0)
            taken += 1

    def _add(
        self, source: Path, name: str, window: list[NDArray[np.uint8]], *, follows: bool = False
    ) -> None:
        same_source = (each.size for each in self._windows[-1:] if each.source == source)
        shapes = {*same_source, *(frame.shape for frame in window)}
        if len(shapes) > 1:
            sizes = " and ".join(f"{h}x{w}" for h, w in sorted(shapes))
            raise SceneError(
                f"{source} has frames of different sizes ({sizes}): make them the same size, or "
                "put those of one size in a folder of their own"
            )
        self._windows.append(_Window(source, name, np.stack(window), follows))
        self._bytes += self._windows[-1].frames.nbytes
        check_bytes(source, self._bytes, MAX_CLIP_BYTES)


def _names(sources: list[Source], root: Path) -> list[str]:
    """Name sources by their stems, or where two have the same one, by their paths."""
    places = [source[0].parent if isinstance(source, tuple) else source for source in sources]
    stems = [place.stem if place.is_file() else place.name for place in places]
    count = Counter(stems)
    return [
        stem if count[stem] == 1 or place == root else str(place.relative_to(root))
        for stem, place in zip(stems, places, strict=True)
    ]
