"""Training windows from one's own footage alone, without a download.

A video gives windows of its own motion, and still frames that a virtual camera pans over, because
video at 30 frames per second moves too far per frame to represent a fast sensor. Frames are kept at
up to `MAX_WINDOWS_ACROSS` times the side of a window, which covers what an array of twice that side
sees. The last fifth of every video, in time, is held out for validation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focalloop.firmware_sim.files import media_name, scratch_folder
from focalloop.firmware_sim.scenes.clips import frames_of_file
from focalloop.firmware_sim.scenes.folders import found_in, listed
from focalloop.firmware_sim.scenes.grayscale import fit_frame
from focalloop.firmware_sim.scenes.picture_files import GrayPictures, gray_image
from focalloop.models.data.build import PAN_MARGIN, BuildSettings, build_windows
from focalloop.models.data.sources import Source, checked_sha256, checked_source
from focalloop.models.errors import SourceError

FOOTAGE_SETTINGS = BuildSettings(windows=800, size=128, validation_share=0.08, video_share=0.5)
"""Enough for a quick training; rendering takes a minute or two on two cores."""

MAX_WINDOWS_ACROSS = 4
"""Limit of the short side of a frame, in windows; larger frames are scaled down."""

MAX_DECODED_FRAMES = 7200
"""Frames decoded of one video: four minutes at 30 frames per second, half a minute at 240."""

KEPT_BYTES = 1 << 29
"""Memory for the scaled frames of all videos together, bytes."""

RUN_FRAMES = 64
"""A video too long to keep whole is kept in runs of this many consecutive frames."""

STILLS = 24
"""Frames per video that the virtual camera pans over."""

HELD_OUT_SHARE = 0.2
"""Share of the frames of a video, the last ones, that is held out."""

LICENCE = "the user's own"

_FRAME_NAME = re.compile(r"(frame|out)?[-_ ]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class _Video:
    """A video file, or the numbered frames of a folder."""

    name: str
    path: Path
    images: tuple[Path, ...] = ()
    white: float | None = None

    def sha256(self) -> str:
        """Check every file against the excluded ones; return a hash of the video or its frames."""
        if not self.images:
            return checked_sha256(self.path)
        digests = (checked_sha256(image) for image in self.images)
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def length(self) -> int:
        """Return the approximate number of frames; 0 if a file does not say."""
        if self.images:
            return len(self.images)
        try:
            with av.open(media_name(self.path)) as container:
                stream = container.streams.video[0]
                seconds = (container.duration or 0) / av.time_base
                return stream.frames or round(seconds * float(stream.average_rate or 0))
        except (av.error.FFmpegError, IndexError):
            return 0

    def shape(self) -> tuple[int, int]:
        """Return the height and width of the first frame."""
        if self.images:
            first: NDArray[np.uint8] | None = GrayPictures(self.images, self.white)(self.images[0])
        else:
            first = next(frames_of_file(self.path, white=self.white), None)
        if first is None:
            raise SourceError(f"{self.path} holds no frames: give an undamaged video")
        height, width = first.shape
        return height, width

    def frames(
        self, size: tuple[int, int], every: int, note: Callable[[str], None]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield number and pixels of the frames in every `every`-th run of RUN_FRAMES."""
        if self.images:
            gray = GrayPictures(self.images, self.white)
            for number, image in enumerate(self.images[:MAX_DECODED_FRAMES]):
                if not number // RUN_FRAMES % every:
                    yield number, fit_frame(gray(image), size)
            for text in gray.notes():
                note(text)
            return
        frames = frames_of_file(self.path, size, white=self.white, note=note)
        for number, frame in enumerate(islice(frames, MAX_DECODED_FRAMES)):
            if not number // RUN_FRAMES % every:
                yield number, frame


@dataclass(frozen=True)
class _Run:
    """Consecutive frames ``(F, h, w) uint8`` of a video, from frame `first`."""

    first: int
    frames: NDArray[np.uint8]


