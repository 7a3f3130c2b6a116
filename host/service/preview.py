"""The preview socket: pictures against credit, always the newest and never a queue.

A viewer grants credit for one window at a time and gets the newest one; windows for which it was
too slow are not sent. States go out as JSON text beside the binary pictures, four times per second.

All of it runs in the event loop. The session's threads only wake it (`_wake`).
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from focalloop.host.live.state import LiveSource, Picture
from focalloop.host.service.packets import pack_picture, pack_readout

STATE_PERIOD_S = 0.25
MAX_STEP = 16
_PROTOCOL_ERROR = 1003


class BadMessageError(ValueError):
    """A viewer sent something that is not a message of the protocol."""


@dataclass
class _Viewer:
    """What one page has asked for and what it was sent."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    credit: int = 0
    step: int = 4
    reads: bool = False
    seen: Picture | None = None


async def preview(socket: WebSocket, source: LiveSource) -> None:
    """Serve one viewer until it leaves."""
    await socket.accept()
    viewer = _Viewer()
    loop = asyncio.get_running_loop()
    unsubscribe = source.subscribe(lambda: _wake(loop, viewer))
    sender = asyncio.create_task(_send(socket, source, viewer))
    try:
        while True:
            text = await socket.receive_text()
            _handle(text, source, viewer)
    except (BadMessageError, KeyError) as error:
        with suppress(RuntimeError):
            await socket.close(_PROTOCOL_ERROR, str(error)[:120])
    except WebSocketDisconnect:
        pass
    finally:
        unsubscribe()
        source.want(viewer, None)
        sender.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await sender


def _wake(loop: asyncio.AbstractEventLoop, viewer: _Viewer) -> None:
    with suppress(RuntimeError):  # the loop has ended, and the session's threads have not
        loop.call_soon_threadsafe(viewer.wake.set)


def _handle(text: str, source: LiveSource, viewer: _Viewer) -> None:
    """Handle a message of a viewer: credit for a window, or the report that one was drawn."""
    try:
        message: Any = json.loads(text)
    except ValueError as error:
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
            source.want(viewer, step if credit else None)
            viewer.wake.set()
        case _:
            raise BadMessageError('neither {"credit": 1, "step": n} nor {"drawn": window}')


async def _send(socket: WebSocket, source: LiveSource, viewer: _Viewer) -> None:
    loop = asyncio.get_running_loop()
    state_due_s = loop.time()
    while True:
        wait_s = state_due_s - loop.time()
        if wait_s <= 0:
            await socket.send_text(json.dumps(asdict(source.state()), allow_nan=False))
            state_due_s = loop.time() + STATE_PERIOD_S
        picture = source.picture()
        if viewer.credit and picture is not None and _is_wanted(picture, viewer):
            viewer.credit, viewer.seen = 0, picture
            source.want(viewer, None)  # costs nothing until the viewer asks again
            reads, viewer.reads = viewer.reads, False
            await socket.send_bytes(pack_picture(picture, viewer.step))
            if reads:
                await socket.send_bytes(pack_readout(picture))
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(viewer.wake.wait(), max(wait_s, 0.0))
        viewer.wake.clear()


def _is_wanted(picture: Picture, viewer: _Viewer) -> bool:
    # A picture made before the viewer asked for more slots lacks some of them.
    return picture is not viewer.seen and viewer.step % picture.slots.step == 0
