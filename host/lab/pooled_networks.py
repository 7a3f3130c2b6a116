"""The networks of a board's worker, which run in the pool of the lab."""

from __future__ import annotations

import math
import mmap
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.lab.pool_messages import new_memory, receive, send
from focalloop.host.live.networks import Network, NetworksAwayError
from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.reconstruction.reconstruct import (
    NETWORK_FREE,
    Float32,
    ReconstructError,
    Reconstructor,
)
from focalloop.models import zoo

_TIMEOUT_S = 60.0
"""Longest wait for a turn, or for a window, before the pool counts as away."""

_VALUE_BYTES = 4


class PooledNetworks:
    """Networks in the pool of a lab, where others have their turns too.

    Parameters
    ----------
    path : Path
        Socket of the pool.
    watched : bool
        Whether somebody looks at what comes: such windows are first.

    Attributes
    ----------
    with_memory : set of str
        Networks of which the pool has said that they have memory.
    """

    def __init__(self, path: Path, *, watched: bool) -> None:
        self.network_free: Reconstructor = _Remote(self, {"network": NETWORK_FREE})
        self._path, self._watched = path, watched
        self._sock: socket.socket | None = None
        self._memory: mmap.mmap | None = None
        self._turn, self._closing = threading.Lock(), threading.Lock()
        self._closed = False
        self.with_memory: set[str] = set()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn in the pool, and keep it while the block lasts."""
        with self._turn:
            try:
                if self._sock is None:
                    self._connect()
                self._ask({"turn": "watched" if self._watched else "recorded"})
                yield
                self._ask({"turn": "over"})
            except BaseException:
                self._disconnect()  # which ends the turn, too
                raise

    def load(self, name: str, bundle: Bundle) -> Network:
        """Let the pool load the network of a bundle, or do so later if it is away."""
        path = name if name in zoo.BUNDLES else str(Path(name).absolute())
        wanted = {
            "network": bundle.meta["sha256"][bundle.meta["network"]],
            "bundle": path,
            "noise": bundle.noise_profile.shot_and_read(),
        }
        with suppress(OSError), closing(_connected(self._path)) as sock:
            send(sock, wanted)
            self._learn(wanted, _answer(sock))
        return _Remote(self, wanted)

    def close(self) -> None:
        """End the present turn and every later one."""
        with self._closing:
            self._closed = True
            if self._sock is not None:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)

    def rebuild(
        self,
        wanted: dict[str, Any],
        reads: Float32,
        ratio_map: RatioMap,
        last: Float32 | None = None,
    ) -> Float32:
        """Let the pool rebuild ``reads (R, H, W)`` to ``(T, H, W)``, inside a turn.

        Parameters
        ----------
        wanted : dict
            Network to use, as in a request to the pool.
        reads, ratio_map, last
            As for `OnnxReconstructor`.
        """
        shape = (ratio_map.slots, *ratio_map.shape)
        remembered = np.zeros(0, np.float32) if last is None else last
        given, count = reads.size + remembered.size, math.prod(shape)
        memory = self._memory_for(_VALUE_BYTES * (given + count))
        place = np.frombuffer(memory, np.float32, given)
        place[: reads.size], place[reads.size :] = reads.reshape(-1), remembered.reshape(-1)
        request = {
            **wanted,
            "map": ratio_map.hash_hex,
            "reads": reads.shape,
            "last": last is not None,
        }
        answer = self._ask(request)
        if answer.get("lacks") == "map":
            aperture = b"" if ratio_map.aperture is None else ratio_map.pack_aperture()
            packed = ratio_map.pack()
            about = {"map": ratio_map.hash_hex, "levels_bytes": len(packed)}
            self._ask(about, packed + aperture)
            answer = self._ask(request)
        self._learn(wanted, answer)
        video = np.frombuffer(memory, np.float32, count, _VALUE_BYTES * given)
        return video.reshape(shape).copy()

    def _learn(self, wanted: dict[str, Any], answer: dict[str, Any]) -> None:
        if answer.get("memory"):
            self.with_memory.add(wanted["network"])

    def _connect(self) -> None:
        with self._closing:
            if self._closed:
                raise NetworksAwayError("the session has ended")
            try:
                self._sock = _connected(self._path)
            except OSError as error:
                raise _away(error) from None

    def _disconnect(self) -> None:
        with self._closing:
            if self._sock is not None:
                self._sock.close()
            self._sock = self._memory = None

    def _memory_for(self, size: int) -> mmap.mmap:
        """Return memory that the pool has too, for the reads and the video of a window."""
        if self._memory is None or len(self._memory) < size:
            descriptor, memory = new_memory(size)
            try:
                self._ask({"memory": size}, memory=descriptor)
            finally:
                os.close(descriptor)
            self._memory = memory
        return self._memory

    def _ask(
        self, document: dict[str, Any], body: bytes = b"", memory: int | None = None
    ) -> dict[str, Any]:
        """Send a request inside a turn, and return its answer."""
        assert self._sock is not None, "windows are rebuilt inside a turn"
        try:
            send(self._sock, document, body, memory)
            return _answer(self._sock)
        except OSError as error:
            raise _away(error) from None


@dataclass(frozen=True)
class _Remote:
    """A network in the pool, or no network."""

    networks: PooledNetworks
    wanted: dict[str, Any]

    @property
    def uses_last(self) -> bool:
        """Whether it is a network with memory; not before the pool has said so."""
        return self.wanted["network"] in self.networks.with_memory

    def __call__(self, reads: Float32, ratio_map: RatioMap, last: Float32 | None = None) -> Float32:
        return self.networks.rebuild(self.wanted, reads, ratio_map, last)

    def told(self, noise: tuple[float, float]) -> _Remote:
        return replace(self, wanted={**self.wanted, "noise": noise})


def _connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(_TIMEOUT_S)
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


def _answer(sock: socket.socket) -> dict[str, Any]:
    """Wait for an answer; an error in it is raised."""
    message = receive(sock)
    if message is None:
        raise OSError("it hung up")
    if "error" in message.document:
        raise ReconstructError(message.document["error"])
    return message.document


def _away(error: OSError) -> NetworksAwayError:
    return NetworksAwayError(
        f"the pool that rebuilds windows does not answer ({error}): they are shown again as soon "
        "as it is back, which takes seconds, and are recorded meanwhile"
    )
