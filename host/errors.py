"""Expected failures of the host: each text says what was wrong and what to do."""

from __future__ import annotations

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.wire import ErrorCode


class PortError(FocalloopError):
    """A port cannot be opened: missing, busy, not permitted, or no such address."""


class NotABoardError(PortError):
    """A port opened, and what is behind it does not speak the protocol."""


class VersionMismatchError(FocalloopError):
    """The board speaks another version of the protocol."""


class BoardLostError(FocalloopError):
    """The board vanished and was not back in the time allowed."""


class CaptureInterruptedError(BoardLostError):
    """The board vanished while it made windows that it does not make again by itself."""


class BoardBusyError(FocalloopError):
    """The board does something else for this program already."""


class NoAnswerError(BoardLostError):
    """A request was repeated until its time was over, and no answer came."""


class UnknownMapError(FocalloopError):
    """The board runs a ratio map that this program was never told."""


class BoardError(FocalloopError):
    """The board refused a request.

    Attributes
    ----------
    code : ErrorCode or int
        Kind of refusal; an int where the board named a kind that this version does not know.
    text : str
        The board's own words.
    """

    def __init__(self, request: str, code: int, text: str) -> None:
        self.code = ErrorCode(code) if code in set(ErrorCode) else code
        self.text = text
        name = self.code.name if isinstance(self.code, ErrorCode) else f"error {code}"
        super().__init__(f"the board refused {request} ({name}): {text}")


class CaptureError(FocalloopError):
    """A capture folder is missing, incomplete, damaged or of another kind."""


def sentence(text: object) -> str:
    """Return an error or message as a sentence: capitalised, with a full stop at its end."""
    words = str(text)
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "?", "!")) else ".")
