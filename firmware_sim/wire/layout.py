"""Packing of message bodies: fixed layouts, short byte lists, checked lengths."""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from enum import IntEnum
from struct import Struct
from typing import ClassVar, Self, TypeVar

from focalloop.firmware_sim.wire.framing import WireError

E = TypeVar("E", bound=IntEnum)


def pack(message: object, layout: Struct, *values: object) -> bytes:
    """Pack `values` of `message`; WireError if one does not fit."""
    try:
        return layout.pack(*values)
    except (struct.error, OverflowError) as error:
        raise WireError(f"{message} does not fit its layout: {error}") from error


def check_length(kind: type, body: bytes, size: int) -> None:
    """WireError unless `body` has exactly `size` bytes."""
    if len(body) != size:
        raise WireError(f"a {kind.__name__} of {len(body)} bytes should have {size}")


def check_min_length(kind: type, body: bytes, size: int) -> None:
    """WireError unless `body` has `size` bytes or more."""
    if len(body) < size:
        raise WireError(f"a {kind.__name__} of {len(body)} bytes should have {size} or more")


def pack_short(message: object, data: bytes) -> bytes:
    """Put one length byte before `data`."""
    if len(data) > 255:
        raise WireError(f"{type(message).__name__}: texts and lists hold 255 bytes at most")
    return bytes([len(data)]) + data


def take_short(kind: type, body: bytes, at: int) -> tuple[bytes, int]:
    """Return the data behind the length byte at `at`, and where it ends."""
    end = at + 1 + body[at] if at < len(body) else len(body) + 1
    if end > len(body):
        raise WireError(f"a {kind.__name__} ends inside a text or list")
    return body[at + 1 : end], end


def decode_text(kind: type, data: bytes) -> str:
    """Decode UTF-8 text to one printable line; WireError if it is invalid."""
    try:
        return printable(data.decode())
    except UnicodeDecodeError as error:
        raise WireError(f"a {kind.__name__} holds a text that is not UTF-8") from error


def decode_prose(data: bytes) -> str:
    """Decode UTF-8 text for a person to one printable line; invalid bytes are replaced."""
    return printable(data.decode(errors="replace"))


def printable(text: str) -> str:
    """Return `text` as one line without control characters, so that a terminal only shows it."""
    if text.isprintable():
        return text
    spaced = (char if char.isprintable() else " " if char.isspace() else "" for char in text)
    return "".join(spaced)


def member(kind: type[E], value: int) -> E:
    """Return the member of `kind` with this value; WireError if there is none."""
    try:
        return kind(value)
    except ValueError:
        raise WireError(f"{value} is not a {kind.__name__}") from None


@dataclass(frozen=True, slots=True)
class FixedBody:
    """A body of fixed length: the fields of the dataclass in order, packed as `LAYOUT`."""

    LAYOUT: ClassVar[Struct]

    def pack(self) -> bytes:
        """Bytes of the body."""
        return pack(self, self.LAYOUT, *(getattr(self, item.name) for item in fields(self)))

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Body from its bytes, whose number must be that of the layout."""
        check_length(cls, body, cls.LAYOUT.size)
        return cls(*cls.LAYOUT.unpack(body))
