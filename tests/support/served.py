"""Small emulated boards, served on a real pty or TCP port, whose every code is known."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import numpy as np

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.firmware_sim.noise import preset
from focalloop.firmware_sim.serving.transport import PtyServer, TcpServer
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings

SHAPE = (32, 48)
"""Height and width of their pixel arrays."""


class Scene:
    """A different and reproducible scene in every window."""

    shape = SHAPE
    slots = 16

    def window(self, index):
        return np.random.default_rng(index).integers(0, 256, (16, *SHAPE), np.uint8)

    def close(self):
        pass


class Reader:
    """Codes that differ by window, map and place, so that any mistake on the way shows."""

    def __init__(self, ratio_map, profile, seed, pattern):
        self.ratio_map, self.bits = ratio_map, profile.bits

    def read_out(self, scene, first_window=0):
        return expected_codes(self.ratio_map, first_window, self.bits)


def expected_codes(ratio_map, window, bits=16):
    """The codes that a board with a `Reader` sends of a window."""
    seed = int.from_bytes(ratio_map.hash()[:4], "little") + window
    high, dtype = (256, np.uint8) if bits <= 8 else (65536, np.uint16)
    return np.random.default_rng(seed).integers(0, high, ReadPlan.of(ratio_map).count, dtype)


def assert_exact(window):
    """Fail unless a window holds exactly the codes that the board sent."""
    np.testing.assert_array_equal(
        window.codes, expected_codes(window.ratio_map, window.number, window.bits)
    )


def make_map(seed=0):
    """A map without a tile, so that its upload takes several chunks of 1 KiB."""
    return RatioMap.random(SHAPE, seed=seed)


def make_adaptive_map(seed=0, block=16):
    """An adaptive map whose palette reads from nothing to four times per pixel."""
    tiles = np.random.default_rng(seed).choice([0, 1, 2, 4], (6, 4, 4))
    return AdaptiveMap(make_map(seed), np.concatenate([tiles, np.zeros((1, 4, 4), int)]), block)


def make_board(**settings):
    """A board with these `BoardSettings`; `profile` is the name of a preset."""
    profile = preset(settings.pop("profile", "paper"))
    return VirtualBoard(Scene(), BoardSettings(profile=profile, **settings), make_reader=Reader)


@contextmanager
def serving(server):
    """Run a server in a thread while the context lasts."""
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
    """Serve a board on a pseudo-terminal."""
    return serving(PtyServer(board or make_board(), **options))


def on_tcp(board=None, **options):
    """Serve a board on a free TCP port."""
    return serving(TcpServer(board or make_board(), **options))


def free_port():
    """The number of a TCP port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
