"""The wire protocol between host and board: its constants, and the layout of every message.

``docs/wire-protocol.md`` is the specification; this package is its Python form, used by the host
and by the virtual board alike. Integers are little-endian, texts UTF-8. `constants` has the numbers
and enumerations, `framing` the frames around the messages, `control`, `uploads` and `windows` the
messages themselves, and `layout` what their classes share. Requests and answers:

===================== ============================== =========================
type                  request body                   answer body
===================== ============================== =========================
HELLO                 `HelloRequest`                 `HelloAnswer`
STATUS                empty                          `StatusAnswer`
CONFIGURE             `ConfigureRequest`             `HelloAnswer`
UPLOAD_BEGIN          `UploadBeginRequest`           `UploadBeginAnswer`
UPLOAD_CHUNK          `UploadChunkRequest`           `UploadChunkAnswer`
UPLOAD_COMMIT         `UploadCommitRequest`          `UploadCommitAnswer`
ARM, RESET            empty                          empty
GRID                  `GridRequest`                  `WindowNumber`
CAPTURE               `CaptureRequest`               `WindowNumber`
STREAM_START          `StreamStartRequest`           `WindowNumber`
STREAM_CREDIT         `StreamCreditRequest`          empty
STREAM_STOP           empty                          `WindowNumber`
RESEND                `ResendRequest`                empty
DARK_CAPTURE          `DarkCaptureRequest`           `WindowNumber`
CALIBRATION_CAPTURE   `CalibrationCaptureRequest`    `WindowNumber`
TIME_SYNC             `TimeSyncRequest`              `TimeSyncAnswer`
SCENE                 `SceneRequest`                 `SceneAnswer`
===================== ============================== =========================

A board sends unrequested: LOG (`Log`), WINDOW (`WindowDescriptor`), READOUT and
SCENE_DATA (`Fragment`). Any request may be answered by an `ErrorAnswer` instead.

Every body has ``pack() -> bytes`` and ``unpack(bytes)``; both raise `WireError` for a value
or length that the layout cannot hold.
"""

from __future__ import annotations

from focalloop.firmware_sim.wire.constants import (
    ANSWER_CACHE,
    BITMAP_CHUNKS,
    DEAD_AFTER_S,
    HASH_BYTES,
    HELD_WINDOWS,
    MAP_HASH_PREFIX_BYTES,
    MAX_GRID_AHEAD,
    MAX_IN_FLIGHT,
    MAX_PENDING_GRIDS,
    NO_HASH,
    STATUS_INTERVAL_S,
    BoardState,
    ErrorCode,
    Feature,
    LogLevel,
    MessageType,
    UploadKind,
    WindowKind,
)
from focalloop.firmware_sim.wire.control import (
    ConfigureRequest,
    ErrorAnswer,
    HelloAnswer,
    HelloRequest,
    Log,
    StatusAnswer,
    TimeSyncAnswer,
    TimeSyncRequest,
)
from focalloop.firmware_sim.wire.framing import (
    DEFAULT_MAX_PAYLOAD,
    FLAG_ERROR,
    FLAG_RESPONSE,
    FRAME_OVERHEAD,
    LARGE_MAX_PAYLOAD,
    MIN_MAX_PAYLOAD,
    PROTOCOL_VERSION,
    Frame,
    FrameDecoder,
    WireError,
    decode_frame,
    encoded_limit,
)
from focalloop.firmware_sim.wire.uploads import (
    UPLOAD_CHUNK_OVERHEAD,
    UploadBeginAnswer,
    UploadBeginRequest,
    UploadChunkAnswer,
    UploadChunkRequest,
    UploadCommitAnswer,
    UploadCommitRequest,
)
from focalloop.firmware_sim.wire.windows import (
    FRAGMENT_OVERHEAD,
    GRID_OVERHEAD,
    CalibrationCaptureRequest,
    CaptureRequest,
    DarkCaptureRequest,
    Fragment,
    GridRequest,
    ResendRequest,
    SceneAnswer,
    SceneRequest,
    StreamCreditRequest,
    StreamStartRequest,
    WindowDescriptor,
    WindowNumber,
    window_wire_bytes,
)

__all__ = [
    "ANSWER_CACHE",
    "BITMAP_CHUNKS",
    "DEAD_AFTER_S",
    "DEFAULT_MAX_PAYLOAD",
    "FLAG_ERROR",
    "FLAG_RESPONSE",
    "FRAGMENT_OVERHEAD",
    "FRAME_OVERHEAD",
    "GRID_OVERHEAD",
    "HASH_BYTES",
    "HELD_WINDOWS",
    "LARGE_MAX_PAYLOAD",
    "MAP_HASH_PREFIX_BYTES",
    "MAX_GRID_AHEAD",
    "MAX_IN_FLIGHT",
    "MAX_PENDING_GRIDS",
    "MIN_MAX_PAYLOAD",
    "NO_HASH",
    "PROTOCOL_VERSION",
    "STATUS_INTERVAL_S",
    "UPLOAD_CHUNK_OVERHEAD",
    "BoardState",
    "CalibrationCaptureRequest",
    "CaptureRequest",
    "ConfigureRequest",
    "DarkCaptureRequest",
    "ErrorAnswer",
    "ErrorCode",
    "Feature",
    "Fragment",
    "Frame",
    "FrameDecoder",
    "GridRequest",
    "HelloAnswer",
    "HelloRequest",
    "Log",
    "LogLevel",
    "MessageType",
    "ResendRequest",
    "SceneAnswer",
    "SceneRequest",
    "StatusAnswer",
    "StreamCreditRequest",
    "StreamStartRequest",
    "TimeSyncAnswer",
    "TimeSyncRequest",
    "UploadBeginAnswer",
    "UploadBeginRequest",
    "UploadChunkAnswer",
    "UploadChunkRequest",
    "UploadCommitAnswer",
    "UploadCommitRequest",
    "UploadKind",
    "WindowDescriptor",
    "WindowKind",
    "WindowNumber",
    "WireError",
    "decode_frame",
    "encoded_limit",
    "window_wire_bytes",
]
