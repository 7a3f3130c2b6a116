"""Frames on a byte stream: COBS between zero bytes, a fixed header and a CRC-32.

A frame on the line is ``00 | COBS(header, body, crc32) | 00`` with ``header`` packed as
``<BBBHH``: protocol version, type, flags, sequence, body length. The CRC is zlib's, over header
and body, little-endian. COBS leaves no zero inside a frame, so a receiver that lost its place
resynchronises at the next zero byte. Header and CRC are the same in every protocol version, so a
frame of another version can still be recognised and answered.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from struct import Struct

from cobs import cobs

from focalloop.firmware_sim.errors import FocalloopError

PROTOCOL_VERSION = 1
"""Version in every frame header; raised when a message changes incompatibly."""

DEFAULT_MAX_PAYLOAD = 1024
"""Longest body, in bytes, that both sides accept before HELLO negotiates another limit."""

MIN_MAX_PAYLOAD = 256
"""Smallest limit that a side may state in HELLO; every answer without payload data fits."""

LARGE_MAX_PAYLOAD = 32 * 1024
"""Longest body of the host and of the emulator, where memory is not a concern."""

FLAG_RESPONSE = 0x01
"""The frame answers the request of the same sequence number."""

FLAG_ERROR = 0x02
"""The answer is an error; its body is an `focalloop.firmware_sim.wire.ErrorAnswer`."""

_HEADER = Struct("<BBBHH")
_CRC = Struct("<I")
FRAME_OVERHEAD = _HEADER.size + _CRC.size
"""Bytes of header and CRC around a body, before COBS."""


class WireError(FocalloopError):
    """A frame or message body violates the protocol, or a value does not fit it."""


def encoded_limit(max_payload: int) -> int:
    """Return the longest COBS code, without zero bytes, of a frame with a body of `max_payload`."""
    raw = max_payload + FRAME_OVERHEAD
    return raw + raw // 254 + 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes
    ----------
    type : int
        A `focalloop.firmware_sim.wire.MessageType`, or any other byte that a peer sent.
    sequence : int
        0..65535. A request's own number, repeated by its answer; in frames that a board sends
        unrequested, a count of such frames, by which the host can tell how many were lost.
    body : bytes
        Packed message, no longer than negotiated.
    flags : int
        Sum of ``FLAG_*``.
    version : int
        Protocol version of the sender.
    crc : int
        CRC-32 as received; 0 in a frame not decoded from a line. Not part of equality.
    """

    type: int
    sequence: int
    body: bytes = b""
    flags: int = 0
    version: int = PROTOCOL_VERSION
    crc: int = field(default=0, compare=False)

    @property
    def is_response(self) -> bool:
        """Whether the frame answers a request."""
        return bool(self.flags & FLAG_RESPONSE)

    @property
    def is_error(self) -> bool:
        """Whether the frame is an error answer."""
        return bool(self.flags & FLAG_ERROR)

    def encode(self) -> bytes:
        """Return the bytes for the line, including both zero bytes.

        Raises
        ------
        WireError
            If the body is longer than the header can state (65535 bytes).
        """
        if len(self.body) > 0xFFFF:
            raise WireError(f"a frame body has at most 65535 bytes, not {len(self.body)}")
        header = _HEADER.pack(self.version, self.type, self.flags, self.sequence, len(self.body))
        content = header + self.body
        code: bytes = cobs.encode(content + _CRC.pack(zlib.crc32(content)))
        return b"\0" + code + b"\0"


def decode_frame(code: bytes) -> Frame:
    """Decode the bytes between two zero bytes.

    Parameters
    ----------
    code : bytes
        COBS code of one frame, without zero bytes.

    Raises
    ------
    WireError
        If the COBS code, the CRC or the length field is wrong.
    """
    try:
        content = cobs.decode(code)
    except cobs.DecodeError as error:
        raise WireError(f"not a frame: {error}") from error
    body_length = len(content) - FRAME_OVERHEAD
    if body_length < 0:
        raise WireError(f"not a frame: {len(content)} bytes are fewer than header and CRC need")
    (crc,) = _CRC.unpack_from(content, len(content) - _CRC.size)
    if zlib.crc32(memoryview(content)[: -_CRC.size]) != crc:
        raise WireError("not a frame: the CRC does not match")
    version, type_, flags, sequence, length = _HEADER.unpack_from(content)
    if length != body_length:
        raise WireError(f"not a frame: it says {length} body bytes and has {body_length}")
    body = content[_HEADER.size : _HEADER.size + length]
    return Frame(type_, sequence, body, flags, version, crc)


class FrameDecoder:
    """Decodes frames from a byte stream that may contain anything.

    Memory is bounded by the longest frame: longer data without a zero byte is dropped and counts as
    one bad frame. A damaged frame costs only itself, or itself and its neighbour if the damage
    joined the two.

    Parameters
    ----------
    max_payload : int
        Longest body accepted, in bytes; longer frames count as bad.

    Attributes
    ----------
    good, bad : int
        Frames accepted and rejected since the decoder was made.
    """

    def __init__(self, max_payload: int = LARGE_MAX_PAYLOAD) -> None:
        self.good = 0
        self.bad = 0
        self._max_payload = max_payload
        self._limit = encoded_limit(max_payload)
        self._partial = bytearray()
        self._overrun = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the stream and return the frames they complete, in order."""
        *complete, rest = data.split(b"\0")
        frames = []
        for piece in complete:
            if self._partial or self._overrun:
                self._extend(piece)
                piece = bytes(self._partial)
                self._partial.clear()
                if self._overrun:
                    self._overrun = False
                    self.bad += 1
                    continue
            if not piece:
                continue
            frame = self._decode(piece)
            if frame is not None:
                frames.append(frame)
        self._extend(rest)
        return frames

    def clear(self) -> None:
        """Drop an unfinished frame, as after the line was closed and reopened."""
        self._partial.clear()
        self._overrun = False

    def _extend(self, piece: bytes) -> None:
        if self._overrun or len(self._partial) + len(piece) > self._limit:
            self._overrun = True
            self._partial.clear()
        else:
            self._partial += piece

    def _decode(self, piece: bytes) -> Frame | None:
        try:
            frame = decode_frame(piece) if len(piece) <= self._limit else None
        except WireError:
            frame = None
        if frame is None or len(frame.body) > self._max_payload:
            self.bad += 1
            return None
        self.good += 1
        return frame
