"""Training windows from photographs, cut-outs and video: ``focalloop data build``.

No registry has film at 240 frames a second, so windows are made: a smooth camera path over a large
photograph, cut-outs that move in front of it, and real video scaled down until its motion per frame
is that of a fast camera. Everything is drawn at twice the wanted size and averaged down, so windows
are as sharp as a lens would make them.

Each window has its own random generator, seeded by ``(seed, window number)``: the result does not
depend on the number of processes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from focalloop.firmware_sim.files import written_whole
from focalloop.firmware_sim.scenes.clips import LUMA_WEIGHTS
from focalloop.models.data.motion import Motion, view, warp, waves
from focalloop.models.data.sources import Source, SourceError

Image.MAX_IMAGE_PIXELS = None  # the sources are known, and some have more pixels than the limit

OVERSAMPLING = 2
"""Windows are drawn this many times larger, then averaged down."""

PAN_MARGIN = 8
"""Pixels that a photograph is larger than a window, at least."""

MAX_VIDEO_FRAMES = 320
"""Frames kept of one video; more would only show the same scene again."""


@dataclass(frozen=True)
class BuildSettings:
    """What ``focalloop data build`` makes.

    Attributes
    ----------
    windows : int
        How many.
    size : int
        Height and width in pixels.
    slots : int
        Frames a window, T.
    seed : int
        Of every random choice.
    validation_share, video_share : float
        The part of all windows that is held out, and the part that is cut from real video.
    """

    windows: int = 3000
    size: int = 128
    slots: int = 16
    seed: int = 0
    validation_share: float = 0.04
    video_share: float = 0.3


def save_windows(path: Path, made: dict[str, NDArray[Any]]) -> None:
    """Write what `build_windows` returned as an uncompressed ``.npz``, whole or not at all.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **made)


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
        How many windows, how large, and the seed.
    processes : int or None, optional
        Worker processes; all processors where not given. The result does not depend on it.
    progress : callable or None, optional
        Called with the number of windows done.

    Returns
    -------
    dict
        ``clips`` (N, T, S, S) uint8, ``validation`` (N,) bool, ``filmed`` (N,) bool whether a
        window's motion is a video's own, ``source`` (N,) the name of each window's background,
        ``recipe`` a JSON text with settings and the SHA-256 of every source.

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
        "settings": asdict(settings),
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
    """Tell of each source once; the frames and the stills of a video are one."""
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
    """Render one window; what it shows follows from the seed and the window's number alone.

    With it come the name of its source, and whether its motion is that of a video.
    """
    sources, settings, validation, number = job
    rng = np.random.default_rng((settings.seed, number))
    pool = [source for source in sources if source.validation is validation]
    photographs = [source for source in pool if source.role == "photograph"]
    cutouts = [source for source in pool if source.role == "cutout"]
    videos = [source for source in pool if source.role == "video"]
    if videos and (not photographs or rng.random() < settings.video_share):
        source = videos[rng.integers(len(videos))]
        return _video_window(rng, source, settings), source.name, True
    source = photographs[rng.integers(len(photographs))]
    frames = _camera_pan(rng, source, settings)
    for _ in range(rng.choice(4, p=[0.3, 0.35, 0.25, 0.1])):
        sprite = _sprite(rng, cutouts, photographs)
        _move_in_front(rng, frames, sprite, settings)
    return _average_down(_exposed(rng, frames)), source.name, False


# ---------------------------------------------------------------- backgrounds


