"""Bringing a ratio map to a board: chunked, several chunks in flight, resumed after a drop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.wire import (
    BITMAP_CHUNKS,
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
from focalloop.host.errors import BoardLostError

Submit = Callable[[MessageType, bytes], "Future[bytes]"]
"""Sends a request without waiting, as :meth:`focalloop.host.link.io_threads.Link.submit`."""

Progress = Callable[[int, int], None]
"""Takes what is done and what there is to do."""


def fitted(ratio_map: RatioMap, board: HelloAnswer) -> RatioMap:
    """Return `ratio_map` at the board's size; a periodic one is repeated to it.

    Raises
    ------
    RatioMapError
        The board cannot run it: another T, a level it does not have, a size that the map does not
        fit, or a coded aperture where the board has none.
    """
    if ratio_map.slots != board.slots:
        raise RatioMapError(
            f"the ratio map is for windows of {ratio_map.slots} slots and the board has "
            f"{board.slots}; use a map made for that"
        )
    used = set(np.unique(ratio_map.levels).tolist())
    if not used <= set(board.level_set):
        raise RatioMapError(
            f"the ratio map uses the levels {sorted(used)} and the board has only "
            f"{board.level_set}; use a map made for that"
        )
    if ratio_map.level_set != board.level_set:
        ratio_map = RatioMap(ratio_map.levels, ratio_map.slots, board.level_set, ratio_map.aperture)
    if ratio_map.aperture is not None and Feature.APERTURE not in board.features:
        raise RatioMapError("the ratio map has a coded aperture, which this board cannot run")
    return ratio_map.tiled_to(board.height, board.width)


def upload(
    submit: Submit, ratio_map: RatioMap, max_in_flight: int, progress: Progress | None = None
) -> None:
    """Upload and activate a map that fits the board.

    The board goes on with its old map until the very end, and keeps it if anything goes wrong.
    What it already holds of the same map, from a transfer that was cut off, is not sent again.

    Raises
    ------
    BoardError
        The board refused; among others HASH_MISMATCH, after which a second try may succeed.
    BoardLostError
        The link failed; calling again goes on where this stopped.
    """
    objects = {UploadKind.MAP: ratio_map.pack()}
    if ratio_map.aperture is not None:
        objects[UploadKind.MASK] = ratio_map.pack_aperture()
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
        _send_object(submit, kind, data, max_in_flight, advance)
    commit = UploadCommitRequest(kinds, ratio_map.hash())
    UploadCommitAnswer.unpack(submit(MessageType.UPLOAD_COMMIT, commit.pack()).result())


def _send_object(
    submit: Submit,
    kind: UploadKind,
    data: bytes,
    max_in_flight: int,
    advance: Callable[[int], None],
) -> None:
    begin = UploadBeginRequest(kind, len(data), hashlib.sha256(data).digest())
    start = UploadBeginAnswer.unpack(submit(MessageType.UPLOAD_BEGIN, begin.pack()).result())
    if start.chunk_size == 0:
        raise BoardLostError("the board asks for upload chunks of no bytes; it is faulty")
    wanted = list(_wanted(start, len(data)))
    advance(len(data) - sum(min(start.chunk_size, len(data) - offset) for offset in wanted))
    offsets = iter(wanted)
    in_flight: list[tuple[int, Future[bytes]]] = []

    def fill() -> None:
        for offset in islice(offsets, max(1, max_in_flight) - len(in_flight)):
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
    """Offsets of the chunks that the board does not hold."""
    for index, offset in enumerate(range(start.next_offset, total, start.chunk_size)):
        held = 0 < index <= BITMAP_CHUNKS and start.bitmap >> (index - 1) & 1
        if not held:
            yield offset
