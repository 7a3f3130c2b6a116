"""The refusal of a request."""

from __future__ import annotations

from focalloop.firmware_sim.wire import ErrorCode


class Refusal(Exception):  # noqa: N818 (an answer to a request, not a fault)
    """Becomes the error answer to the current request, which must not have changed anything yet.

    Parameters
    ----------
    code : ErrorCode
        Kind of error.
    text : str
        One sentence for a person: what was wrong, with which value, what to do.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
