"""Compression of a stream within a budget of symbols, over a link with measured block errors."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.bitstream import CodedWindow, Source
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.host.live.steady_compression import SteadyCompression
from focalloop.host.radio.methods import Sensing, SymbolBudgetError
from focalloop.host.reconstruction.reconstruct import NetworkFree

MAP = RatioMap.load("tile-2of16", shape=(16, 16))
READS = np.ones((8, 16, 16), np.float32)


class CountingCodec:
    """Spends as many bytes per quality as the window is bright; counts what it is asked for."""

    qualities = 64

    def __init__(self):
        self.asked = []

    def source(self, ratio_map):
        return Source(ratio_map.hash(), b"codec")

    def encode(self, reads, quality):
        self.asked.append(quality)
        return CodedWindow(16, 16, quality, bytes(int(100 + 20 * quality * reads.max())))

    def decode(self, window):
        return np.full((8, 16, 16), window.quality, np.float32)


@pytest.fixture
def codec():
    return CountingCodec()


@pytest.fixture
def method(codec):
    return SteadyCompression(Sensing(MAP, NetworkFree()), codec)


def send(method, snr_db=15.0, symbols=3000, reads=READS):
    return method.send(reads, Channel("awgn", snr_db), np.random.default_rng(1), symbols)


def test_a_steady_stream_is_compressed_once_a_window(method, codec):
    first = send(method)
    assert 0.9 * 3000 < first.symbols.total <= 3000
    codec.asked.clear()
    for _ in range(5):
        assert 0.9 * 3000 < send(method).symbols.total <= 3000
    assert len(codec.asked) <= 6


@pytest.mark.parametrize("brightness", [0.8, 2.0])
def test_the_quality_follows_the_scene_and_the_budget_is_never_exceeded(method, brightness):
    send(method)
    sent = [send(method, reads=READS * brightness) for _ in range(40)]
    assert all(each.symbols.total <= 3000 for each in sent)
    assert sent[-1].symbols.total > 0.9 * 3000


def test_another_budget_is_met_at_once(method):
    send(method)
    assert 0.9 * 1500 < send(method, symbols=1500).symbols.total <= 1500
    assert 0.9 * 2500 < send(method, symbols=2500).symbols.total <= 2500


def test_a_budget_that_no_quality_meets_is_refused(method):
    send(method)
    with pytest.raises(SymbolBudgetError):
        send(method, symbols=60)


def test_an_easy_scene_may_leave_symbols(method, codec):
    assert send(method, symbols=100_000).symbols.total < 5000
    codec.asked.clear()
    assert not send(method, symbols=100_000).lost
    assert codec.asked == [codec.qualities - 1]


def test_it_is_whole_above_the_cliff_and_lost_below(method):
    above = send(method, snr_db=12.0)
    assert not above.lost
    assert above.block_errors == 0
    below = send(method, snr_db=6.0)
    assert below.lost
    assert below.block_errors > 1
