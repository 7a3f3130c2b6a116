"""Picture files as gray frames: upright, with every bit that they store, also stacks of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import SceneError
from focalloop.firmware_sim.files import media_name
from focalloop.firmware_sim.pictures import PictureError, decoding
from focalloop.firmware_sim.scenes.frame_times import even_interval, evenly, sampling_note
from focalloop.firmware_sim.scenes.grayscale import to_gray, weighed
from focalloop.firmware_sim.scenes.messages import one_line
from focalloop.firmware_sim.scenes.portable_maps import is_portable_map, read_portable_map
from focalloop.firmware_sim.scenes.value_range import Stored, WhiteScale

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_STACKS = frozenset({".tif", ".tiff", ".webp", ".png", ".avif"})
"""Formats of several pages. Those of a JPEG are previews, and a GIF is a video."""

_STATED_8_BIT = frozenset({"JPEG", "MPO", "WEBP", "GIF", "AVIF", "JPEG2000"})
"""Formats whose bytes are always 0..255, never a mask of 0 and 1."""

_MAX_DEFLATE = 1032
"""Times that deflate shrinks data at best, and the other compressions of TIFF in practice."""

_TICK_S = 0.001
"""Resolution of the durations of moving pictures."""

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT, _SUBFILE = 258, 262, 339, 254

_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda picture: np.rot90(picture, 2),
    4: np.flipud,
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: np.rot90(picture, -1),
    7: lambda picture: np.rot90(picture, 2).swapaxes(0, 1),
    8: lambda picture: np.rot90(picture, 1),
}
"""The transposition that turns a picture upright, by Exif orientation."""


class GrayPictures:
    """Reads the pictures of one sequence as ``(H, W) uint8``, all by the same white.

    Parameters
    ----------
    paths : sequence of Path
        Every picture of the sequence.
    white : float or None, optional
        The value of white, where the pictures leave it open or state a wrong one.
    """

    def __init__(self, paths: Sequence[Path], white: float | None = None) -> None:
        what = str(paths[0] if len(paths) == 1 else paths[0].parent)
        self._scale = WhiteScale(what, lambda: map(stored_picture, paths), white)
        self.notes = self._scale.notes

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Read one picture of the sequence.

        Raises
        ------
        SceneError
            If the file is damaged or not a picture, or leaves open what is white.
        """
        return self._scale(stored_picture(path))


def gray_image(path: Path, white: float | None = None) -> NDArray[np.uint8]:
    """Read a single picture; see `GrayPictures`."""
    return GrayPictures([path], white)(path)


def stored_picture(path: Path) -> Stored:
    """Read the first page of a picture file.

    Raises
    ------
    SceneError
        If the file is damaged or not a picture.
    """
    return next(stored_pages(path))


def is_stack(path: Path) -> bool:
    """Whether a picture file holds several pages, and so is a clip by itself."""
    from PIL import Image

    if path.suffix.lower() not in _STACKS:
        return False
    try:
        with decoding(), Image.open(path) as image:
            pages = _pages(image)
            return next(pages, None) is not None and next(pages, None) is not None
    except PictureError:
        return False


def stored_pages(path: Path) -> Iterator[Stored]:
    """Read the pages of a picture file in order, without its previews.

    Raises
    ------
    SceneError
        If the file is damaged or not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Not by its path: Pillow would map a TIFF that is turned into memory in the wrong shape.
        with decoding(), path.open("rb") as file:
            if is_portable_map(file):
                yield read_portable_map(file)
                return
            try:
                image = Image.open(file)
            except UnidentifiedImageError:
                if path.suffix.lower() not in (".tif", ".tiff"):
                    raise
                yield from _wide_tiff(path)  # such as colours in floats
                return
            if _keeps_few_bits(image, path):
                if image.format == "TIFF":
                    yield from _wide_tiff(path)
                else:
                    yield from _wide_png(path, image.getexif().get(_ORIENTATION, 1))
                return
            for page in _pages(image) if path.suffix.lower() in _STACKS else [0]:
                image.seek(page)
                yield _stored(image, path)
    except PictureError as error:
        raise SceneError(
            f"the frame {path} cannot be decoded ({one_line(error)}): "
            "remove it, or replace it by an undamaged one"
        ) from None


def shown_pages(path: Path, note: Callable[[str], None]) -> Iterator[Stored]:
    """Read the pages of a picture file at even times: one that is shown for longer repeats.

    Parameters
    ----------
    note : callable
        Called with what a user should know about the times.

    Raises
    ------
    SceneError
        As `stored_pages`.
    """
    times = _page_times(path)
    interval = even_interval(times, _TICK_S)
    if interval is None:
        yield from stored_pages(path)
    else:
        note(sampling_note(path, interval))
        yield from evenly(zip(times, stored_pages(path), strict=False), interval)


def _page_times(path: Path) -> list[float]:
    """Return when each page of a moving picture is shown, in seconds; nothing for a TIFF."""
    from PIL import Image

    times: list[float] = []
    end = 0.0
    try:
        with decoding(), Image.open(path) as image:
            for page in _pages(image) if image.format != "TIFF" else ():
                image.seek(page)
                image.load()  # a WebP tells no duration before
                times.append(end)
                end += float(image.info.get("duration", 0)) / 1000
    except PictureError:
        return []  # reading the pages tells the damage
    return times


def _pages(image: Picture) -> Iterator[int]:
    """Yield the numbers of the pages that are not previews."""
    first = 1 if getattr(image, "default_image", False) else 0
    for page in range(first, getattr(image, "n_frames", 1)):
        image.seek(page)
        if not page or not _tag(image, _SUBFILE, 0) & 1:
            yield page


def _stored(image: Picture, path: Path) -> Stored:
    """Return the current page as Pillow decodes it."""
    white: float | None = None
    mode = image.mode
    if image.format == "TIFF":
        bits = _tag(image, _BITS_PER_SAMPLE, 8)
        white = float((1 << bits) - 1) if 8 < bits < 16 else None
    if mode.startswith("I;16") or mode in ("L", "I", "F"):
        values = np.asarray(image)
        if mode == "L" and image.format in _STATED_8_BIT:
            white = 255.0
    else:
        white = 255.0 if mode in ("1", "P") or image.format in _STATED_8_BIT else None
        values = to_gray(np.asarray(image.convert("RGB")))
    if image.format == "TIFF":
        values = _numbers_of_tiff(image, values)
    # Pillow has turned a TIFF already, and removed the tag.
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    values = turn(values) if turn else values
    if image.format == "PNG" and values.dtype == np.uint16:
        return _by_significant_bits(path, values)
    return Stored(values, white)


def _numbers_of_tiff(image: Picture, values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers with the sign that they have, and black at 0, which Pillow leaves out."""
    signed = _tag(image, _SAMPLE_FORMAT, 1) == 2
    if image.mode == "I" and not signed:
        values = values.view(np.uint32)
    elif image.mode == "L" and signed:
        values = values.view(np.int8)
    if _tag(image, _PHOTOMETRIC, 1) == 0 and image.mode not in ("1", "L"):
        if values.dtype.kind != "u":
            raise PictureError("it states that 0 is white: save it with 0 as black")
        values = (1 << _tag(image, _BITS_PER_SAMPLE, 16)) - 1 - values
    return values