def _camera_pan(
    rng: np.random.Generator, source: Source, settings: BuildSettings
) -> list[NDArray[np.float32]]:
    """Pan a virtual camera over a photograph: T frames at OVERSAMPLING times the size."""
    picture = _photograph(source.path)
    if min(picture.size) < settings.size + PAN_MARGIN:
        raise SourceError(
            f"{source.path} has {picture.width}x{picture.height} pixels, too few to pan a window "
            f"of {settings.size} over"
        )
    motion = Motion.draw(rng, settings.slots, fastest_px=6.0)
    if rng.random() < 0.08:
        motion = motion.slowed(0.0)  # a camera on a tripod
    tilt = rng.normal(0, 2e-4, 2)  # perspective, 1/px
    ripple = waves(rng) if rng.random() < 0.15 else None
    while True:
        paths = [view(motion, t, settings.size, tilt, ripple) for t in range(settings.slots)]
        corners = np.concatenate([path.reshape(-1, 2) for path in paths])
        low, high = corners.min(0) - 2, corners.max(0) + 2
        sharpest = min(picture.width / (high - low)[0], picture.height / (high - low)[1])
        if sharpest >= 1.0:
            break
        # The view leaves the photograph: move less, at last not at all.
        tilt = tilt * 0.5
        ripple = ripple if sharpest > 0.9 and np.ptp(motion.shift) > 0 else None
        motion = motion.slowed(0.5) if np.ptp(motion.shift) > 2 else Motion.still(settings.slots)
    work_size = np.ceil((high - low) * OVERSAMPLING).astype(int)
    for _ in range(4):  # sky and blurred backgrounds teach little: look again
        # Source pixels per output pixel, from as fine as the photograph to a twelfth of it.
        scale = min(sharpest, 12.0) ** (rng.uniform(0, 1) ** 0.6)
        span = (high - low) * scale
        corner = rng.uniform(0, 1, 2) * (np.array(picture.size) - span)
        box = (corner[0], corner[1], corner[0] + span[0], corner[1] + span[1])
        work = picture.resize(
            (int(work_size[0]), int(work_size[1])), Image.Resampling.BICUBIC, box, reducing_gap=3.0
        )
        if np.abs(np.diff(np.asarray(work, np.int16), axis=1)).mean() > 1.5:
            break
    if rng.random() < 0.4:  # a soft lens, or a compressed video
        work = work.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2.5))))
    to_work = work_size / (high - low)
    return [
        np.asarray(warp(work, (path - low) * to_work, settings.size * OVERSAMPLING), np.float32)
        for path in paths
    ]


def _video_window(
    rng: np.random.Generator, source: Source, settings: BuildSettings
) -> NDArray[np.uint8]:
    """Cut T consecutive frames from a real video, scaled down by a random factor."""
    video = _video(source.path)
    if len(video) < settings.slots or min(video.shape[1:]) < settings.size:
        raise SourceError(f"{source.path} is too short or too small for a window")
    height, width = video.shape[1:]
    coarsest = min(height, width) / settings.size
    for _ in range(8):  # a still part of a static shot teaches nothing new: look again
        scale = float(np.exp(rng.uniform(np.log(min(1.3, coarsest)), np.log(coarsest))))
        start = int(rng.integers(len(video) - settings.slots + 1))
        span = settings.size * scale
        left, top = rng.uniform(0, 1, 2) * (width - span, height - span)
        box = (left, top, left + span, top + span)
        frames = np.stack(
            [
                np.asarray(
                    Image.fromarray(frame).resize(
                        (settings.size, settings.size), Image.Resampling.BICUBIC, box
                    )
                )
                for frame in video[start : start + settings.slots]
            ]
        )
        if np.abs(np.diff(frames.astype(np.int16), axis=0)).mean() > 1.0:
            break
    return frames


# ---------------------------------------------------------------- foregrounds