def footage_data(
    path: Path,
    settings: BuildSettings = FOOTAGE_SETTINGS,
    progress: Callable[[int], None] | None = None,
    *,
    processes: int | None = None,
    on_video: Callable[[str], None] = lambda name: None,
    white: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, NDArray[Any]]:
    """Make training windows from videos and pictures alone.

    Parameters
    ----------
    path : Path
        A video file, or a folder that holds, at any depth: videos, TIFF stacks and arrays of frames
        (``.npy``, ``.mat``); folders of numbered frames
        (``00001.jpg`` ..., ``frame_0001.png`` ...), each of which counts as a video; and pictures
        with other names, which the virtual camera pans over.
    settings : BuildSettings, optional
        As for `build_windows`; `video_share` is the share of windows with its motion.
    progress : callable or None, optional
        Called with the number of windows done.
    processes : int or None, optional
        Worker processes; one per processor by default. The result does not depend on it.
    on_video : callable, optional
        Called with the name of each video before it is decoded.
    white : float or None, optional
        The value of white where the files do not say, as for `load_clips`.
    note : callable, optional
        Called with what a user should know: what was left out, clipped, or sampled by time.

    Returns
    -------
    dict
        As `build_windows` returns: ``clips``, ``validation``, ``source``, ``recipe``. Held out are
        the last fifth of every video of at least 2 T frames and every fifth picture or, if there
        are none, the last video or picture. No frame is in both splits.

    Raises
    ------
    SourceError
        If there are too few frames for both splits, frames are smaller than a window, or a file
        shows the scene of a test clip.
    SceneError
        If a file cannot be decoded.
    """
    videos, pictures, left_out = _listed(path, settings.slots, white)
    if left_out:
        note(f"left out: {listed(left_out)}")
    with scratch_folder() as folder:
        sources: list[Source] = []
        found: list[str] = []
        for number, video in enumerate(videos):
            on_video(video.name)
            runs = _kept_runs(video, settings, KEPT_BYTES // len(videos), note)
            found.append(f"{video.name} {sum(len(run.frames) for run in runs)} frames")
            work = folder / str(number)
            work.mkdir()
            sources += _video_sources(video, runs, work, settings)
        for number, picture in enumerate(pictures):
            name = str(picture.relative_to(path))
            sources.append(_picture_source(picture, name, settings, number % 5 == 4, white))
        return build_windows(
            _with_both_splits(sources, path, found, settings.slots),
            settings,
            processes=processes,
            progress=progress,
        )


def _listed(
    path: Path, slots: int, white: float | None
) -> tuple[list[_Video], list[Path], list[str]]:
    """Find videos, folders of `slots` numbered frames or more, pictures, and what is neither."""
    if path.is_file():
        return [_Video(path.name, path, white=white)], [], []
    if not path.exists():
        raise SourceError(f"there is no footage at {path}: check the path")

    def name(below: Path) -> str:
        return path.name if below == path else str(below.relative_to(path))

    videos: list[_Video] = []
    pictures: list[Path] = []
    too_few: list[str] = []
    found = found_in(path)
    for source in found.sources:
        if isinstance(source, Path):
            if source.suffix.lower() == ".npz":
                found.left_out.append(f"{name(source)} (clips, and no footage)")
            else:
                videos.append(_Video(name(source), source, white=white))
            continue
        folder = source[0].parent
        frames = [image for image in source if _FRAME_NAME.fullmatch(image.stem)]
        pictures += [image for image in source if image not in frames]
        if len(frames) >= slots:
            videos.append(_Video(name(folder), folder, tuple(frames), white))
        elif frames:
            too_few.append(f"{folder} has {len(frames)} numbered frames")
    if too_few:
        raise SourceError(
            f"{'; '.join(too_few)}: a window needs {slots}; add frames or remove the folder "
            "(pictures that are not frames of a video need names other than numbers)"
        )
    if not videos and not pictures:
        raise SourceError(
            f"{path} has no frame, no video and no picture; a window needs {slots} frames"
        )
    return videos, pictures, found.left_out


def _kept_runs(
    video: _Video, settings: BuildSettings, max_bytes: int, note: Callable[[str], None]
) -> list[_Run]:
    """Decode a video, and keep all of it or, if that is too much, runs spread over it."""
    height, width = video.shape()
    if min(height, width) < settings.size:
        raise SourceError(
            f"the frames of {video.path} are {height}x{width}, smaller than windows of "
            f"{settings.size}: ask for smaller windows, or remove it"
        )
    scale = min(1.0, MAX_WINDOWS_ACROSS * settings.size / min(height, width))
    size = (round(height * scale), round(width * scale))
    max_frames = max(4 * settings.slots, max_bytes // (size[0] * size[1]))
    every = max(1, -(-min(video.length(), MAX_DECODED_FRAMES) // max_frames))
    runs: list[list[tuple[int, NDArray[np.uint8]]]] = []
    for number, frame in islice(video.frames(size, every, note), max_frames):
        if not runs or number != runs[-1][-1][0] + 1:
            runs.append([])
        runs[-1].append((number, frame))
    return [_Run(run[0][0], np.stack([frame for _, frame in run])) for run in runs]


def _video_sources(
    video: _Video, runs: list[_Run], work: Path, settings: BuildSettings
) -> list[Source]:
    """Write frames and stills to `work`; the last fifth is for validation, if it is long enough."""
    slots = settings.slots
    runs = [run for run in runs if len(run.frames) >= slots]
    total = sum(len(run.frames) for run in runs)
    held_out = max(slots, round(total * HELD_OUT_SHARE)) if total >= 2 * slots else 0
    sha256 = video.sha256()
    sources: list[Source] = []
    seen = 0
    for run in runs:
        count = len(run.frames)
        cut = min(count, max(0, total - held_out - seen))
        seen += count
        for first, last, validation in ((0, cut, False), (cut, count, True)):
            if last - first < slots:
                continue
            name = f"{video.name} frames {run.first + first}-{run.first + last - 1}"
            part = run.frames[first:last]
            path = work / f"{run.first + first}.npy"
            np.save(path, part)
            sources.append(Source(name, path, sha256, "video", LICENCE, validation))
            if min(part.shape[1:]) < settings.size + PAN_MARGIN:
                continue
            for number in range(0, len(part), max(1, total // STILLS)):
                still = path.with_name(f"{run.first + first + number}.png")
                Image.fromarray(part[number]).save(still, compress_level=1)
                sources.append(Source(name, still, sha256, "photograph", LICENCE, validation))
    return sources


def _picture_source(
    picture: Path, name: str, settings: BuildSettings, held_out: bool, white: float | None
) -> Source:
    height, width = gray_image(picture, white).shape
    needed = settings.size + PAN_MARGIN
    if min(height, width) < needed:
        raise SourceError(
            f"{picture} is {height}x{width}; to pan windows of {settings.size} over it, "
            f"{needed}x{needed} are needed: ask for smaller windows, or remove it"
        )
    source = checked_source(picture, name, "photograph", licence=LICENCE, validation=held_out)
    return replace(source, white=white)


def _with_both_splits(
    sources: list[Source], path: Path, found: list[str], slots: int
) -> list[Source]:
    """Hold out the last source if none is held out yet.

    Raises
    ------
    SourceError
        If there are too few sources for that.
    """
    if any(source.validation for source in sources):
        return sources
    names = list(dict.fromkeys(source.name for source in sources))
    if len(names) < 2:
        listed = f" ({', '.join(found)})" if found else ""
        raise SourceError(
            f"{path} has too little{listed} for training and validation: a window needs {slots} "
            f"consecutive frames, so one video needs {2 * slots}; of pictures, two are needed"
        )
    return [replace(source, validation=source.name == names[-1]) for source in sources]