def _keeps_few_bits(image: Picture, path: Path) -> bool:
    """Whether Pillow would drop the low byte of colours of 16 bits."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(26)[24:] in (b"\x10\x02", b"\x10\x04", b"\x10\x06")
    return image.format == "TIFF" and len(image.getbands()) > 1 and _tag(image, 258, 8) > 8


def _wide_png(path: Path, orientation: int) -> Iterator[Stored]:
    """Read a PNG of colours with 16 bits by FFmpeg."""
    import av

    turn = _UPRIGHT.get(orientation)
    try:
        with av.open(media_name(path), "r") as container:
            for frame in container.decode(video=0):
                gray = frame.format.name.startswith(("gray", "ya"))
                wide = frame.reformat(format="gray16le" if gray else "rgb48le").to_ndarray()
                values: NDArray[Any] = wide if gray else weighed(wide)
                yield _by_significant_bits(path, turn(values) if turn else values)
    except (av.error.FFmpegError, IndexError) as error:
        raise PictureError(one_line(error)) from None


def _wide_tiff(path: Path) -> Iterator[Stored]:
    """Read a TIFF by OpenCV, which keeps every type of number and turns it upright."""
    import cv2
    from cv2.utils import logging

    _check_tiff(path)
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        known, pages = cv2.imdecodemulti(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        known, pages = False, ()
    finally:
        logging.setLogLevel(level)
    if not known or not pages:
        raise PictureError("unknown format, or damaged")
    for page in pages:
        values: NDArray[Any] = np.asarray(page)
        if values.ndim == 3:
            values = weighed(values[..., 2::-1]) if values.shape[2] > 2 else values[..., 0]
        yield Stored(values)


def _check_tiff(path: Path) -> None:
    """Refuse what OpenCV gets wrong: negatives, and pages that the file is too short for.

    It would make room for the latter first.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with path.open("rb") as file:
        directory = ImageFileDirectory_v2(file.read(8))
        seen: set[int] = set()
        while directory.next and directory.next not in seen:
            seen.add(directory.next)
            file.seek(directory.next)
            directory.load(file)
            pixels = int(directory.get(256, 0)) * int(directory.get(257, 0))
            samples = int(directory.get(277, 1))
            bits = max(directory.get(_BITS_PER_SAMPLE, (1,)))
            if directory.get(_PHOTOMETRIC, 1) == 0:  # OpenCV would show a negative
                raise PictureError("it states that 0 is white: save it with 0 as black")
            ratio = 1 if directory.get(259, 1) == 1 else _MAX_DEFLATE
            if not 0 < pixels * samples * bits // 8 <= ratio * path.stat().st_size:
                raise PictureError("it is smaller than the picture that it states")


def _by_significant_bits(path: Path, values: NDArray[Any]) -> Stored:
    """Return the numbers of a PNG of 16 bits, with the white of its significant bits (sBIT) if any.

    By the standard such values are scaled up to 16 bits; many programs store them as they are.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(b"sBIT")
    bits = head[at + 4] if 0 <= at < len(head) - 4 else 0
    if not 8 < bits <= 16:
        return Stored(values)
    return Stored(values, float((1 << bits) - 1), scaled_white=65535.0)


def _tag(image: Picture, number: int, default: int) -> int:
    value = getattr(image, "tag_v2", {}).get(number, default)
    if isinstance(value, tuple):
        value = max(value, default=default)
    return int(value)
