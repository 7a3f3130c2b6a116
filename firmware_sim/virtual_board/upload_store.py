"""Uploads to a board: chunks in any order, and the commit that turns them into a map."""

from __future__ import annotations

import hashlib

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap, RatioMapError
from focalloop.firmware_sim.virtual_board.refusal import Refusal
from focalloop.firmware_sim.wire import (
    BITMAP_CHUNKS,
    UPLOAD_CHUNK_OVERHEAD,
    ErrorCode,
    UploadBeginAnswer,
    UploadBeginRequest,
    UploadChunkAnswer,
    UploadChunkRequest,
    UploadKind,
)

_TOGETHER = (
    UploadKind.MAP,
    UploadKind.MASK,
    UploadKind.MAP | UploadKind.MASK,
    UploadKind.PALETTE,
    UploadKind.MAP | UploadKind.PALETTE,
)
"""Kinds that a commit can name."""


class Upload:
    """One object being received.

    Parameters
    ----------
    total : int
        Its length in bytes, 1 or more.
    sha256 : bytes
        Hash of the whole object.
    chunk_size : int
        Bytes of data in each chunk but the last.
    """

    def __init__(self, total: int, sha256: bytes, chunk_size: int) -> None:
        self.total = total
        self.sha256 = sha256
        self.chunk_size = chunk_size
        self._data = bytearray(total)
        self._held = bytearray(-(-total // chunk_size))
        self._first_missing = 0

    @property
    def complete(self) -> bool:
        """Whether every chunk has arrived."""
        return self._first_missing == len(self._held)

    @property
    def next_offset(self) -> int:
        """First missing byte; the object's length once it is complete."""
        return min(self._first_missing * self.chunk_size, self.total)

    @property
    def bitmap(self) -> int:
        """Bit ``i`` is set if the chunk ``i + 1`` chunks beyond `next_offset` has arrived."""
        beyond = self._held[self._first_missing + 1 : self._first_missing + 1 + BITMAP_CHUNKS]
        return sum(held << bit for bit, held in enumerate(beyond))

    def put(self, offset: int, data: bytes) -> None:
        """Take a chunk; one that has arrived before changes nothing.

        Raises
        ------
        Refusal
            If no chunk starts at `offset`, or `data` does not have that chunk's length.
        """
        index, rest = divmod(offset, self.chunk_size)
        if rest or index >= len(self._held):
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"no chunk starts at byte {offset} of {self.total} in chunks of {self.chunk_size}",
            )
        length = min(self.chunk_size, self.total - offset)
        if len(data) != length:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"the chunk at byte {offset} has {length} bytes, not {len(data)}",
            )
        if self._held[index]:
            return
        self._data[offset : offset + length] = data
        self._held[index] = 1
        missing = self._held.find(0, self._first_missing)
        self._first_missing = len(self._held) if missing < 0 else missing

    def content(self) -> bytes | None:
        """Return the object, or None if its hash is not the announced one."""
        data = bytes(self._data)
        return data if hashlib.sha256(data).digest() == self.sha256 else None


