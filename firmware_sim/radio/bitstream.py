"""The file of a compressed capture: one packet per window, each with a checksum.

``docs/file-formats.md`` ("Compressed windows") has the layout. A packet whose checksum does not
match is refused before anything in it is believed, and so is a file that lacks packets.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from focalloop.firmware_sim.radio.errors import RadioError

MAGIC = b"FLR"
VERSION = 1

HASH_BYTES = 4
"""The first bytes of a hash that a packet holds."""

MAX_PIXELS = 1 << 24
"""Largest array, as decoding takes a hundred bytes per pixel."""

MAX_PACKETS = 1 << 20
"""Most windows in a file."""

MAX_FILE_BYTES = 1 << 30
"""Largest file that is read."""

_HEADER = struct.Struct("<3sBBHH4s4sII")
_CHECKSUM = struct.Struct("<I")

OVERHEAD_BYTES = _HEADER.size + _CHECKSUM.size
"""What a packet takes beside its coded latents."""


class BitstreamError(RadioError):
    """A compressed window that is damaged, or of another map, model or version."""


@dataclass(frozen=True)
class CodedWindow:
    """One window as it is sent: coded latents, and what decoding them needs.

    Attributes
    ----------
    height, width : int
        Of the array, pixels.
    quality : int
        Setting of the codec, 0 to 255.
    data : bytes
        Z, then Y, as `focalloop.firmware_sim.radio.latents` codes them.
    """

    height: int
    width: int
    quality: int
    data: bytes

    @property
    def bits(self) -> int:
        """Bits of the coded latents."""
        return 8 * len(self.data)


@dataclass(frozen=True)
class Source:
    """What packets were made with: beginnings of the hashes of a ratio map and of a codec."""

    map_hash: bytes
    model_hash: bytes

    def __post_init__(self) -> None:
        for name in ("map_hash", "model_hash"):
            beginning = getattr(self, name)[:HASH_BYTES]
            if len(beginning) < HASH_BYTES:
                raise BitstreamError(f"{name} needs {HASH_BYTES} bytes, not {len(beginning)}")
            object.__setattr__(self, name, beginning)


def write(windows: Sequence[CodedWindow], source: Source) -> bytes:
    """Return the packets of windows, in order.

    Raises
    ------
    BitstreamError
        If a window is larger than the format allows, or there are none or too many.
    """
    if not 1 <= len(windows) <= MAX_PACKETS:
        raise BitstreamError(
            f"a file holds 1 to {MAX_PACKETS} compressed windows, not {len(windows)}"
        )
    packets = []
    for following, window in zip(reversed(range(len(windows))), windows, strict=True):
        _check_size(window.height, window.width)
        head = _HEADER.pack(
            MAGIC,
            VERSION,
            window.quality,
            window.height,
            window.width,
            source.map_hash,
            source.model_hash,
            following,
            len(window.data),
        )
        packet = head + window.data
        packets += [packet, _CHECKSUM.pack(zlib.crc32(packet))]
    return b"".join(packets)


def read(data: bytes) -> tuple[list[CodedWindow], Source]:
    """Return the windows that `write` packed, and what they were made with.

    Raises
    ------
    BitstreamError
        If the data is damaged, incomplete or of another version, or its windows do not have one
        source and size.
    """
    windows: list[CodedWindow] = []
    sources: set[Source] = set()
    start, expected = 0, None
    while start < len(data):
        name = f"compressed window {len(windows)}"
        window, source, following, start = _packet(data, start, name)
        if expected is not None and following != expected:
            raise BitstreamError(f"{name} does not follow the one before it: fetch the file again")
        if following >= MAX_PACKETS:
            raise BitstreamError(f"{name} announces {following} more, above {MAX_PACKETS}")
        expected = following - 1
        windows.append(window)
        sources.add(source)
    if expected != -1:
        missing = "all windows" if expected is None else f"{expected + 1} windows at its end"
        raise BitstreamError(f"the file lacks {missing}: fetch it again")
    if len(sources) > 1 or len({(window.height, window.width) for window in windows}) > 1:
        raise BitstreamError("the windows of one file must have one map, codec and size")
    return windows, sources.pop()


def read_file(path: Path) -> tuple[list[CodedWindow], Source]:
    """Read a file of packets; see `read`.

    Raises
    ------
    BitstreamError
        If the file cannot be read, is too large, or `read` refuses what is in it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BitstreamError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise BitstreamError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return read(data)
    except BitstreamError as error:
        raise BitstreamError(f"{path}: {error}") from None


def _packet(data: bytes, start: int, name: str) -> tuple[CodedWindow, Source, int, int]:
    """Read the packet at `start`; return its window, source, windows to follow, and its end."""
    if data[start : start + len(MAGIC)] != MAGIC[: len(data) - start]:
        raise BitstreamError(f"{name} does not begin with {MAGIC.decode()}: it is not one")
    if len(data) - start < OVERHEAD_BYTES:
        raise BitstreamError(f"{name} is cut off after {len(data) - start} bytes: fetch it again")
    fields = _HEADER.unpack_from(data, start)
    _, version, quality, height, width, map_hash, model_hash, following, size = fields
    if version != VERSION:
        raise BitstreamError(
            f"{name} is of version {version}; this focalloop reads version {VERSION}"
        )
    end = start + _HEADER.size + size
    if end + _CHECKSUM.size > len(data):
        raise BitstreamError(f"{name} is cut off, or damaged where it says its size")
    (checksum,) = _CHECKSUM.unpack_from(data, end)
    if zlib.crc32(memoryview(data)[start:end]) != checksum:
        raise BitstreamError(f"{name} is damaged: its checksum does not match, so fetch it again")
    _check_size(height, width)
    window = CodedWindow(height, width, quality, data[start + _HEADER.size : end])
    return window, Source(map_hash, model_hash), following, end + _CHECKSUM.size


def check_source(found: Source, expected: Source, codec: str) -> None:
    """Check that windows are of a map and a codec.

    Parameters
    ----------
    found, expected : Source
        What the windows were made with, and what they are decoded with.
    codec : str
        Name of the codec at hand.

    Raises
    ------
    BitstreamError
        If they differ.
    """
    if found.map_hash != expected.map_hash:
        raise BitstreamError(
            f"these windows were taken under the map {found.map_hash.hex()}…, and {codec} is for "
            f"{expected.map_hash.hex()}…: decode them with the codec they were made with"
        )
    if found.model_hash != expected.model_hash:
        raise BitstreamError(
            f"these windows were compressed with the codec {found.model_hash.hex()}…, and {codec} "
            f"is {expected.model_hash.hex()}…: decode them with the codec they were made with"
        )


def _check_size(height: int, width: int) -> None:
    if not (1 <= height < 1 << 16 and 1 <= width < 1 << 16 and height * width <= MAX_PIXELS):
        raise BitstreamError(
            f"a compressed window of {height}x{width} pixels is not of a size between 1x1 and "
            f"{MAX_PIXELS} pixels"
        )
