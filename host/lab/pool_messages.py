"""What a worker and the pool say to each other, and the memory in which they hand over windows.

A message is a JSON document after its length, then bytes after theirs. With the first request of a
connection, and whenever it needs more room, the worker sends a descriptor of memory that both of
them map: it writes the reads at its beginning, then the last frame of the window before where a
network has memory, and the pool the video behind them.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import struct
import sys
import tempfile
from typing import Any, NamedTuple

_LENGTHS = struct.Struct("<II")
_MAX_BYTES = 1 << 28
"""Of a message; the largest map has fewer."""


class Message(NamedTuple):
    """A message as it came.

    Attributes
    ----------
    document : dict
    body : bytes
        Empty in most messages.
    memory : int or None
        A descriptor, which is the receiver's from now on.
    """

    document: dict[str, Any]
    body: bytes
    memory: int | None


def send(
    sock: socket.socket, document: dict[str, Any], body: bytes = b"", memory: int | None = None
) -> None:
    """Send a message; `memory` is a descriptor that goes with it."""
    text = json.dumps(document).encode()
    lengths = _LENGTHS.pack(len(text), len(body))
    if memory is None:
        sock.sendall(lengths + text + body)
        return
    socket.send_fds(sock, [lengths], [memory])
    sock.sendall(text + body)


def receive(sock: socket.socket) -> Message | None:
    """Wait for a message; None where the other end has hung up.

    Raises
    ------
    OSError
        The connection broke, or what came is no message.
    """
    head, descriptors, _, _ = socket.recv_fds(sock, _LENGTHS.size, 1)
    memory = descriptors[0] if descriptors else None
    try:
        if not head:
            return None
        head += _whole(sock, _LENGTHS.size - len(head))
        text_bytes, body_bytes = _LENGTHS.unpack(head)
        if text_bytes + body_bytes > _MAX_BYTES:
            raise OSError(f"a message of {text_bytes + body_bytes:,} bytes")
        document = json.loads(_whole(sock, text_bytes))
        if not isinstance(document, dict):
            raise OSError("a message is an object of JSON")
        return Message(document, _whole(sock, body_bytes), memory)
    except (OSError, ValueError) as error:
        if memory is not None:
            os.close(memory)
        raise OSError(f"what came is no message ({error})") from None


def new_memory(size: int) -> tuple[int, mmap.mmap]:
    """Return the descriptor of `size` bytes of memory that has no name, and the memory."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("focalloop-windows")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor, mmap.mmap(descriptor, size)


def _whole(sock: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    view, at = memoryview(data), 0
    while at < count:
        got = sock.recv_into(view[at:])
        if not got:
            raise OSError("the other end hung up within a message")
        at += got
    return bytes(data)
