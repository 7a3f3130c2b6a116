"""TCP lines between a host and a board that damage, stall or cut what they carry."""

from __future__ import annotations

import random
import select
import socket
import threading

import numpy as np


class Damage:
    """Damages bytes as they pass: flips bits, and drops, doubles and swaps bytes, from a seed.

    Parameters
    ----------
    rate : float
        Probability of damage per byte.
    """

    def __init__(self, seed, rate):
        self.rng = np.random.default_rng(seed)
        self.rate = rate
        self.events = 0

    def __call__(self, data):
        hits = np.flatnonzero(self.rng.random(len(data)) < self.rate)
        self.events += len(hits)
        out, done = bytearray(), 0
        for at in hits.tolist():
            out += data[done:at]
            fate = self.rng.integers(4)
            if fate == 0:
                out.append(data[at] ^ (1 << int(self.rng.integers(8))))
            elif fate == 1:
                out += bytes([data[at], data[at]])
            elif fate == 2:
                out[-1:] = bytes([data[at]]) + out[-1:]
            done = at + 1
        return bytes(out + data[done:])


class Proxy:
    """A TCP line to a board, at a port of its own.

    Attributes
    ----------
    url : str
        Where a host opens it.
    damage : callable
        Takes the bytes that pass, either way, and returns what arrives.
    """

    def __init__(self, target, damage=None):
        self.target = target
        self.damage = damage or (lambda data: data)
        self.cut_after = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self.listener.getsockname()[1]}"
        self.carried = 0
        self._up = True
        self._idle = threading.Event()
        self._idle.set()
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending = True
        self._thread.join(10)
        self.listener.close()

    def down(self):
        """Cut the line and accept no new connection; nothing passes once this has returned."""
        self._up = False
        assert self._idle.wait(10)

    def up(self):
        """Accept connections again."""
        self._up = True

    def cut(self, after_bytes):
        """Cut the line once, after this many more bytes; connections are accepted again at once."""
        self.cut_after = self.carried + after_bytes

    def _run(self):
        while not self._ending:
            ready, _, _ = select.select([self.listener], [], [], 0.02)
            if not ready:
                continue
            host, _ = self.listener.accept()
            with host:
                self._idle.clear()
                if self._up:
                    self._carry(host)
                self._idle.set()

    def _carry(self, host):
        try:
            board = socket.create_connection(self.target)
        except OSError:
            return
        with board:
            while self._up and not self._ending:
                ready, _, _ = select.select([host, board], [], [], 0.02)
                for end in ready:
                    try:
                        data = end.recv(65536)
                        if not data:
                            return
                        (board if end is host else host).sendall(self.damage(data))
                    except OSError:
                        return
                    self.carried += len(data)
                    if self.cut_after is not None and self.carried >= self.cut_after:
                        self.cut_after = None
                        return


def noise(seed, count):
    """Random bytes, from a seed."""
    return random.Random(seed).randbytes(count)
