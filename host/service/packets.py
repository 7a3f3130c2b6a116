"""The binary messages of the preview socket; ``docs/preview.md`` describes them.

A message is a header of 24 bytes and raw planes or samples, which a page can show without decoding.
Viewers behind a slow network ask for planes as JPEG instead.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from focalloop.host.live.state import Picture

PICTURE, READOUT, JPEG_PICTURE = 1, 2, 3
VERSION = 1
HAS_TRUTH, HAS_GRID, HAS_BESIDE = 1, 2, 4

HEADER = struct.Struct("<BBBBBBHHHI8s")
"""Kind, version, first slot, step, slot count (bytes per sample in a readout), flags, height,
width, setup, window, first 8 bytes of the map's hash; little-endian."""

JPEG_QUALITY = 97
"""Even the grain of the initial reconstruction keeps 45 dB (`benchmarks.service`)."""

MAX_JPEG_SIDE = 16_384
"""Longest side of a canvas in every browser; a page decodes JPEG onto one."""


def pack_picture(picture: Picture, step: int, *, jpeg: bool = False, beside: bool = False) -> bytes:
    """Pack every `step`-th slot of a picture: truth if known, initial and final planes, uint8.

    Those by the second bundle follow with its setup, where they are wanted and there; then the
    grid, where the window was read under one.

    Parameters
    ----------
    picture : Picture
        The picture.
    step : int
        A multiple of the picture's own step.
    jpeg : bool, optional
        Whether to pack the planes of each kind as one grey JPEG, one below the other, after its
        length as a 32-bit number; planes that are too many for one image stay raw.
    beside : bool, optional
        Whether to pack the planes by the second bundle too.
    """
    every = step // picture.slots.step
    slots = picture.slots[::every]
    stacks = [picture.initial[::every], picture.final[::every]]
    flags = 0
    if picture.truth is not None:
        stacks.insert(0, picture.truth[::every])
        flags = HAS_TRUTH
    rest = b""
    if beside and picture.beside is not None:
        stacks.append(picture.beside[::every])
        flags |= HAS_BESIDE
        rest = struct.pack("<H", picture.beside_setup)
    if picture.grid is not None:
        flags |= HAS_GRID
        rest += picture.grid.tobytes()
    height, width = picture.final.shape[1:]
    jpeg = jpeg and len(slots) * height <= MAX_JPEG_SIDE and width <= MAX_JPEG_SIDE
    header = HEADER.pack(
        JPEG_PICTURE if jpeg else PICTURE,
        VERSION,
        slots.start,
        step,
        len(slots),
        flags,
        height,
        width,
        picture.setup,
        picture.window,
        picture.map_hash[:8],
    )
    if jpeg:
        return b"".join([header, *(_as_jpeg(stack) for stack in stacks), rest])
    return b"".join([header, *(np.ascontiguousarray(stack).data for stack in stacks), rest])


def _as_jpeg(stack: NDArray[np.uint8]) -> bytes:
    """Encode planes (n, H, W), one below the other, after the length of the code."""
    tall = np.ascontiguousarray(stack).reshape(-1, stack.shape[2])
    encoded, code = cv2.imencode(".jpg", tall, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise RuntimeError(f"OpenCV could not encode {tall.shape} pixels as JPEG")
    return struct.pack("<I", len(code)) + code.tobytes()


def pack_readout(picture: Picture) -> bytes:
    """Pack the measurements behind a picture, in DN, in the order of the read plan."""
    samples = np.ascontiguousarray(picture.readout)
    height, width = picture.final.shape[1:]
    header = HEADER.pack(
        READOUT,
        VERSION,
        0,
        0,
        samples.itemsize,
        0,
        height,
        width,
        picture.setup,
        picture.window,
        picture.map_hash[:8],
    )
    little_endian = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    return header + little_endian.tobytes()
