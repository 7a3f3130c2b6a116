"""Messages that request windows, and messages that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self

from focalloop.firmware_sim.wire.constants import MAP_HASH_PREFIX_BYTES, WindowKind
from focalloop.firmware_sim.wire.framing import WireError, encoded_limit
from focalloop.firmware_sim.wire.layout import FixedBody, check_min_length, member, pack

_FRAGMENT = Struct("<II")
FRAGMENT_OVERHEAD = _FRAGMENT.size
"""Bytes of a fragment's body before its data."""

_GRID = Struct("<I")
GRID_OVERHEAD = _GRID.size
"""Bytes of a GRID request's body before its grid."""


@dataclass(frozen=True, slots=True)
class CaptureRequest(FixedBody):
    """Expose and send windows of the scene under the active map.

    Attributes
    ----------
    count : int
        Windows, 1..65535.
    """

    count: int

    LAYOUT: ClassVar[Struct] = Struct("<H")


@dataclass(frozen=True, slots=True)
class StreamStartRequest(FixedBody):
    """Send windows until stopped, as far as the credit goes.

    Attributes
    ----------
    credit : int
        Windows that may be sent before the first STREAM_CREDIT: the stream's limit starts as the
        first window's number plus this.
    """

    credit: int

    LAYOUT: ClassVar[Struct] = Struct("<I")


@dataclass(frozen=True, slots=True)
class StreamCreditRequest(FixedBody):
    """Raise the stream's limit; a limit lower than before changes nothing.

    Attributes
    ----------
    limit : int
        Windows numbered below this may be sent.
    """

    limit: int

    LAYOUT: ClassVar[Struct] = Struct("<I")


@dataclass(frozen=True, slots=True)
class WindowNumber(FixedBody):
    """The first window of a run; the next one after a stop; the next to be begun after a grid.

    Attributes
    ----------
    window : int
        Its number. Numbers start at 0 with every boot and grow by one per window read out.
    """

    window: int

    LAYOUT: ClassVar[Struct] = Struct("<I")


@dataclass(frozen=True, slots=True)
class GridRequest:
    """Compose the maps of windows to come from the palette of the active adaptive map.

    Attributes
    ----------
    window : int
        The grid applies from this window on, until another does.
    grid : bytes
        Index of a tile for each block, row by row; empty for the resting map.
    """

    window: int
    grid: bytes

    def pack(self) -> bytes:
        """Bytes of the body."""
        return pack(self, _GRID, self.window) + self.grid

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes."""
        check_min_length(cls, body, _GRID.size)
        (window,) = _GRID.unpack_from(body)
        return cls(window, body[_GRID.size :])


@dataclass(frozen=True, slots=True)
class ResendRequest(FixedBody):
    """Send part of a held window again.

    Attributes
    ----------
    window : int
        Its number.
    offset : int
        First byte of the readout wanted.
    length : int
        Bytes wanted; 0 asks for the descriptor and the readout from `offset` to its end, which is
        empty if `offset` is at the end or beyond.
    """

    window: int
    offset: int = 0
    length: int = 0

    LAYOUT: ClassVar[Struct] = Struct("<III")


@dataclass(frozen=True, slots=True)
class WindowDescriptor(FixedBody):
    """Announces a window; its readout follows in fragments.

    Attributes
    ----------
    window : int
        Its number.
    total : int
        Bytes of its readout.
    time_us : int
        Board clock at the end of the last slot, in microseconds.
    kind : WindowKind
        What it was exposed to.
    level : int
        Level of every pixel in dark and calibration captures; 0 under an uploaded map.
    map_hash : bytes
        First 8 bytes of the hash of the ratio map it was read under; under a grid, of the grid's.
    skipped : int
        Windows that were exposed and not read out since the board started.
    """

    window: int
    total: int
    time_us: int
    kind: WindowKind
    level: int
    map_hash: bytes
    skipped: int

    LAYOUT: ClassVar[Struct] = Struct("<IIQBB8sI")

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", member(WindowKind, self.kind))
        if len(self.map_hash) != MAP_HASH_PREFIX_BYTES:
            raise WireError(f"a window's map hash has 8 bytes, not {len(self.map_hash)}")


@dataclass(frozen=True, slots=True)
class Fragment:
    """Part of a window's readout (READOUT) or of its scene (SCENE_DATA).

    Attributes
    ----------
    window : int
        Number of the window.
    offset : int
        Where the data starts in the readout or scene, in bytes.
    data : bytes
        One byte or more.
    """

    window: int
    offset: int
    data: bytes

    def pack(self) -> bytes:
        """Bytes of the body."""
        return pack(self, _FRAGMENT, self.window, self.offset) + self.data

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes."""
        check_min_length(cls, body, _FRAGMENT.size + 1)
        window, offset = _FRAGMENT.unpack_from(body)
        return cls(window, offset, body[_FRAGMENT.size :])


@dataclass(frozen=True, slots=True)
class DarkCaptureRequest(FixedBody):
    """Expose windows to no light, with every pixel at one level.

    Attributes
    ----------
    level : int
        Measurements per window, from the board's level set, not 0.
    windows : int
        How many, 1..65535.
    """

    level: int
    windows: int

    LAYOUT: ClassVar[Struct] = Struct("<BH")


@dataclass(frozen=True, slots=True)
class CalibrationCaptureRequest(FixedBody):
    """Expose windows to even light, with every pixel at one level.

    Attributes
    ----------
    level : int
        Measurements per window, from the board's level set, not 0.
    windows : int
        How many, 1..65535.
    light : float
        Radiance in [0, 1]; 1 exposes a pixel to full scale in one window.
    """

    level: int
    windows: int
    light: float

    LAYOUT: ClassVar[Struct] = Struct("<BHf")


@dataclass(frozen=True, slots=True)
class SceneRequest(FixedBody):
    """Ask for some or all slots of the scene behind a held window (feature SCENE).

    Attributes
    ----------
    window : int
        Its number.
    first_slot : int
        First slot wanted.
    step : int
        Slots from one wanted slot to the next, 1 or more.
    """

    window: int
    first_slot: int = 0
    step: int = 1

    LAYOUT: ClassVar[Struct] = Struct("<IBB")


@dataclass(frozen=True, slots=True)
class SceneAnswer(FixedBody):
    """The scene follows in SCENE_DATA fragments.

    Attributes
    ----------
    total : int
        Bytes that follow: ``(wanted slots, H, W)`` planes of one byte per pixel.
    """

    total: int

    LAYOUT: ClassVar[Struct] = Struct("<I")


def window_wire_bytes(readout_bytes: int, max_payload: int) -> int:
    """Bound the bytes of one window on the line: descriptor and fragments, framed and encoded.

    COBS takes at most one byte in 254, and fewer where the data has zeros. Answers to the host's
    requests, at least 14 bytes each, are not included.
    """
    full, rest = divmod(readout_bytes, max_payload - FRAGMENT_OVERHEAD)
    bodies = [WindowDescriptor.LAYOUT.size] + ([rest + FRAGMENT_OVERHEAD] if rest else [])
    zeros = 2  # around each frame
    bound = full * (encoded_limit(max_payload) + zeros)
    return bound + sum(encoded_limit(body) + zeros for body in bodies)
