"""The ratio maps and conversations of the test vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import Frame, MessageType, UploadKind
from tests.support.board_bench import TILE

LEVELS = [0, 1, 2, 4, 8]

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


def adaptive_maps() -> dict[str, tuple[str, AdaptiveMap, list[NDArray[np.uint8]]]]:
    """Return adaptive maps with the names of their resting maps, and grids for them."""
    rng = np.random.default_rng(2026)

    def made(resting: str, tiles: Any, block: int, *grids: Any) -> Any:
        adaptive_map = AdaptiveMap(maps()[resting], np.array(tiles), block)
        drawn = rng.integers(0, len(tiles), (3, *adaptive_map.grid_shape))
        return resting, adaptive_map, [np.array(grid, np.uint8) for grid in grids or drawn]

    return {
        "blocks that tiles do not fill": made("tile", rng.choice(LEVELS, (5, 3, 5)), 4),
        "blocks of one pixel": made("no-tile", [[[0]], [[1]], [[8]]], 1),
        "one block": made("tile-cut", [[[0, 4], [2, 1]], [[8, 8], [8, 8]]], 255),
        "other slots": made("other-slots", [[[0, 1, 3]], [[3, 0, 0]]], 2),
        "board": made(
            *("board", [[[0, 0]], [[1, 0]], [[4, 2]]], 3),
            *([[2, 1], [0, 1]], [[0, 2], [2, 0]], [[1, 1], [1, 2]]),
        ),
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


def conversation_adaptive() -> Iterator[Step]:
    _, adaptive_map, grids = adaptive_maps()["board"]
    data = adaptive_map.pack_palette()
    begin = wire.UploadBeginRequest(UploadKind.PALETTE, len(data), hashlib.sha256(data).digest())
    chunk = wire.UploadChunkRequest(UploadKind.PALETTE, 0, data)
    commit = wire.UploadCommitRequest(UploadKind.PALETTE, adaptive_map.hash())
    first, second, third = (grid.tobytes() for grid in grids)

    def grid(sequence: int, window: int, packed: bytes) -> bytes:
        return request(sequence, MessageType.GRID, wire.GridRequest(window, packed))

    yield "hello", 0, request(1, MessageType.HELLO, wire.HelloRequest(1024, "vectors"))
    yield "too early: the active map has no palette", 0, grid(2, 0, first)
    yield "begin to upload one", 0, request(3, MessageType.UPLOAD_BEGIN, begin)
    yield "all of it", 0, request(4, MessageType.UPLOAD_CHUNK, chunk)
    yield (
        "an adaptive map that rests on the active map",
        0,
        request(5, MessageType.UPLOAD_COMMIT, commit),
    )
    yield "a grid for the next window but one", 0, grid(6, 1, first)
    yield "stream", 0, request(7, MessageType.STREAM_START, wire.StreamStartRequest(4))
    yield "the first window is begun", 0, grid(8, 0, second)
    yield "the second has its grid", 0, grid(9, 1, second)
    yield "a tile that the palette lacks", 0, grid(10, 2, bytes([0, 3, 0, 0]))
    yield "too few blocks", 0, grid(11, 2, first[1:])
    yield "nothing but the tile that reads nothing", 0, grid(12, 2, bytes(4))
    yield "too far ahead", 0, grid(13, 258, second)
    yield "a grid for the fourth", 0, grid(14, 3, second)
    yield "the answer was lost: the same again, taken once", 0, grid(14, 3, second)
    yield "out of order", 0, grid(15, 2, third)
    yield "the first window, under the resting map", 66_667, b""
    yield "the second, under a grid", 66_667, b""
    yield "too late by a window", 0, grid(16, 2, third)
    yield "the third, under the same", 66_667, b""
    yield "the fourth, under another", 66_667, b""
    yield "no credit: the next exposure is skipped", 66_667, b""
    yield "the next one with its number is begun", 0, grid(17, 4, third)
    yield "rest after it", 0, grid(18, 5, b"")
    yield "credit", 0, request(19, MessageType.STREAM_CREDIT, wire.StreamCreditRequest(6))
    yield "the fifth window, under the last grid", 66_667, b""
    yield "the sixth, under the resting map", 66_667, b""
    yield "stop", 0, request(20, MessageType.STREAM_STOP)
    for number in range(5):
        yield "grids for windows to come", 0, grid(21 + number, 6 + number, third)
    yield "hello drops them", 0, request(1, MessageType.HELLO, wire.HelloRequest(1024, "vectors"))
    yield "a window", 0, request(2, MessageType.CAPTURE, wire.CaptureRequest(1))
    yield "under the resting map", 66_667, b""
    mixed = wire.UploadCommitRequest(UploadKind.MASK | UploadKind.PALETTE, MAP_HASH)
    yield "no aperture under a palette", 0, request(3, MessageType.UPLOAD_COMMIT, mixed)


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
    "adaptive stream": (
        conversation_adaptive,
        {"slot_rate_hz": 240.0, "map": "board", "features": int(wire.Feature.ADAPTIVE)},
    ),
    "mistakes": (conversation_mistakes, {"slot_rate_hz": 0.0}),
}
