"""The preview socket: pictures against credit, the newest first and never a queue.

A viewer grants credit for one window at a time and gets the newest there is; what it was too slow
for is gone. States go out as JSON text beside the binary pictures, a few times a second.
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
LARGEST_STEP = 16
_PROTOCOL_ERROR = 1003


class BadMessageError(ValueError):
    """A viewer sent something that is no message of the protocol."""


@dataclass
class _Viewer:
    """What one page has asked for and was given."""

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
            _take(text, source, viewer)
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
    with suppress(RuntimeError):  # the loop ends before the session's threads do
        loop.call_soon_threadsafe(viewer.wake.set)


def _take(text: str, source: LiveSource, viewer: _Viewer) -> None:
    """Take one message of a viewer: credit for a window, or a window that it has drawn."""
    try:
        message: Any = json.loads(text)
    except ValueError as error:
        raise BadMessageError("not JSON") from error
    match message:
        case {"drawn": int(window)} if 0 <= window < 1 << 32:
            source.drawn(window)
        case {"credit": 0 | 1 as credit, "step": int(step), **rest} if (
            0 < step <= LARGEST_STEP and not step & (step - 1)
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
        if viewer.credit and picture is not None and _is_news(picture, viewer):
            viewer.credit, viewer.seen = 0, picture
            source.want(viewer, None)  # until it asks again, what it wants costs nothing
            reads, viewer.reads = viewer.reads, False
            await socket.send_bytes(pack_picture(picture, viewer.step))
            if reads:
                await socket.send_bytes(pack_readout(picture))
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(viewer.wake.wait(), max(wait_s, 0.0))
        viewer.wake.clear()


def _is_news(picture: Picture, viewer: _Viewer) -> bool:
    # A picture made before the viewer asked for more slots lacks some of them.
    return picture is not viewer.seen and viewer.step % picture.slots.step == 0
