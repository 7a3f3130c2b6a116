"""Training windows from photographs, cut-outs and video: ``focalloop data build``.

No registry has video at 240 frames per second, so windows are made: a smooth camera path over a
large photograph, cut-outs that move in front of it, and real video, scaled down until its motion
per frame is that of a fast camera. Moving pictures are drawn at twice the wanted size and averaged
down, so windows are as sharp as behind a lens.

Each window has its own random generator, seeded by ``(seed, window number)``, so the result does
not depend on the number of processes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from focalloop.firmware_sim.scenes.clips import frames_of_file
from focalloop.firmware_sim.scenes.grayscale import scaled, to_gray
from focalloop.firmware_sim.scenes.picture_files import gray_image
from focalloop.models.data.camera_motion import Motion, view, warp, waves
from focalloop.models.data.slow_motion import frames_needed, slowed
from focalloop.models.data.sources import Source
from focalloop.models.data.training_file import RENDERER
from focalloop.models.errors import SourceError

OVERSAMPLING = 2
"""Factor by which windows are drawn larger before they are averaged down."""

PAN_MARGIN = 8
"""How much larger than a window a photograph must be, pixels."""

MAX_VIDEO_FRAMES = 320
"""Frames used of each video; more would only show the same scene again."""


SLOW_VIDEO_SHARE = 0.5
"""`BuildSettings.video_share` for slow windows: slowed down, one video shows many speeds."""


@dataclass(frozen=True)
class BuildSettings:
    """What ``focalloop data build`` makes.

    Attributes
    ----------
    windows : int
        Number of windows.
    size : int
        Height and width in pixels.
    slots : int
        Frames per window, T.
    seed : int
        Seed of every random choice.
    validation_share, video_share : float
        Share of all windows that is held out, and share that is cut from real video.
    slow_share : float
        Share of the windows in which what moves is mostly slow, as everyday scenes are at 240
        frames/s: two fifths of the cameras stand still, every path is scaled by 0.1, 0.25, 0.5 or
        1, and videos play 3 to 12 times as slowly, with frames in between by motion-compensated
        interpolation.
    """

    windows: int = 3000
    size: int = 128
    slots: int = 16
    seed: int = 0
    validation_share: float = 0.04
    video_share: float = 0.3
    slow_share: float = 0.0


def build_windows(
    sources: Sequence[Source],
    settings: BuildSettings,
    *,
    processes: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, NDArray[Any]]:
    """Render all windows.

    Parameters
    ----------
    sources : sequence of Source
        Photographs, cut-outs and videos; each split needs at least one photograph or video.
    settings : BuildSettings
        Number and size of the windows, and the seed.
    processes : int or None, optional
        Worker processes; one per processor by default. The result does not depend on it.
    progress : callable or None, optional
        Called with the number of windows done.

    Returns
    -------
    dict
        ``clips`` (N, T, S, S) uint8, ``validation`` (N,) bool, ``filmed`` (N,) bool whether a
        window shows the motion of a real video, ``source`` (N,) the name of each window's
        background, ``recipe`` a JSON text with settings and the SHA-256 of every source.

    Raises
    ------
    SourceError
        If a split has nothing to draw from, or a file cannot be decoded.
    """
    held_out_count = max(1, round(settings.windows * settings.validation_share))
    held_out = np.arange(settings.windows) < held_out_count
    for split in {bool(flag) for flag in held_out}:
        if not any(s.validation is split and s.role != "cutout" for s in sources):
            raise SourceError(
                f"no photograph or video for the {'validation' if split else 'training'} split"
            )
    clips = np.empty((settings.windows, settings.slots, settings.size, settings.size), np.uint8)
    names, filmed = [""] * settings.windows, np.zeros(settings.windows, np.bool_)
    jobs = [(tuple(sources), settings, bool(flag), number) for number, flag in enumerate(held_out)]
    rendered = _in_parallel(jobs, processes or os.cpu_count() or 1)
    for number, (clips[number], names[number], filmed[number]) in enumerate(rendered):
        if progress:
            progress(number + 1)
    recipe = {
        "settings": {"renderer": RENDERER, **asdict(settings)},
        "sources": _named_once(sources),
    }
    return {
        "clips": clips,
        "validation": held_out,
        "filmed": filmed,
        "source": np.array(names),
        "recipe": np.array(json.dumps(recipe)),
    }


def _named_once(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Describe each source once; the frames and the stills of a video are one source."""
    keys = ("name", "sha256", "licence", "validation")
    told = dict.fromkeys(tuple(getattr(source, key) for key in keys) for source in sources)
    return [dict(zip(keys, values, strict=True)) for values in told]


