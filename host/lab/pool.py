"""The pool of a lab: the process that rebuilds the windows of all boards.

A worker asks for a turn, hands over the newest window that it has by then, and gets its video.
Turns go to who has waited longest, watched boards ahead of windows of recordings. So nothing queues
but the wish for a turn: a window that a newer one has replaced costs nothing.
"""

from __future__ import annotations

import fcntl
import logging
import math
import mmap
import os
import select
import socket
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.lab.pool_messages import Message, receive, send
from focalloop.host.lab.unix_sockets import listening
from focalloop.host.reconstruction.bundle import Bundle, BundleError
from focalloop.host.reconstruction.onnx_network import OnnxReconstructor
from focalloop.host.reconstruction.reconstruct import NETWORK_FREE, NetworkFree, ReconstructError

_TURN_TIMEOUT_S = 20.0
"""Longest time from one message to the next inside a turn, which a worker that hangs then loses."""

_BEHIND_S = 1.0
_KEPT_NETWORKS, _KEPT_MAPS = 8, 4

_log = logging.getLogger("focalloop.lab")


class Turns:
    """Who may rebuild: so many at a time, who has waited longest first.

    Watched boards are ahead of windows of recordings, which must not wait for good either: these
    count as if they had come `_BEHIND_S` later.

    Parameters
    ----------
    count : int
        Turns at a time.
    """

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()
        self._free, self._arrivals = count, 0
        self._waiting: list[tuple[float, int]] = []

    def take(self, watched: bool) -> None:
        """Wait for a turn."""
        with self._changed:
            mine = (time.monotonic() + (0.0 if watched else _BEHIND_S), self._arrivals)
            self._arrivals += 1
            self._waiting.append(mine)
            while not self._free or mine != min(self._waiting):
                self._changed.wait()
            self._waiting.remove(mine)
            self._free -= 1
            self._changed.notify_all()

    def give_back(self) -> None:
        """End a turn."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class SharedNetworks:
    """The networks that are loaded, each once, however many boards use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._networks: OrderedDict[str, OnnxReconstructor] = OrderedDict()

    def load(self, digest: str, name: str) -> OnnxReconstructor:
        """Return the network of the bundle `name` whose file has this SHA-256.

        Raises
        ------
        BundleError, ReconstructError
            The bundle cannot be used, or has another network by now.
        """
        with self._lock:
            if digest not in self._networks:
                bundle = Bundle.load(name)
                if bundle.meta["sha256"][bundle.meta["network"]] != digest:
                    raise BundleError(
                        f"the network of the bundle {name} is not the one that was chosen: choose "
                        "it again"
                    )
                self._networks[digest] = bundle.reconstructor(threads=1)
                while len(self._networks) > _KEPT_NETWORKS:
                    self._networks.popitem(last=False)
            self._networks.move_to_end(digest)
            return self._networks[digest]


class _Client:
    """One connection of a worker.

    Parameters
    ----------
    sock : socket.socket
        Its end here.
    """

    def __init__(self, sock: socket.socket, turns: Turns, networks: SharedNetworks) -> None:
        self._sock, self._turns, self._networks = sock, turns, networks
        self._network_free = NetworkFree()
        self._maps: OrderedDict[str, RatioMap] = OrderedDict()
        self._memory: mmap.mmap | None = None
        self._has_turn = False

    def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            with self._sock, suppress(OSError):
                while (message := receive(self._sock)) is not None:
                    send(self._sock, self._answer(message))
        finally:
            self._end_turn()

    def _answer(self, message: Message) -> dict[str, Any]:
        try:
            match message.document:
                case {"memory": int(size)} if message.memory is not None:
                    self._memory = mmap.mmap(message.memory, size)
                    os.close(message.memory)
                case {"turn": "watched" | "recorded" as kind} if not self._has_turn:
                    self._turns.take(kind == "watched")
                    self._has_turn = True
                    self._sock.settimeout(_TURN_TIMEOUT_S)
                case {"turn": "over"}:
                    self._end_turn()
                    self._sock.settimeout(None)
                case {"map": str(name), "levels_bytes": int(count)}:
                    body, aperture = message.body[:count], message.body[count:]
                    self._maps[name] = RatioMap.unpack(body, aperture or None)
                    while len(self._maps) > _KEPT_MAPS:
                        self._maps.popitem(last=False)
                case {"network": str(), "map": str(name)}:
                    if name not in self._maps:
                        return {"lacks": "map"}
                    return {"memory": self._rebuild(message.document, self._maps[name])}
                case {"network": str(digest), "bundle": str(bundle)}:
                    return {"memory": self._networks.load(digest, bundle).uses_last}
                case _:
                    raise ReconstructError("the pool does not know such a request")
        except FocalloopError as error:
            return {"error": str(error)}
        except Exception as error:  # one window or network, which the others must not feel
            _log.exception("a window could not be rebuilt")
            return {"error": f"it could not be rebuilt ({type(error).__name__}: {error})"}
        return {}

    def _rebuild(self, wanted: dict[str, Any], ratio_map: RatioMap) -> bool:
        """Rebuild the reads in the memory, and write the video behind what was given there.

        Returns
        -------
        bool
            Whether the network has memory.
        """
        if not self._has_turn or self._memory is None:
            raise ReconstructError("a window is rebuilt in a turn, and handed over in memory")
        values = np.frombuffer(self._memory, np.float32)
        shape = tuple(wanted["reads"])
        reads_end = math.prod(shape)
        given_end = reads_end + (math.prod(ratio_map.shape) if wanted["last"] else 0)
        reads, last = values[:reads_end].reshape(shape), values[reads_end:given_end]
        video_shape = (ratio_map.slots, *ratio_map.shape)
        place = values[given_end : given_end + math.prod(video_shape)].reshape(video_shape)
        if wanted["network"] == NETWORK_FREE:
            place[:] = self._network_free(reads, ratio_map)
            return False
        s_ss, s_r = wanted["noise"]
        network = self._networks.load(wanted["network"], wanted["bundle"]).told((s_ss, s_r))
        before = last.reshape(ratio_map.shape) if last.size else None
        network(reads, ratio_map, before, out=place)
        return network.uses_last

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.give_back()


def run_pool(path: Path, count: int, parent: int) -> None:
    """Rebuild windows until `parent` is at its end.

    Parameters
    ----------
    path : Path
        Socket to listen on.
    count : int
        Windows that are rebuilt at a time.
    parent : int
        Descriptor of a pipe from whoever has started the pool.
    """
    turns, networks = Turns(count), SharedNetworks()
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # that of a gateway which has crashed is ending
        with listening(path) as sock:
            awaited: list[socket.socket | int] = [sock, parent]
            while parent not in select.select(awaited, [], [])[0]:
                client = _Client(sock.accept()[0], turns, networks)
                threading.Thread(target=client.run, name="focalloop-client", daemon=True).start()
