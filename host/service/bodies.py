"""Bodies of requests: read whole before any route runs, up to a limit in size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 << 10
"""Largest body of a request, but for those of `LARGER`; JSON documents are far smaller."""

MAX_MAP_BYTES = 4 << 20
"""Largest body of a map upload; useful map files are far smaller."""

MAX_VIDEO_BYTES = 16 << 20
"""Largest body of frames for a video: a window of 16 slots at 1024x1024."""

MAX_WAITING_BYTES = 512 << 20
"""Largest sum of the bodies of all requests that are not answered yet.

The first `MAX_BODY_BYTES` of each do not count, so that small requests never lack room.
"""

LARGER = {
    ("PUT", "/api/map"): (MAX_MAP_BYTES, "A map file has at most {size}; the board keeps its map."),
    ("POST", "/api/map/read"): (MAX_MAP_BYTES, "A map file has at most {size}."),
    ("POST", "/api/video.mp4"): (MAX_VIDEO_BYTES, "The frames of a video have at most {size}."),
}
"""Requests with a larger limit, and the sentence for a body beyond it."""

BODY_TIMEOUT_S = 60.0
"""Time for a whole body: 4 MiB at half a megabit per second."""

_TOO_LONG = "The body of this request has at most {size}."


class RequestBodies:
    """ASGI middleware that hands on each request with its whole body, or refuses it.

    A client that leaves before its body is complete gets no answer, and no route hears of it.

    Parameters
    ----------
    app : ASGIApp
        Application behind it.
    path_of : callable, optional
        Returns the path that `LARGER` has for a request's.
    limit : int, optional
        Largest body of all others, bytes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path_of: Callable[[str], str] = str,
        limit: int = MAX_BODY_BYTES,
    ) -> None:
        self._app, self._path_of, self._limit = app, path_of, limit
        self._waiting_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then pass the request on or refuse it with one sentence."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit, too_long = LARGER.get(
            (scope["method"], self._path_of(scope["path"])), (self._limit, _TOO_LONG)
        )
        headers = None
        with self._room() as take:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    body = await _read(scope, receive, limit, take)
            except TimeoutError:
                status, sentence = 408, f"The body did not arrive within {BODY_TIMEOUT_S:g} s."
            except _TooLongError:
                size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
                status, sentence = 413, too_long.format(size=size)
            except _NoRoomError:
                status, sentence = 503, "Too much waits for an answer: send this again in a moment."
                headers = {"retry-after": "1"}
            else:
                if body is not None:
                    await self._app(scope, _replayed(body, receive), send)
                return
        await JSONResponse({"detail": sentence}, status, headers)(scope, receive, send)

    @contextmanager
    def _room(self) -> Iterator[Callable[[int], None]]:
        """Yield what takes room for a body of so many bytes until now; it is given back."""
        taken = 0

        def take(length: int) -> None:
            nonlocal taken
            more = max(length - MAX_BODY_BYTES, 0) - taken
            if self._waiting_bytes + more > MAX_WAITING_BYTES:
                raise _NoRoomError
            self._waiting_bytes += more
            taken += more

        try:
            yield take
        finally:
            self._waiting_bytes -= taken


class _TooLongError(Exception):
    pass


class _NoRoomError(Exception):
    pass


async def _read(
    scope: Scope, receive: Receive, limit: int, take: Callable[[int], None]
) -> bytes | None:
    """Read a body of at most `limit` bytes; None if the client leaves before its end."""
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isascii() and announced.isdecimal() and int(announced[:20]) > limit:
        raise _TooLongError
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > limit:
            raise _TooLongError
        take(length)
        if not message.get("more_body", False):
            return b"".join(parts)  # copied once, however long it is


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body at once, and then whatever comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