_Job = tuple[tuple[Source, ...], BuildSettings, bool, int]
_Rendered = tuple[NDArray[np.uint8], str, bool]


def _in_parallel(jobs: Sequence[_Job], processes: int) -> Iterator[_Rendered]:
    if processes == 1:
        yield from map(_render, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_render, jobs, chunksize=8)


def _render(job: _Job) -> _Rendered:
    """Render one window, which follows from the seed and its number alone.

    Also return the name of its source, and whether its motion is that of a video.
    """
    sources, settings, validation, number = job
    rng = np.random.default_rng((settings.seed, number))
    pool = [source for source in sources if source.validation is validation]
    photographs = [source for source in pool if source.role == "photograph"]
    cutouts = [source for source in pool if source.role == "cutout"]
    videos = [source for source in pool if source.role == "video"]
    # Not drawn where the share leaves no choice, so that these windows are as they always were.
    share = settings.slow_share
    slow = rng.random() < share if 0 < share < 1 else share > 0
    if videos and (not photographs or rng.random() < settings.video_share):
        source = videos[rng.integers(len(videos))]
        return _video_window(rng, source, settings, slow=slow), source.name, True
    source = photographs[rng.integers(len(photographs))]
    frames = _camera_pan(rng, source, settings, slow=slow)
    for _ in range(rng.choice(4, p=[0.3, 0.35, 0.25, 0.1])):
        sprite = _sprite(rng, cutouts, photographs)
        _move_in_front(rng, frames, sprite, settings, slow=slow)
    return _average_down(_exposed(rng, frames)), source.name, False


# ---------------------------------------------------------------- backgrounds


