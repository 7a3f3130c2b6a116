"""The binary messages of the preview socket; ``docs/preview.md`` describes them.

A message is a header of 24 bytes and raw planes or samples, which a page can show without decoding.
"""

from __future__ import annotations

import struct

import numpy as np

from focalloop.host.live.state import Picture

PICTURE, READOUT = 1, 2
VERSION = 1
HAS_TRUTH, HAS_GRID = 1, 2

HEADER = struct.Struct("<BBBBBBHHHI8s")
"""Kind, version, first slot, step, slot count (bytes per sample in a readout), flags, height,
width, setup, window, first 8 bytes of the map's hash; little-endian."""


def pack_picture(picture: Picture, step: int) -> bytes:
    """Pack every `step`-th slot of a picture: truth if known, initial and final planes, uint8.

    The grid follows, where the window was read under one.

    `step` is a multiple of the picture's own step.
    """
    every = step // picture.slots.step
    slots = picture.slots[::every]
    stacks = [picture.initial[::every], picture.final[::every]]
    flags = 0
    if picture.truth is not None:
        stacks.insert(0, picture.truth[::every])
        flags = HAS_TRUTH
    if picture.grid is not None:
        flags |= HAS_GRID
    height, width = picture.final.shape[1:]
    header = HEADER.pack(
        PICTURE,
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
    grid = b"" if picture.grid is None else picture.grid.tobytes()
    return b"".join([header, *(np.ascontiguousarray(stack).data for stack in stacks), grid])


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