class UploadStore:
    """At most one upload of each kind, kept across sessions so that it can be resumed.

    Parameters
    ----------
    max_object : int
        Longest object accepted, in bytes.
    """

    def __init__(self, max_object: int) -> None:
        self._max_object = max_object
        self._uploads: dict[UploadKind, Upload] = {}

    @property
    def latest(self) -> tuple[UploadKind, int]:
        """Kind of the upload begun last and its next offset; zeros if there is none."""
        for kind, upload in reversed(self._uploads.items()):
            return kind, upload.next_offset
        return UploadKind(0), 0

    def begin(self, request: UploadBeginRequest, max_payload: int) -> UploadBeginAnswer:
        """Begin an upload, or resume it if the same object was begun before.

        Parameters
        ----------
        request : UploadBeginRequest
            Announces the object.
        max_payload : int
            Longest body of the session, in bytes; chunks fill it.

        Raises
        ------
        Refusal
            If the kind is unknown, or the object empty or too long.
        """
        if request.kind not in (UploadKind.MAP, UploadKind.MASK, UploadKind.PALETTE):
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                f"an upload is a map (1), a mask (2) or a palette (4), not kind {request.kind:d}",
            )
        if request.total == 0:
            raise Refusal(ErrorCode.BAD_ARGUMENT, "an upload has at least one byte")
        if request.total > self._max_object:
            raise Refusal(
                ErrorCode.TOO_LARGE,
                f"an upload of {request.total} bytes exceeds this board's limit of "
                f"{self._max_object}",
            )
        chunk_size = max_payload - UPLOAD_CHUNK_OVERHEAD
        upload = self._uploads.pop(request.kind, None)
        same = upload is not None and (upload.total, upload.sha256, upload.chunk_size) == (
            request.total,
            request.sha256,
            chunk_size,
        )
        if upload is None or not same:
            upload = Upload(request.total, request.sha256, chunk_size)
        self._uploads[request.kind] = upload
        return UploadBeginAnswer(upload.next_offset, upload.bitmap, chunk_size)

    def put(self, request: UploadChunkRequest) -> UploadChunkAnswer:
        """Take a chunk.

        Raises
        ------
        Refusal
            If no such upload was begun, or the chunk does not belong to it.
        """
        upload = self._begun(request.kind)
        upload.put(request.offset, request.data)
        return UploadChunkAnswer(upload.next_offset, upload.bitmap)

    def assemble(self, kinds: UploadKind, active: RatioMap | None) -> RatioMap | AdaptiveMap:
        """Build the map that complete uploads form; they remain in the store.

        Parameters
        ----------
        kinds : UploadKind
            MAP, MASK or PALETTE, or MAP with one of the others.
        active : RatioMap or None
            Map whose levels are used with a MASK alone, and that is at rest under a PALETTE alone.

        Raises
        ------
        Refusal
            If an upload is missing, unfinished, damaged or not a valid map. A damaged or invalid
            one is dropped, so the host has to start it again.
        """
        if kinds not in _TOGETHER:
            raise Refusal(
                ErrorCode.BAD_ARGUMENT,
                "a commit names a map (1), a mask (2) or a palette (4), or a map with one of the "
                f"others (3, 5), not {kinds:d}",
            )
        contents = {kind: self._whole(kind) for kind in UploadKind if kind in kinds}
        if UploadKind.MAP not in kinds and active is None:
            raise Refusal(
                ErrorCode.NO_MAP, "a mask or palette alone needs an active map: upload a map too"
            )
        try:
            ratio_map = active
            if UploadKind.MAP in contents:
                ratio_map = RatioMap.unpack(contents[UploadKind.MAP])
            assert ratio_map is not None
            if UploadKind.MASK in contents:
                ratio_map = ratio_map.with_packed_aperture(contents[UploadKind.MASK])
            ratio_map.check_measures()
            if UploadKind.PALETTE in contents:
                return AdaptiveMap.unpack(ratio_map, contents[UploadKind.PALETTE])
        except RatioMapError as error:
            self.drop(kinds)
            raise Refusal(ErrorCode.BAD_MAP, str(error)) from error
        return ratio_map

    def drop(self, kinds: UploadKind) -> None:
        """Forget uploads that were committed or cannot be used."""
        for kind in UploadKind:
            if kind in kinds:
                self._uploads.pop(kind, None)

    def _begun(self, kind: UploadKind) -> Upload:
        upload = self._uploads.get(kind)
        if upload is None:
            raise Refusal(
                ErrorCode.UPLOAD_NOT_BEGUN,
                f"no upload of kind {kind:d} was begun since the last boot or commit",
            )
        return upload

    def _whole(self, kind: UploadKind) -> bytes:
        upload = self._begun(kind)
        if not upload.complete:
            raise Refusal(
                ErrorCode.UPLOAD_INCOMPLETE,
                f"the upload of kind {kind:d} still lacks byte {upload.next_offset} "
                f"of {upload.total}",
            )
        content = upload.content()
        if content is None:
            self.drop(kind)
            raise Refusal(
                ErrorCode.HASH_MISMATCH,
                f"the upload of kind {kind:d} has another SHA-256 than announced",
            )
        return content