def _camera_pan(
    rng: np.random.Generator, source: Source, settings: BuildSettings, *, slow: bool
) -> list[NDArray[np.float32]]:
    """Pan a virtual camera over a photograph: T frames at OVERSAMPLING times the size."""
    picture = _photograph(source.path, source.white)
    extent = np.array(picture.shape[::-1])  # width, height: points are (x, y)
    if extent.min() < settings.size + PAN_MARGIN:
        raise SourceError(
            f"{source.path} has {extent[0]}x{extent[1]} pixels, too few to pan a window of "
            f"{settings.size} over"
        )
    motion = _motion(rng, settings, max_speed_px=6.0, slow=slow)
    if rng.random() < (0.4 if slow else 0.08):
        motion = motion.slowed(0.0)  # a camera on a tripod
    tilt = rng.normal(0, 2e-4, 2)  # perspective, 1/px
    ripple = waves(rng) if rng.random() < 0.15 else None
    while True:
        paths = [view(motion, t, settings.size, tilt, ripple) for t in range(settings.slots)]
        corners = np.concatenate([path.reshape(-1, 2) for path in paths])
        low, high = corners.min(0) - 2, corners.max(0) + 2
        sharpest = float((extent / (high - low)).min())
        if sharpest >= 1.0:
            break
        # The view leaves the photograph: move less, and in the end not at all.
        tilt = tilt * 0.5
        ripple = ripple if sharpest > 0.9 and np.ptp(motion.shift) > 0 else None
        motion = motion.slowed(0.5) if np.ptp(motion.shift) > 2 else Motion.still(settings.slots)
    work_size = np.ceil((high - low) * OVERSAMPLING).astype(int)
    for _ in range(4):  # try again where it shows sky or a blurred background
        # Source pixels per output pixel, from as fine as the photograph to a twelfth of it.
        scale = min(sharpest, 12.0) ** (rng.uniform(0, 1) ** 0.6)
        width, height = np.rint((high - low) * scale).astype(int)
        left, top = (rng.uniform(0, 1, 2) * (extent - (width, height))).astype(int)
        part = picture[top : top + height, left : left + width]
        work = scaled(part, (int(work_size[1]), int(work_size[0])))
        if np.abs(np.diff(work.astype(np.int16), axis=1)).mean() > 1.5:
            break
    if rng.random() < 0.4:  # a soft lens or a compressed video
        work = np.asarray(cv2.GaussianBlur(work, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    to_work = work_size / (high - low)
    return [
        warp(work, (path - low) * to_work, settings.size * OVERSAMPLING).astype(np.float32)
        for path in paths
    ]


def _motion(
    rng: np.random.Generator, settings: BuildSettings, max_speed_px: float, *, slow: bool
) -> Motion:
    motion = Motion.draw(rng, settings.slots, max_speed_px)
    if slow:
        motion = motion.slowed(rng.choice([0.1, 0.25, 0.5, 1], p=[0.3, 0.3, 0.25, 0.15]))
    return motion


def _video_window(
    rng: np.random.Generator, source: Source, settings: BuildSettings, *, slow: bool
) -> NDArray[np.uint8]:
    """Cut T consecutive frames from a real video, scaled down by a random factor."""
    video = _video(source.path, source.white)
    slower, count = Fraction(1), settings.slots
    if slow:
        slower = Fraction(round(4 * np.exp(rng.uniform(np.log(3), np.log(12)))), 4)
        count = frames_needed(slower, settings.slots)
    if len(video) < count or min(video.shape[1:]) < settings.size:
        raise SourceError(f"{source.path} is too short or too small for a window")
    height, width = video.shape[1:]
    coarsest = min(height, width) / settings.size
    for _ in range(8):  # try again where nothing changes
        scale = float(np.exp(rng.uniform(np.log(min(1.3, coarsest)), np.log(coarsest))))
        start = int(rng.integers(len(video) - count + 1))
        side = round(settings.size * scale)
        left, top = (rng.uniform(0, 1, 2) * (width - side, height - side)).astype(int)
        parts = video[start : start + count, top : top + side, left : left + side]
        frames = np.stack([scaled(part, (settings.size, settings.size)) for part in parts])
        if np.abs(np.diff(frames.astype(np.int16), axis=0)).mean() > 1.0:
            break
    return slowed(frames, slower, settings.slots) if slow else frames


# ---------------------------------------------------------------- foregrounds


def _sprite(
    rng: np.random.Generator, cutouts: Sequence[Source], photographs: Sequence[Source]
) -> NDArray[np.uint8]:
    """Return something to move in front, (h, w, 2): premultiplied gray and opacity."""
    if cutouts and rng.random() < 0.6:
        gray, opacity = _cutout(cutouts[int(rng.integers(len(cutouts)))].path)
    else:
        shown = photographs[int(rng.integers(len(photographs)))]
        picture = _photograph(shown.path, shown.white)
        side = int(min(rng.uniform(150, 900), min(picture.shape)))
        top, left = (int(rng.uniform(0, 1) * (extent - side)) for extent in picture.shape)
        gray = picture[top : top + side, left : left + side]
        opacity = np.zeros((side, side), np.uint8)
        spokes = int(rng.integers(3, 12))
        angles = np.sort(rng.uniform(0, 2 * np.pi, spokes))
        radii = rng.uniform(0.3, 0.5, spokes) * side
        if rng.random() < 0.5:
            above = side * rng.uniform(0, 0.3)
            centre = (side // 2, int(side + above) // 2)
            cv2.ellipse(opacity, centre, (side // 2, int(side - above) // 2), 0, 0, 360, 255, -1)
        else:
            outline = side / 2 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(opacity, [outline.astype(np.int32)], 255)
    return np.dstack([cv2.multiply(gray, opacity, scale=1 / 255), opacity])


def _move_in_front(
    rng: np.random.Generator,
    frames: list[NDArray[np.float32]],
    sprite: NDArray[np.uint8],
    settings: BuildSettings,
    *,
    slow: bool,
) -> None:
    """Draw `sprite`, on a path of its own, over every frame in place."""
    side = settings.size * OVERSAMPLING
    extent = float(np.exp(rng.uniform(np.log(0.12), np.log(0.8)))) * side
    scale = extent / max(sprite.shape)
    if scale < 1:
        height, width = (max(2, round(scale * length)) for length in sprite.shape[:2])
        sprite, scale = scaled(sprite, (height, width)), 1.0
    centre = (np.array(sprite.shape[1::-1]) - 1) / 2
    motion = _motion(rng, settings, max_speed_px=7.0, slow=slow)
    place = rng.uniform(0.15, 0.85, 2) * side
    for slot, frame in enumerate(frames):
        cosine, sine = np.cos(motion.angle[slot]), np.sin(motion.angle[slot])
        # From the frame back to the sprite, whose centre comes to `position`.
        back = np.array([[cosine, sine], [-sine, cosine]]) / (scale * motion.zoom[slot])
        position = place + motion.shift[slot] * OVERSAMPLING
        matrix = np.column_stack([back, centre - back @ position])
        # Bilinear: the overshoot of a bicubic kernel would draw outlines around what is opaque.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        drawn = cv2.warpAffine(sprite, matrix, (side, side), flags=flags)
        frame *= 1 - drawn[..., 1] / np.float32(255)
        frame += drawn[..., 0]


def _exposed(rng: np.random.Generator, frames: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Vary tone, contrast and brightness of a window; return (T, side, side) in [0, 255]."""
    gamma = np.exp(rng.normal(0, 0.25))
    gain = rng.uniform(0.55, 1.1)
    offset = rng.uniform(0, 255 * (1 - gain)) if gain < 1 else 0.0
    window = 255 * (np.clip(np.stack(frames), 0, 255) / 255) ** np.float32(gamma)
    return np.clip(window * np.float32(gain) + np.float32(offset), 0, 255).astype(np.float32)


def _average_down(window: NDArray[np.float32]) -> NDArray[np.uint8]:
    slots, side, _ = window.shape
    size = side // OVERSAMPLING
    mean = window.reshape(slots, size, OVERSAMPLING, size, OVERSAMPLING).mean((2, 4))
    whole: NDArray[np.uint8] = np.rint(mean).astype(np.uint8)
    return whole


# ---------------------------------------------------------------- decoding


@contextmanager
def _of_any_size() -> Iterator[None]:
    """Lift Pillow's limit of pixels for a while: the sources are known, and some exceed it."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@lru_cache(maxsize=96)
def _photograph(path: Path, white: float | None) -> NDArray[np.uint8]:
    with _of_any_size():
        return gray_image(path, white)


@lru_cache(maxsize=1024)
def _cutout(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return gray and opacity, each (h, w)."""
    with _of_any_size(), Image.open(path) as image:
        image.thumbnail((512, 512))
        colour = np.asarray(image.convert("RGBA"))
    return to_gray(colour[..., :3]), colour[..., 3]


@lru_cache(maxsize=16)
def _video(path: Path, white: float | None) -> NDArray[np.uint8]:
    """Decode up to MAX_VIDEO_FRAMES frames: (F, H, W) uint8; an ``.npy`` holds them decoded."""
    if path.suffix == ".npy":
        decoded: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        return decoded
    return np.stack(list(islice(frames_of_file(path, white=white), MAX_VIDEO_FRAMES)))
