"""Uploading a map: in chunks, several of them in flight, resumed after a loss of the link.

The driver calls this in the user's thread, and in the connection's keeper for a board that was
reset.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice

import numpy as np

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import (
    BITMAP_CHUNKS,
    GRID_OVERHEAD,
    UPLOAD_CHUNK_OVERHEAD,
    Feature,
    HelloAnswer,
    MessageType,
    UploadBeginAnswer,
    UploadBeginRequest,
    UploadChunkRequest,
    UploadCommitAnswer,
    UploadCommitRequest,
    UploadKind,
)
from focalloop.host.errors import FaultyBoardError
from focalloop.host.link.answers import unpacked

Submit = Callable[[MessageType, bytes], "Future[bytes]"]
"""Sends a request without waiting, like `focalloop.host.link.io_threads.Link.submit`."""

Progress = Callable[[int, int], None]
"""Takes how much is done, and how much there is in all."""


def fitted(ratio_map: RatioMap, board: HelloAnswer) -> RatioMap:
    """Return `ratio_map` at the board's size; a periodic one is repeated to it.

    Raises
    ------
    RatioMapError
        The map measures nothing, or the board cannot run it: its T is another, it lacks a level,
        the map does not fit its size, or the map has a coded aperture and the board has none.
    """
    ratio_map.check_measures()
    if ratio_map.slots != board.slots:
        raise RatioMapError(
            f"the ratio map is for windows of {ratio_map.slots} slots, but this board's have "
            f"{board.slots}: use a map made for {board.slots} slots"
        )
    used = set(np.unique(ratio_map.levels).tolist())
    if not used <= set(board.level_set):
        raise RatioMapError(
            f"the ratio map uses the levels {sorted(used)}, but this board has only "
            f"{board.level_set}: use a map with these levels"
        )
    if ratio_map.level_set != board.level_set:
        ratio_map = RatioMap(ratio_map.levels, ratio_map.slots, board.level_set, ratio_map.aperture)
    if ratio_map.aperture is not None and Feature.APERTURE not in board.features:
        raise RatioMapError(
            "the ratio map has a coded aperture, which this board cannot run: use a map without one"
        )
    return ratio_map.tiled_to(board.height, board.width)


def fitted_adaptive(adaptive_map: AdaptiveMap, board: HelloAnswer) -> AdaptiveMap:
    """Return `adaptive_map` at the board's size; a periodic resting map is repeated to it.

    Raises
    ------
    RatioMapError
        The board cannot run it: it has no adaptive maps, not this resting map, or not all levels of
        the palette; or the grids do not fit its frames.
    """
    if Feature.ADAPTIVE not in board.features:
        raise RatioMapError(
            "this board cannot run an adaptive map: upload a ratio map, such as its resting map"
        )
    resting = fitted(adaptive_map.resting, board)
    result = AdaptiveMap(resting, adaptive_map.tiles, adaptive_map.block)
    blocks, room = math.prod(result.grid_shape), board.max_payload - GRID_OVERHEAD
    if blocks > room:
        raise RatioMapError(
            f"a grid of {blocks} blocks does not fit the frames of this board, which hold {room}: "
            "use larger blocks"
        )
    return result


def upload(
    submit: Submit,
    new: RatioMap | AdaptiveMap,
    board: HelloAnswer,
    progress: Progress | None = None,
) -> None:
    """Upload and activate a map that fits the board.

    The board runs its old map until the very end, and keeps it if anything goes wrong. Chunks that
    it already holds, from an upload that was cut off, are not sent again.

    Parameters
    ----------
    submit : callable
        Sends a request without waiting.
    new : RatioMap or AdaptiveMap
        A map from `fitted` or `fitted_adaptive`.
    board : HelloAnswer
        The board, for its limits.
    progress : callable, optional
        Takes bytes done and bytes in all.

    Raises
    ------
    BoardError
        The board refused, for example with HASH_MISMATCH, after which another attempt may succeed.
    FaultyBoardError
        Its answers contradict the protocol, or it runs another map in the end.
    BoardLostError
        The link failed; another call goes on where this one stopped.
    """
    ratio_map = new if isinstance(new, RatioMap) else new.resting
    objects = {UploadKind.MAP: ratio_map.pack()}
    if ratio_map.aperture is not None:
        objects[UploadKind.MASK] = ratio_map.pack_aperture()
    if isinstance(new, AdaptiveMap):
        objects[UploadKind.PALETTE] = new.pack_palette()
    total = sum(map(len, objects.values()))
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    kinds = UploadKind(0)
    for kind, data in objects.items():
        kinds |= kind
        _send_object(submit, kind, data, board, advance)
    commit = UploadCommitRequest(kinds, new.hash())
    body = submit(MessageType.UPLOAD_COMMIT, commit.pack()).result()
    active = unpacked(UploadCommitAnswer, MessageType.UPLOAD_COMMIT, body).map_hash
    if active != new.hash():
        raise FaultyBoardError(
            f"after the upload of the map {new.hash_hex[:16]}... the board says that it runs "
            f"{active.hex()[:16]}...: its firmware is faulty"
        )


def _send_object(
    submit: Submit,
    kind: UploadKind,
    data: bytes,
    board: HelloAnswer,
    advance: Callable[[int], None],
) -> None:
    begin = UploadBeginRequest(kind, len(data), hashlib.sha256(data).digest())
    body = submit(MessageType.UPLOAD_BEGIN, begin.pack()).result()
    start = unpacked(UploadBeginAnswer, MessageType.UPLOAD_BEGIN, body)
    max_chunk = board.max_payload - UPLOAD_CHUNK_OVERHEAD
    if not 0 < start.chunk_size <= max_chunk:
        raise FaultyBoardError(
            f"the board asks for upload chunks of {start.chunk_size} bytes, but it takes "
            f"{max_chunk} at most: its firmware is faulty"
        )
    if start.next_offset > len(data) or (
        start.next_offset % start.chunk_size and start.next_offset != len(data)
    ):
        raise FaultyBoardError(
            f"the board wants byte {start.next_offset} of an upload of {len(data)} bytes in "
            f"chunks of {start.chunk_size}: its firmware is faulty"
        )
    wanted = list(_wanted(start, len(data)))
    advance(len(data) - sum(min(start.chunk_size, len(data) - offset) for offset in wanted))
    offsets = iter(wanted)
    in_flight: list[tuple[int, Future[bytes]]] = []

    def fill() -> None:
        for offset in islice(offsets, board.max_in_flight - len(in_flight)):
            chunk = data[offset : offset + start.chunk_size]
            body = UploadChunkRequest(kind, offset, chunk).pack()
            in_flight.append((len(chunk), submit(MessageType.UPLOAD_CHUNK, body)))

    fill()
    try:
        while in_flight:
            length, answer = in_flight[0]
            answer.result()
            del in_flight[0]
            advance(length)
            fill()
    finally:
        for _, answer in in_flight:
            answer.cancel()


def _wanted(start: UploadBeginAnswer, total: int) -> Iterator[int]:
    """Offsets of the chunks that the board does not hold yet."""
    for index, offset in enumerate(range(start.next_offset, total, start.chunk_size)):
        held = 0 < index <= BITMAP_CHUNKS and start.bitmap >> (index - 1) & 1
        if not held:
            yield offset
