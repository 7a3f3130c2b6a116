"""The ratio maps and conversations of the test vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import Frame, MessageType, UploadKind
from tests.support.board_bench import TILE

ARRAY = (4, 6)
"""Height and width of the board in the conversations."""

MAP_HASH = hashlib.sha256(b"a map").digest()


def maps() -> dict[str, RatioMap]:
    """Return small maps that together use every part of the packed form."""
    rng = np.random.default_rng(2024)
    levels = rng.choice([0, 1, 2, 4, 8], (3, 5)).astype(np.uint8)
    return {
        "uniform": RatioMap.uniform(2, (3, 5)),
        "tile": RatioMap.from_tile(TILE, (8, 12)),
        "tile-cut": RatioMap.from_tile([[4, 0], [1, 2], [0, 4]], (7, 5)),
        "no-tile": RatioMap(levels),
        "other-slots": RatioMap.from_tile([[1, 3]], (2, 4), slots=6, level_set=(0, 1, 3)),
        "aperture": RatioMap(levels).with_aperture(rng.random((16, 3, 5)) < 0.5),
        "board": RatioMap.from_tile(TILE, ARRAY),
    }


Step = tuple[str, int, bytes]
"""A note, the microseconds since the previous step, and the bytes that are sent to the board."""


def request(sequence: int, type_: MessageType, message: Any = None) -> bytes:
    return Frame(type_, sequence, b"" if message is None else message.pack()).encode()


def conversation_capture() -> Iterator[Step]:
    ratio_map = maps()["board"]
    data = ratio_map.pack()
    begin = wire.UploadBeginRequest(UploadKind.MAP, len(data), hashlib.sha256(data).digest())
    chunk = wire.UploadChunkRequest(UploadKind.MAP, 0, data)
    capture = request(8, MessageType.CAPTURE, wire.CaptureRequest(2))
    hello = wire.HelloRequest(1024, "vectors")
    yield "say hello", 0, request(1, MessageType.HELLO, hello)
    yield "ask how it is", 250_000, request(2, MessageType.STATUS)
    yield "too early: no map", 10, request(3, MessageType.CAPTURE, wire.CaptureRequest(1))
    yield "begin an upload", 10, request(4, MessageType.UPLOAD_BEGIN, begin)
    yield "a damaged chunk: no answer", 10, request(5, MessageType.UPLOAD_CHUNK, chunk)[:-9] + b"\0"
    yield "the chunk again", 10, request(5, MessageType.UPLOAD_CHUNK, chunk)
    yield (
        "make it the active map",
        10,
        request(
            6, MessageType.UPLOAD_COMMIT, wire.UploadCommitRequest(UploadKind.MAP, ratio_map.hash())
        ),
    )
    yield "arm", 10, request(7, MessageType.ARM)
    yield "capture two windows", 10, capture
    yield "the answer was lost: the same again, run once", 100_000, capture
    yield (
        "part of a window again",
        10,
        request(9, MessageType.RESEND, wire.ResendRequest(1, 16, 32)),
    )
    yield "a window there was not", 10, request(10, MessageType.RESEND, wire.ResendRequest(2))
    yield "reset", 10, request(11, MessageType.RESET)
    yield "another boot", 10, request(12, MessageType.STATUS)


def conversation_resumed_upload() -> Iterator[Step]:
    data = bytes(range(256)) * 3
    size = wire.MIN_MAX_PAYLOAD - wire.UPLOAD_CHUNK_OVERHEAD

    def chunk(sequence: int, index: int) -> bytes:
        piece = data[index * size : (index + 1) * size]
        message = wire.UploadChunkRequest(UploadKind.MASK, index * size, piece)
        return request(sequence, MessageType.UPLOAD_CHUNK, message)

    begin = wire.UploadBeginRequest(UploadKind.MASK, len(data), hashlib.sha256(data).digest())
    hello = wire.HelloRequest(wire.MIN_MAX_PAYLOAD, "vectors")
    yield "say hello with a small buffer", 0, request(1, MessageType.HELLO, hello)
    yield "begin", 0, request(2, MessageType.UPLOAD_BEGIN, begin)
    yield "the third chunk first: the first is wanted still", 0, chunk(3, 2)
    yield "the first", 0, chunk(4, 0)
    yield "the line dropped: hello again", 10**6, request(1, MessageType.HELLO, hello)
    yield "begin again: what is held is told", 0, request(2, MessageType.UPLOAD_BEGIN, begin)
    yield "the second: now the last is wanted", 0, chunk(3, 1)
    yield (
        "commit half of it: refused, nothing changes",
        0,
        request(4, MessageType.UPLOAD_COMMIT, wire.UploadCommitRequest(UploadKind.MASK, MAP_HASH)),
    )
    yield "the last", 0, chunk(5, 3)


def conversation_stream() -> Iterator[Step]:
    def credit(sequence: int, limit: int) -> bytes:
        return request(sequence, MessageType.STREAM_CREDIT, wire.StreamCreditRequest(limit))

    yield "hello", 0, request(1, MessageType.HELLO, wire.HelloRequest(1024, "vectors"))
    yield "one window", 0, request(2, MessageType.STREAM_START, wire.StreamStartRequest(1))
    yield "its last slot ends", 66_667, b""
    yield "a window without credit is skipped", 66_667, b""
    yield "credit for one more", 0, credit(3, 2)
    yield "lower credit changes nothing", 0, credit(4, 0)
    yield "the third window of the sensor is the second sent", 66_667, b""
    yield "stop", 0, request(5, MessageType.STREAM_STOP)
    yield "the clock", 1000, request(6, MessageType.TIME_SYNC, wire.TimeSyncRequest(0))
    yield (
        "dark windows at level 2",
        0,
        request(7, MessageType.DARK_CAPTURE, wire.DarkCaptureRequest(2, 1)),
    )
    yield "which takes a window's time", 66_667, b""


def conversation_mistakes() -> Iterator[Step]:
    yield "another protocol version", 0, Frame(MessageType.HELLO, 1, b"???", version=9).encode()
    yield "an unknown type", 0, Frame(0x7F, 2).encode()
    yield "a body too short", 0, Frame(MessageType.CAPTURE, 3, b"\x01").encode()
    yield "a body too long", 0, Frame(MessageType.STATUS, 4, b"\x01").encode()
    yield "an answer, which is none of a host's business", 0, Frame(2, 5, b"", 1).encode()
    yield "a chunk of nothing", 0, Frame(MessageType.UPLOAD_CHUNK, 6, bytes(5)).encode()
    huge = wire.UploadBeginRequest(UploadKind.MAP, 2**32 - 1, bytes(32))
    yield "an upload too large", 0, request(7, MessageType.UPLOAD_BEGIN, huge)


CONVERSATIONS: dict[str, tuple[Callable[[], Iterator[Step]], dict[str, Any]]] = {
    "upload and capture": (conversation_capture, {"slot_rate_hz": 0.0}),
    "resumed upload": (conversation_resumed_upload, {"slot_rate_hz": 0.0}),
    "paced stream": (conversation_stream, {"slot_rate_hz": 240.0, "map": "board"}),
    "mistakes": (conversation_mistakes, {"slot_rate_hz": 0.0}),
}
