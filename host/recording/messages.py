"""What a recording holds: its channels, their schemas, and messages from and to bytes.

``docs/file-formats.md`` ("Recording") is the specification.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np

from focalloop.firmware_sim.files import scratch_folder
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.json_text import parse_json
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.window import Window
from focalloop.firmware_sim.wire import (
    MAP_HASH_PREFIX_BYTES,
    HelloAnswer,
    WindowDescriptor,
    WindowKind,
    WireError,
)
from focalloop.host.errors import RecordingError
from focalloop.host.recording.json_schema import json_schema, mismatch

PROFILE = "focalloop"
"""Profile of the MCAP files."""

NS = 10**9
"""Nanoseconds per second."""

BINARY, JSON, PROTOBUF = "x-focalloop", "json", "protobuf"
"""Encodings of messages."""

_LAYOUT = """\
Little-endian, without padding:
u32 window, u32 total, u64 time_us, u8 kind, u8 level, u8[8] map_hash, u32 skipped
    (WINDOW of the wire protocol: what the board announced the window with);
u32 grid_bytes, u8[grid_bytes] grid (tile of each block, under an adaptive map);
u8[total] readout (codes in the order of the read plan: u8 up to 8 bits, u16 above).
"""


_TEXT, _COUNT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_MAYBE = {"type": ["number", "null"]}
_TIME = {
    "type": "object",
    "title": "time",
    "properties": {"sec": _COUNT, "nsec": {"type": "integer", "minimum": 0, "maximum": NS - 1}},
}


@dataclass(frozen=True)
class Channel:
    """A channel of every recording; its number is its place in `CHANNELS`, from 1."""

    topic: str
    schema_name: str
    encoding: str
    schema: bytes = b""

    @property
    def number(self) -> int:
        """Its number in the file."""
        return 1 + CHANNELS.index(self)


BOARD = Channel(
    "/board",
    "focalloop.Board",
    JSON,
    json_schema(
        "focalloop.Board",
        {"hello": _BASE64},
        name=_TEXT, firmware=_TEXT, serial=_TEXT, simulated={"type": "boolean"},
        height=_COUNT, width=_COUNT, slots=_COUNT, bits=_COUNT, slot_rate_hz=_NUMBER,
    ),
)  # fmt: skip
MAP = Channel(
    "/map",
    "focalloop.Map",
    JSON,
    json_schema(
        "focalloop.Map",
        {"hash": _TEXT, "map": _BASE64},
        mask=_BASE64,
        palette=_BASE64,
        summary=_TEXT,
    ),
)
CONDITIONS = Channel(
    "/conditions",
    "focalloop.Conditions",
    JSON,
    json_schema(
        "focalloop.Conditions",
        {"kind": {"enum": [kind.name.lower() for kind in WindowKind]}},
        light=_MAYBE,
        gain=_MAYBE,
        temperature_c=_MAYBE,
    ),
)
READOUT = Channel("/readout", "focalloop.Readout", BINARY, _LAYOUT.encode())
PROFILE_CHANNEL = Channel(
    "/noise_profile",
    "focalloop.NoiseProfile",
    JSON,
    json_schema("focalloop.NoiseProfile", {"name": _TEXT, "parameters": {"type": "object"}}),
)
CORRECTION = Channel(
    "/correction",
    "focalloop.Correction",
    JSON,
    json_schema("focalloop.Correction", {"by": _TEXT}, pattern=_BASE64),
)
STATE = Channel("/state", "focalloop.State", JSON, json_schema("focalloop.State", {}))
ANYTHING, ABOUT_MAP = "focalloop", "map"
"""What an event is about: that the board runs another map, or anything else."""

EVENT = Channel(
    "/event",
    "foxglove.Log",
    JSON,
    json_schema(
        "foxglove.Log",
        {
            "timestamp": _TIME,
            "level": {"title": "foxglove.LogLevel", "enum": [0, 1, 2, 3, 4, 5]},
            "message": _TEXT,
            "name": _TEXT,
            "file": _TEXT,
            "line": _COUNT,
        },
    ),
)
NOTE = Channel(
    "/note",
    "focalloop.Note",
    JSON,
    json_schema("focalloop.Note", {"text": _TEXT}, recovered={"type": "boolean"}),
)
GAP = Channel(
    "/gap",
    "focalloop.Gap",
    JSON,
    json_schema(
        "focalloop.Gap",
        {"windows": _COUNT, "reason": {"enum": ["line", "recorder"]}},
        before=_COUNT,
    ),
)
PICTURE = Channel("/picture", "foxglove.RawImage", PROTOBUF)

CHANNELS = (
    BOARD, MAP, CONDITIONS, READOUT, PROFILE_CHANNEL, CORRECTION, STATE, EVENT, NOTE, GAP, PICTURE,
)  # fmt: skip
"""In the order of their numbers, which never changes: a damaged file may lack their records."""

LEVELS = {"debug": 1, "info": 2, "warning": 3, "error": 4}
"""Levels of `foxglove.Log`."""

_GRID_BYTES = Struct("<I")


def schema_of(channel: Channel) -> bytes:
    """Return the schema of a channel's messages."""
    if channel is PICTURE:
        from focalloop.host.recording.raw_image import raw_image_schema  # loads protobuf

        return raw_image_schema()
    return channel.schema


