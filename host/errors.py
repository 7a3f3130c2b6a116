"""Expected failures of the host; each text says what was wrong and what to do."""

from __future__ import annotations

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.wire import ErrorCode


class PortError(FocalloopError):
    """A port cannot be opened: missing, busy, not permitted, or no such address."""


class PortMissingError(PortError):
    """There is no such port, or nothing listens at it; it may yet come."""


class NotABoardError(PortError):
    """A port can be opened, but what is behind it does not speak the protocol."""


class VersionMismatchError(FocalloopError):
    """The board speaks another version of the protocol than this program."""


class BoardLostError(FocalloopError):
    """The board has vanished and did not come back in the time allowed."""


class CaptureInterruptedError(BoardLostError):
    """The board vanished during a capture, which it does not repeat by itself."""


class BoardBusyError(FocalloopError):
    """The board is already streaming or capturing for this program."""


class NoAnswerError(BoardLostError):
    """A request was repeated until its time was over, without an answer."""


class UnknownMapError(FocalloopError):
    """The board runs no ratio map, or one that this program does not have."""


class BoardError(FocalloopError):
    """The board refused a request.

    Attributes
    ----------
    code : ErrorCode or int
        Kind of refusal; an int where this version does not know the kind.
    text : str
        The board's explanation.
    """

    def __init__(self, request: str, code: int, text: str) -> None:
        self.code = ErrorCode(code) if code in set(ErrorCode) else code
        self.text = text
        name = self.code.name if isinstance(self.code, ErrorCode) else f"error {code}"
        super().__init__(f"the board refused {request} ({name}): {text}")


class FaultyBoardError(FocalloopError):
    """The board breaks the protocol, by an impossible answer or by one that never comes."""


class CaptureError(FocalloopError):
    """A capture folder is missing, incomplete, damaged, or not a capture."""


class RecordingError(CaptureError):
    """A recording is missing, damaged, not one, or cannot be written."""


def sentence(text: object) -> str:
    """Return an error or message as a sentence: capitalised, with a full stop at its end."""
    words = str(text)
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "?", "!")) else ".")
