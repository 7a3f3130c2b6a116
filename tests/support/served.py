"""Boards for tests: really served, on a pty or TCP, with a line that can be made bad."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from contextlib import contextmanager

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.serving.transport import PtyServer, TcpServer
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings

SHAPE = (32, 48)


class Scene:
    """A different, known scene in every window."""

    shape = SHAPE
    slots = 16

    def window(self, index):
        return np.random.default_rng(index).integers(0, 256, (16, *SHAPE), np.uint8)

    def close(self):
        pass


class Reader:
    """Codes that tell window, map and place apart, so that any mistake on the way shows."""

    def __init__(self, ratio_map, profile, seed):
        self.ratio_map, self.bits = ratio_map, profile.bits

    def read_out(self, scene, first_window=0):
        return expected_codes(self.ratio_map, first_window, self.bits)


def expected_codes(ratio_map, window, bits=16):
    seed = int.from_bytes(ratio_map.hash()[:4], "little") + window
    high, dtype = (256, np.uint8) if bits <= 8 else (65536, np.uint16)
    return np.random.default_rng(seed).integers(0, high, ReadPlan.of(ratio_map).count, dtype)


def assert_exact(window):
    np.testing.assert_array_equal(
        window.codes, expected_codes(window.ratio_map, window.number, window.bits)
    )


def make_map(seed=0):
    """A map that repeats no tile, so that its upload takes several chunks at 1 KiB."""
    return RatioMap.random(SHAPE, seed=seed)


def make_board(**settings):
    profile = preset(settings.pop("profile", "paper"))
    return VirtualBoard(Scene(), BoardSettings(profile=profile, **settings), make_reader=Reader)


@contextmanager
def serving(server):
    """Serve in a thread while the context lasts."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    with server:
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join(10)
            assert not thread.is_alive()


def on_pty(board=None, **options):
    return serving(PtyServer(board or make_board(), **options))


def on_tcp(board=None, **options):
    return serving(TcpServer(board or make_board(), **options))


class Damage:
    """Damages bytes in passing: flips, drops, doubles and swaps them, seeded.

    Parameters
    ----------
    rate : float
        Events a byte.
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
    """A TCP line between a host and a board that can damage, stall and cut what it carries."""

    def __init__(self, target, damage=None):
        self.target = target
        self.damage = damage or (lambda data: data)
        self.cut_after = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self.listener.getsockname()[1]}"
        self.carried = 0
        self._up = True
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
        """Cut the line and refuse new ones."""
        self._up = False

    def up(self):
        self._up = True

    def cut(self, after_bytes):
        """Cut the line once, after so many more bytes."""
        self.cut_after = self.carried + after_bytes

    def _run(self):
        while not self._ending:
            ready, _, _ = select.select([self.listener], [], [], 0.02)
            if not ready:
                continue
            host, _ = self.listener.accept()
            with host:
                if self._up:
                    self._carry(host)

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


def wait_until(condition, timeout_s=30.0):
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def noise(seed, count):
    return random.Random(seed).randbytes(count)
