"""What a board answers, unpacked; an answer that is no such message is the board's fault."""

from __future__ import annotations

from typing import Protocol, Self, TypeVar

from focalloop.firmware_sim.wire import MessageType, WireError
from focalloop.host.errors import FaultyBoardError


class _Message(Protocol):
    @classmethod
    def unpack(cls, body: bytes) -> Self: ...


M = TypeVar("M", bound=_Message)


def unpacked(message: type[M], request: MessageType, body: bytes) -> M:
    """Return the `message` in the body of the answer to a request.

    Raises
    ------
    FaultyBoardError
        It is not such a message.
    """
    try:
        return message.unpack(body)
    except WireError as error:
        raise FaultyBoardError(
            f"the board answers {request.name} against the protocol: {error}; "
            "its firmware is faulty or of another version"
        ) from error
