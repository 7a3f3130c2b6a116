"""Pictures: arrays as PNG files for notebooks, and what can go wrong where files are decoded."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.errors import FocalloopError

MIN_SIDE = 256
"""Pixels that the longer side of a picture has at least: smaller arrays are enlarged."""

MAX_SIDE = 1024
"""Pixels that a side of a picture has at most: larger arrays are thinned out."""

_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    SyntaxError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What the readers of Pillow have been seen to raise on damaged files."""


class PictureError(FocalloopError, ValueError):
    """An image file that cannot be decoded; the text says why, without its name."""


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever Pillow raises on a damaged or hostile file into a `PictureError`."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except FocalloopError:
        raise
    except UnidentifiedImageError:
        raise PictureError("unknown format") from None
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(reason) from None


def png(frames: NDArray[np.uint8], frames_per_s: float = 8.0) -> bytes:
    """Encode a picture, or several that play one after the other without end (APNG).

    Parameters
    ----------
    frames : ndarray of uint8, shape (H, W), (H, W, 3) or (N, H, W)
        Gray, RGB, or N gray frames to play; scaled by a whole factor to `MIN_SIDE` or more, and
        `MAX_SIDE` or less.
    frames_per_s : float
        Speed at which several play.
    """
    from PIL import Image

    moving = frames.ndim == 3 and frames.shape[-1] != 3
    batch = frames if moving else frames[np.newaxis]
    side = max(batch.shape[1:3])
    step, factor = -(-side // MAX_SIDE), -(-MIN_SIDE // side)
    scaled = batch[:, ::step, ::step].repeat(factor, axis=1).repeat(factor, axis=2)
    first, *others = (Image.fromarray(np.ascontiguousarray(frame)) for frame in scaled)
    playing: dict[str, Any] = {}
    if others:
        duration_ms = round(1000 / frames_per_s)
        playing = {"save_all": True, "append_images": others, "duration": duration_ms, "loop": 0}
    file = io.BytesIO()
    first.save(file, "PNG", **playing)
    return file.getvalue()


def gray(light: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Clip light to [0, 1] and round it to 8 bits, 255 being white."""
    rounded: NDArray[np.uint8] = np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)
    return rounded
