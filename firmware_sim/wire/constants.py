"""Numbers and enumerations on which both ends of the wire must agree."""

from __future__ import annotations

from enum import IntEnum, IntFlag

MAX_IN_FLIGHT = 8
"""Requests that a host may have unanswered; HELLO states the board's own figure."""

ANSWER_CACHE = 16
"""Answers that a board keeps, to answer a repeated request without executing it twice."""

HELD_WINDOWS = 8
"""Latest windows that a board keeps for RESEND and SCENE; HELLO states the board's own figure."""

STATUS_INTERVAL_S = 0.25
"""Interval at which an idle host requests STATUS."""

DEAD_AFTER_S = 1.0
"""Silence after which a host considers a board dead."""

BITMAP_CHUNKS = 32
"""Chunks that the bitmap of an upload answer covers."""

HASH_BYTES = 32
"""Length of a SHA-256."""

NO_HASH = bytes(HASH_BYTES)
"""The map hash of a board that has no map."""

MAP_HASH_PREFIX_BYTES = 8
"""Leading bytes of the map hash that travel with every window."""

MAX_PENDING_GRIDS = 4
"""Grids that a board keeps for windows to come."""

MAX_GRID_AHEAD = 256
"""Windows beyond the next one to be begun for which a grid may be set."""


class MessageType(IntEnum):
    """Frame types."""

    HELLO = 0x01
    STATUS = 0x02
    LOG = 0x03
    CONFIGURE = 0x08
    UPLOAD_BEGIN = 0x10
    UPLOAD_CHUNK = 0x11
    UPLOAD_COMMIT = 0x12
    ARM = 0x18
    GRID = 0x19
    CAPTURE = 0x20
    STREAM_START = 0x21
    STREAM_CREDIT = 0x22
    STREAM_STOP = 0x23
    READOUT = 0x24
    WINDOW = 0x25
    RESEND = 0x26
    DARK_CAPTURE = 0x30
    CALIBRATION_CAPTURE = 0x31
    TIME_SYNC = 0x38
    RESET = 0x39
    SCENE = 0x3A
    SCENE_DATA = 0x3B


class ErrorCode(IntEnum):
    """Why a request was refused."""

    VERSION_MISMATCH = 1
    UNKNOWN_TYPE = 2
    BAD_BODY = 3
    UNSUPPORTED = 4
    BUSY = 5
    NO_MAP = 6
    UPLOAD_NOT_BEGUN = 7
    TOO_LARGE = 8
    HASH_MISMATCH = 9
    BAD_MAP = 10
    WINDOW_GONE = 11
    BAD_ARGUMENT = 12
    INTERNAL = 13
    UPLOAD_INCOMPLETE = 14


class Feature(IntFlag):
    """What a board can do beyond the common commands (HELLO)."""

    EMULATOR = 1
    """Not a real sensor: CONFIGURE works, and users must be shown that it is simulated."""
    SCENE = 2
    """The scene behind a held window can be requested (SCENE)."""
    APERTURE = 4
    """A coded aperture can be uploaded (kind MASK)."""
    CALIBRATION = 8
    """DARK_CAPTURE and CALIBRATION_CAPTURE work."""
    ADAPTIVE = 16
    """Adaptive maps: a palette can be uploaded (kind PALETTE), and GRID works."""
    REPLAY = 32
    """Its windows were recorded earlier, of the board whose name and serial number it states."""


class BoardState(IntEnum):
    """What a board is doing (STATUS)."""

    IDLE = 0
    ARMED = 1
    CAPTURING = 2
    STREAMING = 3


class WindowKind(IntEnum):
    """What a window was exposed to."""

    SCENE = 0
    DARK = 1
    FLAT = 2


class UploadKind(IntFlag):
    """Objects that can be uploaded; a commit adds those that belong together."""

    MAP = 1
    MASK = 2
    PALETTE = 4


class LogLevel(IntEnum):
    """Severity of a LOG frame."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3
