"""The header of a window on the air: `HEADER_BYTES` bytes that say what the rest is.

| bytes | field | |
|---|---|---|
| 1 | version | of everything on the air, `VERSION`; plus 128 if the payload is mixed |
| 4 | model | first bytes of the hash of the networks, or the method's name |
| 4 | ratio map | first bytes of its hash |
| 2 | number | of the window, modulo 65536 |
| 3 | shape | locations: h + 4096 w |
| 2 | scale | size of the values, IEEE half precision (`transmission`) |
| 2 | offset | mean of the first reals of all locations, IEEE half precision |
| 2 | rate map | bytes of the coded map; 0xFF00 + level: all locations have that level |

All numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from focalloop.firmware_sim.radio.errors import RadioError

VERSION = 1
"""Raised whenever a bit on the air changes its meaning."""

MAX_SIDE = 4095
"""Most locations in a row or column."""

MAX_SCALE = 65504.0
"""Largest number of half precision."""

MAX_RATE_MAP_BYTES = 0xFEFF

_UNIFORM = 0xFF00
_MIXED = 0x80

_FIELDS = struct.Struct("<B4s4sH3seeH")

HEADER_BYTES = _FIELDS.size


@dataclass(frozen=True)
class Header:
    """What a header says.

    Attributes
    ----------
    model, ratio_map : bytes
        4 bytes of each hash.
    number : int
        Of the window, 0 to 65535.
    shape : (int, int)
        Locations, 1 to 4095 each.
    scale : float
        RMS of the payload's reals, less the offset and over the gain of clipping, 0 to `MAX_SCALE`.
    rate_map_bytes : int
        Size of the coded rate map, 0 if there is none.
    level : int
        Without a rate map, the level of all locations.
    offset : float
        Mean of the first reals of all locations, within `MAX_SCALE`.
    mixed : bool
        Whether the payload is mixed (`focalloop.firmware_sim.radio.mixing`).

    Raises
    ------
    RadioError
        A field is too large for its bytes.
    """

    model: bytes
    ratio_map: bytes
    number: int
    shape: tuple[int, int]
    scale: float
    rate_map_bytes: int = 0
    level: int = 0
    offset: float = 0.0
    mixed: bool = False

    def __post_init__(self) -> None:
        for name, value in (("model", self.model), ("ratio map", self.ratio_map)):
            if len(value) != 4:
                raise RadioError(f"a header has 4 bytes of the hash of the {name}, not {value!r}")
        if not (min(self.shape) >= 1 and max(self.shape) <= MAX_SIDE):
            raise RadioError(
                f"a window has 1 to {MAX_SIDE} locations in a row and column, "
                f"not {self.shape[0]}x{self.shape[1]}"
            )
        if not abs(self.offset) <= MAX_SCALE:
            raise RadioError(
                f"the mean of the first values of a window is within {MAX_SCALE:g}, "
                f"not {self.offset:g}"
            )
        if not 0 <= self.scale <= MAX_SCALE:
            raise RadioError(
                f"the RMS of the values of a window is 0 to {MAX_SCALE:g}, not {self.scale:g}"
            )
        if not 0 <= self.rate_map_bytes <= MAX_RATE_MAP_BYTES:
            raise RadioError(
                f"a coded rate map has at most {MAX_RATE_MAP_BYTES} bytes, "
                f"not {self.rate_map_bytes}: send the window in parts"
            )

    def packed(self) -> bytes:
        """Return the bytes on the air."""
        height, width = self.shape
        return _FIELDS.pack(
            VERSION + _MIXED * self.mixed,
            self.model,
            self.ratio_map,
            self.number,
            (height | width << 12).to_bytes(3, "little"),
            self.scale,
            self.offset,
            self.rate_map_bytes or _UNIFORM + self.level,
        )

    @classmethod
    def unpacked(cls, data: bytes) -> Header:
        """Read `HEADER_BYTES` bytes, or raise `RadioError` if they are of another version."""
        version, model, ratio_map, number, sides, scale, offset, size = _FIELDS.unpack(data)
        mixed, version = bool(version & _MIXED), version & ~_MIXED
        if version != VERSION:
            raise RadioError(f"a window of version {version} arrived, but {VERSION} is known here")
        side = int.from_bytes(sides, "little")
        uniform = size >= _UNIFORM
        return cls(
            *(model, ratio_map, number, (side & 0xFFF, side >> 12), scale),
            rate_map_bytes=0 if uniform else size,
            level=size - _UNIFORM if uniform else 0,
            offset=offset,
            mixed=mixed,
        )