def _sprite(
    rng: np.random.Generator, cutouts: Sequence[Source], photographs: Sequence[Source]
) -> Image.Image:
    """Return something to move in front: gray and alpha ("LA"), premultiplied."""
    if cutouts and rng.random() < 0.6:
        sprite = _cutout(cutouts[int(rng.integers(len(cutouts)))].path)
    else:
        picture = _photograph(photographs[int(rng.integers(len(photographs)))].path)
        side = int(min(rng.uniform(150, 900), min(picture.size)))
        left, top = (int(rng.uniform(0, 1) * (extent - side)) for extent in picture.size)
        alpha = Image.new("L", (side, side), 0)
        shape = ImageDraw.Draw(alpha)
        spokes = int(rng.integers(3, 12))
        angles = np.sort(rng.uniform(0, 2 * np.pi, spokes))
        radii = rng.uniform(0.3, 0.5, spokes) * side
        if rng.random() < 0.5:
            shape.ellipse((0, side * rng.uniform(0, 0.3), side - 1, side - 1), fill=255)
        else:
            outline = side / 2 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
            shape.polygon([(float(x), float(y)) for x, y in outline], fill=255)
        sprite = Image.merge("LA", (picture.crop((left, top, left + side, top + side)), alpha))
    gray, opacity = (np.asarray(band, np.float32) for band in sprite.split())
    lit = Image.fromarray((gray * opacity / 255).astype(np.uint8))
    return Image.merge("LA", (lit, sprite.getchannel("A")))


def _move_in_front(
    rng: np.random.Generator,
    frames: list[NDArray[np.float32]],
    sprite: Image.Image,
    settings: BuildSettings,
) -> None:
    """Composite `sprite`, on a path of its own, over every frame in place."""
    side = settings.size * OVERSAMPLING
    extent = float(np.exp(rng.uniform(np.log(0.12), np.log(0.8)))) * side
    shrink = extent / max(sprite.size)
    small = (max(2, round(sprite.width * shrink)), max(2, round(sprite.height * shrink)))
    sprite = sprite.resize(small, Image.Resampling.BICUBIC, reducing_gap=3.0)
    motion = Motion.draw(rng, len(frames), fastest_px=7.0)
    place = rng.uniform(0.15, 0.85, 2) * side
    for slot, frame in enumerate(frames):
        angle, zoom = motion.angle[slot], motion.zoom[slot]
        cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
        x, y = place + motion.shift[slot] * OVERSAMPLING
        # Pillow wants the map from the frame to the sprite.
        matrix = (
            cosine, sine, sprite.width / 2 - cosine * x - sine * y,
            -sine, cosine, sprite.height / 2 + sine * x - cosine * y,
        )  # fmt: skip
        drawn = sprite.transform(
            (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
        )
        lit, alpha = (np.asarray(band, np.float32) for band in drawn.split())
        frame *= 1 - alpha / 255
        frame += lit


def _exposed(rng: np.random.Generator, frames: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Vary tone, contrast and brightness of a window: (T, side, side) in [0, 255]."""
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


@lru_cache(maxsize=96)
def _photograph(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return _gray(image.convert("RGB"))


@lru_cache(maxsize=1024)
def _cutout(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.thumbnail((512, 512))
        colour = image.convert("RGBA")
    return Image.merge("LA", (_gray(colour.convert("RGB")), colour.getchannel("A")))


def _gray(image: Image.Image) -> Image.Image:
    return image.convert("L", (*LUMA_WEIGHTS.tolist(), 0.0))


@lru_cache(maxsize=16)
def _video(path: Path) -> NDArray[np.uint8]:
    """Decode up to MAX_VIDEO_FRAMES frames: (F, H, W) uint8; an ``.npy`` holds them decoded."""
    if path.suffix == ".npy":
        decoded: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        return decoded
    packed = path.suffix == ".gz"
    stream = io.BytesIO(gzip.decompress(path.read_bytes())) if packed else str(path)
    frames = []
    try:
        with av.open(stream, "r") as container:
            for frame in container.decode(video=0):
                frames.append(np.asarray(_gray(frame.to_image())))  # type: ignore[no-untyped-call]
                if len(frames) == MAX_VIDEO_FRAMES:
                    break
    except av.FFmpegError as error:
        raise SourceError(f"{path} cannot be decoded: {error}") from None
    if not frames:
        raise SourceError(f"{path} holds no video frames")
    return np.stack(frames)
