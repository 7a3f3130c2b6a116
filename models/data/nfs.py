"""Training segments from Need for Speed, the videos at 240 frames/s that the paper trains on.

Kiani Galoogahi et al., "Need for Speed: A Benchmark for Higher Frame Rate Object Tracking", ICCV
2017. Published as ``VIDEO/240/VIDEO/00001.jpg`` ... beside ``VIDEO/240/VIDEO.txt``, which has one
line per frame with the box of the object to track (track, left, top, right, bottom, frame, ...),
and the same at 30 frames/s. Only the number of boxes is used, to notice missing frames.

CRL section VI: 80 videos for training and 20 for test, 80 random segments of 16 frames of each,
gray, 256x256. The text does not say which videos are which, so the split here differs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.scenes.folders import numbered_images
from focalloop.firmware_sim.scenes.grayscale import scaled
from focalloop.firmware_sim.scenes.picture_files import gray_image
from focalloop.models.data.sources import checked_sha256
from focalloop.models.data.training_file import RENDERER, write_windows
from focalloop.models.errors import SourceError

LICENCE = "Need for Speed: terms of its publishers"

Fit = Literal["crop", "resize"]


@dataclass(frozen=True)
class NfsSettings:
    """What ``focalloop data nfs`` makes.

    Attributes
    ----------
    segments, held_out_segments : int
        Segments of each video to train on, and of each that is held out, which are few because
        validation is frequent. A video with fewer gives all it has.
    size : int
        Height and width in pixels.
    fit : Fit
        How frames are brought to that size: ``crop`` takes a square as high as the frame, at a
        horizontal position that is random for each segment; ``resize`` squeezes the whole frame, as
        the paper's code does.
    held_out_share : float
        Share of the videos for validation.
    slots : int
        Frames per segment, T.
    seed : int
        Seed of the split and of every segment.
    """

    segments: int = 80
    held_out_segments: int = 5
    size: int = 256
    fit: Fit = "crop"
    held_out_share: float = 0.2
    slots: int = 16
    seed: int = 0


@dataclass(frozen=True)
class NfsVideo:
    """One video at 240 frames/s.

    Attributes
    ----------
    name : str
        Name of its folder.
    frames : tuple of Path
        Its images in order.
    starts : tuple of int
        Every frame at which T consecutive ones begin.
    annotated : int or None
        Lines of its annotation file; None if there is none.
    """

    name: str
    frames: tuple[Path, ...]
    starts: tuple[int, ...]
    annotated: int | None

    @property
    def incomplete(self) -> bool:
        """Whether frames are missing; the published counts agree to within one."""
        return self.annotated is not None and abs(self.annotated - len(self.frames)) > 1


def find_videos(folder: Path, slots: int) -> list[NfsVideo]:
    """Find the videos of the published layout in `folder`, which may be that of one video.

    Raises
    ------
    SourceError
        If there are none, or one has no `slots` consecutive frames.
    """
    places = sorted([*folder.glob("240/*"), *folder.glob("*/240/*")])
    videos = [_video(place, slots) for place in places if place.is_dir()]
    if not videos:
        raise SourceError(
            f"{folder} has no video in the layout of Need for Speed, VIDEO/240/VIDEO/00001.jpg: "
            "unpack the archives there"
        )
    return videos


def _video(folder: Path, slots: int) -> NfsVideo:
    frames = numbered_images(folder)
    try:
        numbers = np.array([int(frame.stem) for frame in frames], np.int64)
    except ValueError:
        raise SourceError(f"the name of a frame in {folder} is not a number: remove it") from None
    # Frames are sorted by number, so T in a row are consecutive if first and last are T - 1 apart.
    spans = numbers[slots - 1 :] - numbers[: max(0, len(numbers) - slots + 1)]
    starts = np.flatnonzero(spans == slots - 1)
    if not len(starts):
        raise SourceError(
            f"{folder} has {len(frames)} frames, and a segment needs {slots} consecutive ones: "
            "unpack the video again, or remove its folder"
        )
    boxes = folder.with_name(f"{folder.name}.txt")
    annotated = None
    if boxes.is_file():
        annotated = sum(bool(line.strip()) for line in boxes.read_bytes().splitlines())
    return NfsVideo(folder.name, tuple(frames), tuple(starts.tolist()), annotated)


def held_out_names(names: Sequence[str], settings: NfsSettings) -> frozenset[str]:
    """Choose the videos for validation by a hash of seed and name: adding videos moves few.

    Raises
    ------
    SourceError
        If there are fewer than two videos.
    """
    if len(names) < 2:
        raise SourceError(f"there is one video, {names[0]}: a second one is needed for validation")
    ranked = sorted(
        names, key=lambda name: hashlib.sha256(f"{settings.seed}/{name}".encode()).digest()
    )
    count = round(settings.held_out_share * len(names))
    return frozenset(ranked[: min(max(1, count), len(names) - 1)])


def write_nfs(
    videos: Sequence[NfsVideo],
    output: Path,
    settings: NfsSettings,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[str, tuple[int, int]]:
    """Cut all segments and write them as training data, one after another.

    Memory use does not grow with the number of segments.

    Parameters
    ----------
    videos : sequence of NfsVideo
        As `find_videos` returns.
    output : Path
        The ``.npz`` to write, whole or not at all: what ``focalloop train --data`` takes.
    settings : NfsSettings
        Number and size of the segments, and the seed.
    processes : int or None, optional
        Worker processes; one per processor by default. The result does not depend on it.
    progress : callable, optional
        Called with the number of segments done and their total.

    Returns
    -------
    str
        SHA-256 of the clips' bytes.
    (int, int)
        Segments to train on, and for validation.

    Raises
    ------
    SourceError
        If a frame cannot be decoded or shows the scene of a test clip, or there is one video.
    WriteError
        If the file cannot be written.
    """
    held_out = held_out_names([video.name for video in videos], settings)
    training_first = sorted(videos, key=lambda video: (video.name in held_out, video.name))
    jobs = [
        job
        for video in training_first
        for job in _segments(video, settings, held_out=video.name in held_out)
    ]
    frames: dict[str, dict[str, str]] = defaultdict(dict)

    def clips() -> Iterator[NDArray[np.uint8]]:
        cut = partial(_cut, size=settings.size, fit=settings.fit)
        with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
            done = zip(jobs, pool.map(cut, jobs, chunksize=4), strict=True)
            for number, (job, (clip, sha256)) in enumerate(done, start=1):
                frames[job.video] |= sha256
                progress(number, len(jobs))
                yield clip

    def others() -> dict[str, NDArray[Any]]:
        sources = [
            {
                "name": f"Need for Speed/{video.name}",
                "sha256": _digest(frames[video.name]),
                "licence": LICENCE,
                "validation": video.name in held_out,
            }
            for video in training_first
        ]
        recipe = {"settings": {"renderer": RENDERER, **asdict(settings)}, "sources": sources}
        return {
            "validation": np.array([job.video in held_out for job in jobs]),
            "source": np.array([job.video for job in jobs]),
            "recipe": np.array(json.dumps(recipe)),
        }

    shape = (len(jobs), settings.slots, settings.size, settings.size)
    sha256 = write_windows(output, shape, clips(), others)
    validation = sum(job.video in held_out for job in jobs)
    return sha256, (len(jobs) - validation, validation)


@dataclass(frozen=True)
class _Segment:
    """Consecutive frames, and the position across them of a square, from 0 at the left to 1."""

    video: str
    frames: tuple[Path, ...]
    across: float


def _segments(video: NfsVideo, settings: NfsSettings, *, held_out: bool) -> list[_Segment]:
    """Draw the segments of a video, independently of other videos."""
    name = int.from_bytes(hashlib.sha256(video.name.encode()).digest()[:8])
    rng = np.random.default_rng((settings.seed, name))
    count = settings.held_out_segments if held_out else settings.segments
    starts = np.sort(
        rng.choice(video.starts, min(count, len(video.starts)), replace=False, shuffle=False)
    )
    return [
        _Segment(video.name, video.frames[start : start + settings.slots], across)
        for start, across in zip(starts, rng.random(len(starts)), strict=True)
    ]


def _cut(segment: _Segment, *, size: int, fit: Fit) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Return the frames (T, size, size) of a segment, and the SHA-256 of each file by name."""
    sha256 = {path.name: checked_sha256(path) for path in segment.frames}
    clip = np.empty((len(segment.frames), size, size), np.uint8)
    for target, path in zip(clip, segment.frames, strict=True):
        frame = gray_image(path)
        if fit == "crop":
            side = min(frame.shape)
            top, left = (int(segment.across * (extent - side)) for extent in frame.shape)
            frame = frame[top : top + side, left : left + side]
        target[:] = scaled(frame, (size, size))
    return clip, sha256


def _digest(sha256_of_frames: dict[str, str]) -> str:
    """Return one SHA-256 for the used frames of a video, over lines like those of ``sha256sum``."""
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(sha256_of_frames.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