def pack_json(document: dict[str, Any]) -> bytes:
    """Return the bytes of a JSON message."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def unpack_json(channel: Channel, data: bytes) -> dict[str, Any]:
    """Return a JSON message of a channel from its bytes.

    Raises
    ------
    RecordingError
        They are none, or not as the schema of the channel has it.
    """
    try:
        document = parse_json(data)
    except ValueError as error:
        raise RecordingError(
            f"a message of {channel.topic} in the recording is no JSON ({error})"
        ) from None
    if not isinstance(document, dict):
        raise RecordingError(f"a message of {channel.topic} in the recording is no JSON object")
    if wrong := mismatch(document, channel.schema):
        raise RecordingError(f"a message of {channel.topic} in the recording has {wrong}")
    return document


def pack_board(board: HelloAnswer) -> bytes:
    """Return the message of a board: its answer to HELLO, whole, and the main figures of it."""
    figures = (
        "name", "firmware", "serial", "simulated", "height", "width", "slots", "bits",
        "slot_rate_hz",
    )  # fmt: skip
    return pack_json(
        {"hello": base64_text(board.pack()), **{key: getattr(board, key) for key in figures}}
    )


def unpack_board(data: bytes) -> HelloAnswer:
    """Return the board of a message."""
    try:
        return HelloAnswer.unpack(_unb64(unpack_json(BOARD, data), "hello"))
    except WireError as error:
        raise RecordingError(f"a board of the recording is damaged ({error})") from None


def pack_map(ratio_map: RatioMap | AdaptiveMap) -> bytes:
    """Return the message of a map: the objects in which it is sent to a board, and its hash."""
    resting = ratio_map if isinstance(ratio_map, RatioMap) else ratio_map.resting
    document = {
        "hash": ratio_map.hash_hex,
        "summary": ratio_map.summary,
        "map": base64_text(resting.pack()),
    }
    if resting.aperture is not None:
        document["mask"] = base64_text(resting.pack_aperture())
    if isinstance(ratio_map, AdaptiveMap):
        document["palette"] = base64_text(ratio_map.pack_palette())
    return pack_json(document)


def unpack_map(data: bytes) -> RatioMap | AdaptiveMap:
    """Return the map of a message.

    Raises
    ------
    RecordingError
        It is not the map of its hash.
    RatioMapError
        Its objects are no map.
    """
    document = unpack_json(MAP, data)
    found: RatioMap | AdaptiveMap = RatioMap.unpack(_unb64(document, "map"))
    assert isinstance(found, RatioMap)
    if "mask" in document:
        found = found.with_packed_aperture(_unb64(document, "mask"))
    elif "palette" in document:
        found = AdaptiveMap.unpack(found, _unb64(document, "palette"))
    if found.hash_hex != document.get("hash"):
        raise RecordingError("a ratio map of the recording is not the one of its hash")
    return found


def unpack_pattern(document: dict[str, Any]) -> FixedPattern:
    """Return the fixed pattern of a correction.

    Raises
    ------
    FixedPatternError
        It is none.
    """
    with scratch_folder() as scratch:
        path = scratch / "pattern.npz"
        path.write_bytes(_unb64(document, "pattern"))
        return FixedPattern.load(path)


def pack_event(time_ns: int, text: str, level: str, about: str) -> bytes:
    """Return the message of an event, as Foxglove's Log; what it is about is its name."""
    sec, nsec = divmod(time_ns, NS)
    return pack_json(
        {
            "timestamp": {"sec": sec, "nsec": nsec},
            "level": LEVELS[level],
            "message": text,
            "name": about,
            "file": "",
            "line": 0,
        }
    )


