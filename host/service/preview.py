"""The preview socket: pictures against credit, always the newest and never a queue.

A viewer grants credit for one window at a time and gets the newest one; windows for which it was
too slow are not sent. States go out as JSON text beside the binary pictures, four times per second
and to all viewers at once. What several viewers are sent is built once (`Previews`).

All of it runs in the event loop. The session's threads only wake it (`_wake`), and only for viewers
that wait for a picture.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from focalloop.host.live.state import LiveSource, Picture
from focalloop.host.service.packets import pack_picture, pack_readout

STATE_PERIOD_S = 0.25
"""Time from one state to the next, by the loop's clock: all viewers are sent it at once."""
MAX_STEP = 16
_PROTOCOL_ERROR, _SERVICE_ERROR = 1003, 1011
_MAX_REASON_BYTES = 123
"""By RFC 6455, a control frame has 125 bytes, two of which are the code."""

_log = logging.getLogger("focalloop.service")


class BadMessageError(ValueError):
    """A viewer sent something that is not a message of the protocol."""


@dataclass
class _Viewer:
    """What one page has asked for and what it was sent."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    credit: int = 0
    step: int = 4
    jpeg: bool = False
    reads: bool = False
    beside: bool = False
    seen: Picture | None = None


class Previews:
    """The viewers' sockets of one session.

    Parameters
    ----------
    source : LiveSource
        The session.
    """

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self._tick = -1
        self._state = ""
        self._picture: Picture | None = None
        self._packed: dict[tuple[int, bool, bool], bytes] = {}

    def state(self, tick: int) -> str:
        """Return the state as JSON, which is built once per tick of `STATE_PERIOD_S`."""
        if tick != self._tick:
            self._state = json.dumps(asdict(self._source.state()), allow_nan=False)
            self._tick = tick
        return self._state

    def packed(self, picture: Picture, step: int, *, jpeg: bool, beside: bool) -> bytes:
        """Return the message with a picture, which is packed once for all who want it alike."""
        if picture is not self._picture:
            self._picture, self._packed = picture, {}
        form = (step, jpeg, beside)
        if form not in self._packed:
            self._packed[form] = pack_picture(picture, step, jpeg=jpeg, beside=beside)
        return self._packed[form]

    async def serve(self, socket: WebSocket) -> None:
        """Serve one viewer until it leaves, or until either direction fails."""
        await socket.accept()
        viewer, source = _Viewer(), self._source
        loop = asyncio.get_running_loop()
        unsubscribe = source.subscribe(lambda: _wake(loop, viewer))
        directions = [
            asyncio.create_task(_receive(socket, source, viewer)),
            asyncio.create_task(self._send(socket, viewer)),
        ]
        try:
            done, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            error = next(task.exception() for task in done)
        finally:
            unsubscribe()
            source.want(viewer, None)
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        await _close(socket, error)

    async def _send(self, socket: WebSocket, viewer: _Viewer) -> None:
        loop, source = asyncio.get_running_loop(), self._source
        told = -1
        while True:
            tick = int(loop.time() / STATE_PERIOD_S)
            if tick != told:
                await socket.send_text(self.state(tick))
                told = tick
            picture = source.picture()
            if viewer.credit and picture is not None and _is_wanted(picture, viewer):
                viewer.credit, viewer.seen = 0, picture
                source.want(viewer, None)  # costs nothing until the viewer asks again
                reads, viewer.reads = viewer.reads, False
                await socket.send_bytes(
                    self.packed(picture, viewer.step, jpeg=viewer.jpeg, beside=viewer.beside)
                )
                if reads:
                    await socket.send_bytes(pack_readout(picture))
                continue
            wait_s = (told + 1) * STATE_PERIOD_S - loop.time()
            with suppress(TimeoutError):
                await asyncio.wait_for(viewer.wake.wait(), max(wait_s, 0.0))
            viewer.wake.clear()


async def _close(socket: WebSocket, error: BaseException | None) -> None:
    """Say why the socket ends, unless the viewer has left."""
    if error is None or isinstance(error, WebSocketDisconnect):
        return
    code, reason = _PROTOCOL_ERROR, str(error)
    if not isinstance(error, BadMessageError):
        code, reason = _SERVICE_ERROR, f"the service failed: {type(error).__name__}: {error}"
        _log.error("a viewer's socket was closed, because %s", reason, exc_info=error)
    with suppress(RuntimeError):  # it is closed already
        await socket.close(code, reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))


def _wake(loop: asyncio.AbstractEventLoop, viewer: _Viewer) -> None:
    if not viewer.credit:
        return
    with suppress(RuntimeError):  # the loop has ended, and the session's threads have not
        loop.call_soon_threadsafe(viewer.wake.set)


async def _receive(socket: WebSocket, source: LiveSource, viewer: _Viewer) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            raise BadMessageError("messages of a viewer are text")
        _handle(text, source, viewer)


def _handle(text: str, source: LiveSource, viewer: _Viewer) -> None:
    """Handle a message of a viewer: credit for a window, or the report that one was drawn."""
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError) as error:  # the latter where it is nested too deeply
        raise BadMessageError("not JSON") from error
    match message:
        case {"drawn": int(window)} if 0 <= window < 1 << 32:
            source.drawn(window)
        case {"credit": 0 | 1 as credit, "step": int(step), **rest} if (
            0 < step <= MAX_STEP and not step & (step - 1)
        ):
            viewer.credit = int(credit)
            viewer.step = step
            viewer.reads = rest.get("reads") is True
            viewer.jpeg = rest.get("jpeg") is True
            viewer.beside = rest.get("beside") is True
            source.want(viewer, step if credit else None, beside=viewer.beside)
            viewer.wake.set()
        case _:
            raise BadMessageError('neither {"credit": 1, "step": n} nor {"drawn": window}')


def _is_wanted(picture: Picture, viewer: _Viewer) -> bool:
    # A picture made before the viewer asked for more slots, or for the second bundle, lacks them.
    lacks = viewer.step % picture.slots.step != 0 or (
        viewer.beside and picture.beside_setup != 0 and picture.beside is None
    )
    return picture is not viewer.seen and not lacks
