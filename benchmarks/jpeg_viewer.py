"""A viewer that takes its pictures as JPEG: its bytes, and how near they are to the raw planes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from benchmarks.report import Row
from focalloop.host.reconstruction.quality import mse, psnr_of_mean
from focalloop.host.service.packets import HAS_TRUTH, HEADER

STEP = 8
"""Slots from one that is sent to the next, as the page wants them over a network."""

WINDOWS = 40
BYTES_LIMIT_MB_PER_S = 3.0
NEARNESS_LIMIT_DB = 45.0


def jpeg_viewer(url: str, windows_per_s: float) -> Iterator[Row]:
    """Take the same `WINDOWS` by two sockets, as JPEG and raw.

    Parameters
    ----------
    url : str
        Of the page.
    windows_per_s : float
        For which the bytes per second are told.
    """
    address = url.replace("http", "ws", 1) + "ws/preview"
    sizes: list[int] = []
    errors: dict[str, list[float]] = {"scene": [], "initial": [], "final": []}
    with (
        connect(address, max_size=None, compression=None) as packed,
        connect(address, max_size=None, compression=None) as raw,
    ):
        while len(sizes) < WINDOWS:
            for socket, jpeg in ((packed, True), (raw, False)):
                socket.send(json.dumps({"credit": 1, "step": STEP, "jpeg": jpeg}))
            messages = [_picture(socket) for socket in (packed, raw)]
            numbers = {HEADER.unpack_from(message)[9] for message in messages}
            if len(numbers) > 1:
                continue  # one had a newer window
            sizes.append(len(messages[0]))
            both = zip(_decoded(messages[0]), _planes(messages[1]), strict=True)
            for of_kind, (coded, exact) in zip(errors.values(), both, strict=True):
                of_kind.append(mse(coded, exact))
    rate = 1e-6 * windows_per_s * float(np.mean(sizes))
    yield Row.of("pictures as JPEG, bytes", rate, "MB/s", "limit", BYTES_LIMIT_MB_PER_S)
    for kind, of_windows in errors.items():
        name, value = f"pictures as JPEG, {kind} to raw", psnr_of_mean(of_windows)
        yield Row.of(name, value, "dB", "least", NEARNESS_LIMIT_DB)


def _picture(socket: ClientConnection) -> bytes:
    """Return the next picture, between which come states."""
    while not isinstance(message := socket.recv(), bytes):
        pass
    return message


def _planes(message: bytes) -> NDArray[np.uint8]:
    """Return scene, initial and final of a raw picture, (3, n, H, W)."""
    *_, count, flags, height, width = HEADER.unpack_from(message)[:8]
    assert flags == HAS_TRUTH, "the emulator knows its scene, and its map has no grid"
    return np.frombuffer(message, np.uint8, offset=HEADER.size).reshape(3, count, height, width)


def _decoded(message: bytes) -> Iterator[NDArray[np.uint8]]:
    """Yield scene, initial and final of a picture as JPEG, (n, H, W) each."""
    *_, count, _, height, width = HEADER.unpack_from(message)[:8]
    at = HEADER.size
    while at < len(message):
        begin, at = at + 4, at + 4 + int.from_bytes(message[at : at + 4], "little")
        code = np.frombuffer(message[begin:at], np.uint8)
        pixels = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)
        yield pixels.reshape(count, height, width)