@dataclass(frozen=True)
class RecordedReadout:
    """A readout as it came from the board.

    Attributes
    ----------
    descriptor : WindowDescriptor
        Number, time, map and kind of the window.
    grid : bytes
        Grid that composed its map; empty if none did.
    data : bytes
        Packed codes, in the order of the read plan.
    """

    descriptor: WindowDescriptor
    grid: bytes
    data: bytes

    @classmethod
    def of(cls, window: Window) -> RecordedReadout:
        """Return the readout of a window; one that is not from a board is described anew."""
        codes = window.codes
        data = codes.astype(codes.dtype.newbyteorder("<"), copy=False).tobytes()
        grid = b"" if window.grid is None else window.grid[1]
        hashed = window.ratio_map.hash() if not window.grid else window.grid[0].grid_hash(grid)
        descriptor = window.descriptor or WindowDescriptor(
            window=window.number,
            total=len(data),
            time_us=0,
            kind=window.kind,
            level=0,
            map_hash=hashed[:MAP_HASH_PREFIX_BYTES],
            skipped=window.skipped,
        )
        return cls(descriptor, grid, data)

    def pack(self) -> bytes:
        """Return the bytes of the message."""
        return b"".join(
            (self.descriptor.pack(), _GRID_BYTES.pack(len(self.grid)), self.grid, self.data)
        )

    @classmethod
    def unpack(cls, data: bytes) -> RecordedReadout:
        """Return the readout of a message.

        Raises
        ------
        RecordingError
            Its length is not the one that it states.
        """
        head = WindowDescriptor.LAYOUT.size
        try:
            descriptor = WindowDescriptor.unpack(data[:head])
        except WireError as error:
            raise RecordingError(f"a readout of the recording is damaged ({error})") from None
        grid_at = head + _GRID_BYTES.size
        grid_bytes = _GRID_BYTES.unpack_from(data, head)[0] if len(data) >= grid_at else 0
        readout_at = grid_at + grid_bytes
        if len(data) != readout_at + descriptor.total:
            raise RecordingError(
                f"the readout of window {descriptor.window} has not the length that it states"
            )
        return cls(descriptor, data[grid_at:readout_at], data[readout_at:])

    def codes(self, board: HelloAnswer, count: int) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the `count` samples, as wide as the board's ADC asks for."""
        dtype = np.dtype(np.uint8 if board.bits <= 8 else "<u2")
        if len(self.data) != count * dtype.itemsize:
            raise RecordingError(
                f"window {self.descriptor.window} has {len(self.data)} bytes, but its ratio map "
                f"asks for {count} samples of {board.bits} bits"
            )
        return np.frombuffer(self.data, dtype).astype(dtype.newbyteorder("="), copy=False)


def base64_text(data: bytes) -> str:
    """Return bytes as text of a JSON message."""
    return base64.b64encode(data).decode("ascii")


def _unb64(document: dict[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(document[key], validate=True)
    except (KeyError, TypeError, ValueError):
        raise RecordingError(f"a message of the recording has no {key} in Base64") from None
