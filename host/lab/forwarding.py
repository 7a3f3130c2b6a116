"""Requests to the workers over their Unix sockets: the gateway's own, and those passed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from focalloop.firmware_sim.errors import FocalloopError

ASK_TIMEOUT_S = 5.0
"""Longest wait for the answer to a request of the gateway's own."""

_CHUNK_BYTES = 1 << 16
_SERVICE_ERROR = 1011
Headers = list[tuple[bytes, bytes]]

_OF_CONNECTION = frozenset(
    [b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"trailer"]
)
"""Headers that say how a message is sent over one connection."""

_OF_GATEWAY = _OF_CONNECTION | {
    *(b"host", b"origin", b"content-length", b"expect", b"proxy-connection"),
    *(b"authorization", b"cookie", b"focalloop-lease"),
}
"""Headers of a client's request that are for the gateway alone."""


class WorkerGoneError(FocalloopError):
    """The worker of a board does not answer: it is starting, or has crashed."""


@dataclass
class Answer:
    """A worker's answer, whose body is read as it comes."""

    status: int
    headers: Headers
    body: AsyncIterator[bytes]


@asynccontextmanager
async def requested(
    path: Path, method: str, target: bytes, headers: Headers, body: bytes
) -> AsyncIterator[Answer]:
    """Send a request to a worker, and yield its answer; leaving the block hangs up.

    Raises
    ------
    WorkerGoneError
        Nobody answers there, or the answer breaks off.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError as error:
        raise WorkerGoneError(
            f"the worker of the board {path.stem} does not answer ({error.strerror}): it is being "
            "started; try again in a moment"
        ) from None
    try:
        connection = h11.Connection(h11.CLIENT)
        sent = [
            (b"host", b"worker"),
            (b"connection", b"close"),
            (b"content-length", str(len(body)).encode()),
            *headers,
        ]
        for event in (
            h11.Request(method=method, target=target, headers=sent),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            writer.write(connection.send(event) or b"")
        head = await _next(connection, reader, path)
        assert isinstance(head, h11.Response)
        kept = [(name, value) for name, value in head.headers if name not in _OF_CONNECTION]
        yield Answer(head.status_code, kept, _data(connection, reader, path))
    finally:
        writer.close()


async def ask(
    path: Path,
    method: str,
    target: str,
    document: Any = None,  # noqa: ANN401 - any JSON value
    timeout_s: float = ASK_TIMEOUT_S,
) -> Any:  # noqa: ANN401 - any JSON value
    """Send a request of the gateway's own; return the document of the answer, or its text.

    Raises
    ------
    WorkerGoneError
        There is no answer in time.
    WorkerRefusedError
        The worker refused.
    """
    body = b"" if document is None else json.dumps(document).encode()
    headers = [] if document is None else [(b"content-type", b"application/json")]
    try:
        async with (
            asyncio.timeout(timeout_s),
            requested(path, method, target.encode(), headers, body) as answer,
        ):
            data = b"".join([chunk async for chunk in answer.body])
    except TimeoutError:
        raise WorkerGoneError(
            f"the worker of the board {path.stem} did not answer within {timeout_s:g} s"
        ) from None
    is_json = any(value.startswith(b"application/json") for _, value in answer.headers)
    found: Any = json.loads(data) if is_json and data else data.decode()
    if answer.status >= 400:
        raise WorkerRefusedError(answer.status, str(found["detail"] if is_json else found))
    return found


class WorkerRefusedError(FocalloopError):
    """A worker refused a request, with a status of HTTP."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of a client's request that its worker gets."""
    return [(name, value) for name, value in headers if name.lower() not in _OF_GATEWAY]


async def relay(socket: WebSocket, path: Path, target: str) -> None:
    """Connect a viewer to the socket of a worker until either hangs up."""
    try:
        async with unix_connect(
            str(path), f"ws://worker{target}", compression=None, max_size=None, ping_interval=None
        ) as worker:
            await socket.accept()
            directions = [
                asyncio.create_task(_up(socket, worker)),
                asyncio.create_task(_down(socket, worker)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in directions:
                    task.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
    except (OSError, InvalidHandshake):
        with suppress(RuntimeError):
            await socket.close(_SERVICE_ERROR, "the worker of the board does not answer")


async def _up(socket: WebSocket, worker: ClientConnection) -> None:
    """Pass on what the viewer sends."""
    with suppress(WebSocketDisconnect, ConnectionClosed):
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            await worker.send(message["bytes"] if text is None else text)


async def _down(socket: WebSocket, worker: ClientConnection) -> None:
    """Pass on what the worker sends, and how it ends."""
    code, reason = _SERVICE_ERROR, "the worker of the board has ended"
    with suppress(WebSocketDisconnect, RuntimeError):
        try:
            async for message in worker:
                if isinstance(message, str):
                    await socket.send_text(message)
                else:
                    await socket.send_bytes(message)
        except ConnectionClosed:
            pass
        if worker.close_code not in (None, 1000, 1006):
            code, reason = worker.close_code or code, worker.close_reason or ""
        await socket.close(code, reason)


async def _next(connection: h11.Connection, reader: asyncio.StreamReader, path: Path) -> Any:  # noqa: ANN401 - h11's events
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK_BYTES))
    except (h11.RemoteProtocolError, OSError) as error:
        raise WorkerGoneError(_broken_off(path, error)) from None
    if isinstance(event, h11.ConnectionClosed):
        raise WorkerGoneError(_broken_off(path, OSError("the connection was closed")))
    return event


async def _data(
    connection: h11.Connection, reader: asyncio.StreamReader, path: Path
) -> AsyncIterator[bytes]:
    while isinstance(event := await _next(connection, reader, path), h11.Data):
        yield bytes(event.data)


def _broken_off(path: Path, error: Exception) -> str:
    return f"the worker of the board {path.stem} broke off its answer ({error})"
