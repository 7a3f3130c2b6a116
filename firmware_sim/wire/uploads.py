"""Messages that upload a ratio map, a coded aperture or a palette."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Self

from focalloop.firmware_sim.wire.constants import HASH_BYTES, UploadKind
from focalloop.firmware_sim.wire.framing import WireError
from focalloop.firmware_sim.wire.layout import FixedBody, check_min_length, pack

_CHUNK = Struct("<BI")
UPLOAD_CHUNK_OVERHEAD = _CHUNK.size
"""Bytes of an upload chunk's body before its data."""


def _check_hash(message: object, value: bytes) -> None:
    if len(value) != HASH_BYTES:
        raise WireError(f"{type(message).__name__}: a SHA-256 has 32 bytes, not {len(value)}")


@dataclass(frozen=True, slots=True)
class UploadBeginRequest(FixedBody):
    """Start an upload, or resume it if the same object was begun before.

    Attributes
    ----------
    kind : UploadKind
        MAP, MASK or PALETTE.
    total : int
        Length of the object in bytes.
    sha256 : bytes
        Hash of the whole object.
    """

    kind: UploadKind
    total: int
    sha256: bytes

    LAYOUT: ClassVar[Struct] = Struct("<BI32s")

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", UploadKind(self.kind))
        _check_hash(self, self.sha256)


@dataclass(frozen=True, slots=True)
class UploadBeginAnswer(FixedBody):
    """Progress of an upload.

    Attributes
    ----------
    next_offset : int
        First byte that the board wants, a multiple of `chunk_size` or the object's length.
    bitmap : int
        Bit ``i`` is set if the chunk ``i + 1`` chunks beyond `next_offset` has arrived already.
    chunk_size : int
        Bytes of data in each chunk but the last; chunks start at multiples of it.
    """

    next_offset: int
    bitmap: int
    chunk_size: int

    LAYOUT: ClassVar[Struct] = Struct("<IIH")


@dataclass(frozen=True, slots=True)
class UploadChunkRequest:
    """One chunk of an object: kind, offset, data.

    Attributes
    ----------
    kind : UploadKind
        The upload it belongs to.
    offset : int
        A multiple of the chunk size.
    data : bytes
        As long as the chunk size, or shorter at the object's end.
    """

    kind: UploadKind
    offset: int
    data: bytes

    def pack(self) -> bytes:
        """Bytes of the body."""
        return pack(self, _CHUNK, self.kind, self.offset) + self.data

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes."""
        check_min_length(cls, body, _CHUNK.size)
        kind, offset = _CHUNK.unpack_from(body)
        return cls(UploadKind(kind), offset, body[_CHUNK.size :])


@dataclass(frozen=True, slots=True)
class UploadChunkAnswer(FixedBody):
    """Progress of an upload after a chunk; as in `UploadBeginAnswer`."""

    next_offset: int
    bitmap: int

    LAYOUT: ClassVar[Struct] = Struct("<II")


@dataclass(frozen=True, slots=True)
class UploadCommitRequest(FixedBody):
    """Make uploaded objects the active ratio map, in one step.

    Attributes
    ----------
    kinds : UploadKind
        MAP: a map without aperture. MAP and MASK: a map with the uploaded aperture. MASK: the
        active map's levels with the uploaded aperture. MAP and PALETTE: an adaptive map. PALETTE:
        an adaptive map that rests on the active map.
    map_hash : bytes
        Hash of the map that they form.
    """

    kinds: UploadKind
    map_hash: bytes

    LAYOUT: ClassVar[Struct] = Struct("<B32s")

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", UploadKind(self.kinds))
        _check_hash(self, self.map_hash)


@dataclass(frozen=True, slots=True)
class UploadCommitAnswer(FixedBody):
    """The map that is active now.

    Attributes
    ----------
    map_hash : bytes
        Its hash.
    """

    map_hash: bytes

    LAYOUT: ClassVar[Struct] = Struct("<32s")

    def __post_init__(self) -> None:
        _check_hash(self, self.map_hash)
