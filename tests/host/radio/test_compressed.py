"""Compressed windows over a link."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.bitstream import CodedWindow, Source
from focalloop.firmware_sim.radio.budget import PUBLISHED, capacity
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.header import HEADER_BYTES
from focalloop.host.radio.compressed import Compressed
from focalloop.host.radio.ldpc import Bitstream, MeasuredLink, symbols_of
from focalloop.host.radio.methods import Sensing, SymbolBudgetError

GOOD = Channel("awgn", 10)
MAP = RatioMap.from_tile(np.array([[2]]), (16, 32))
READS = np.random.default_rng(0).random((8, 16, 32), np.float32)


class Rounding:
    """A codec whose bytes are the reads, rounded: 20 qualities, of 100 bytes more each."""

    qualities = 20

    def source(self, ratio_map: RatioMap) -> Source:
        return Source(ratio_map.hash(), b"codec")

    def encode(self, reads: np.ndarray, quality: int) -> CodedWindow:
        kept = np.rint(255 * reads).astype(np.uint8).ravel()[: 100 * (quality + 1)]
        return CodedWindow(*reads.shape[1:], quality, kept.tobytes())

    def decode(self, window: CodedWindow) -> np.ndarray:
        assert len(window.data) == 100 * (window.quality + 1)
        reads = np.zeros(8 * window.height * window.width, np.float32)
        reads[: len(window.data)] = np.frombuffer(window.data, np.uint8) / np.float32(255)
        return reads.reshape(8, window.height, window.width)


def method(link: object, quality: int | None = None) -> Compressed:
    sensing = Sensing(MAP, lambda reads, _: reads)
    return Compressed("compr-ldpc", sensing, Rounding(), link, quality)  # type: ignore[arg-type]


@pytest.mark.parametrize("link", [None, MeasuredLink()])
@pytest.mark.parametrize("symbols", [700, 2000, 4000])
def test_the_best_quality_that_fits_arrives(link: MeasuredLink | None, symbols: int) -> None:
    delivery = method(link).send(READS, GOOD, np.random.default_rng(0), symbols)
    assert delivery.bits is not None
    size = delivery.bits // 8
    assert delivery.symbols.total <= symbols

    def cost(size: int) -> float:
        if link is not None:
            return symbols_of(size, PUBLISHED, GOOD).total
        return 8 * (size + HEADER_BYTES) / capacity(GOOD)

    assert delivery.symbols.total == pytest.approx(cost(size), abs=2)
    assert cost(size + 100) > symbols - 2
    assert delivery.reads is not None
    assert np.allclose(delivery.reads.ravel()[:size], READS.ravel()[:size], atol=0.002)


def test_a_quality_for_all_windows_ignores_the_default_budget() -> None:
    delivery = method(None, quality=3).send(READS, GOOD, np.random.default_rng(0))
    assert delivery.bits == 3200


@pytest.mark.parametrize("symbols", [200, 9000])
@pytest.mark.parametrize("link", [None, MeasuredLink()])
def test_impossible_budgets_are_refused_with_the_limits(
    link: MeasuredLink | None, symbols: int
) -> None:
    made, rng = method(link), np.random.default_rng(0)
    with pytest.raises(SymbolBudgetError, match=f"with {symbols:,} symbols: the least is") as said:
        made.send(READS, GOOD, rng, symbols)
    least = made.send(READS, GOOD, rng, said.value.least)
    assert (least.bits, least.symbols.total) == (800, said.value.least)
    # A window takes no more than its best quality does, and none more than its reads would raw.
    most = made.send(READS, GOOD, rng, said.value.most)
    assert most.bits == 16000
    assert most.symbols.total < said.value.most
    raw = method(link).send(READS, GOOD, rng, said.value.most).symbols.total * 1024 / 1000
    assert said.value.most == pytest.approx(raw, rel=0.02)


@pytest.mark.parametrize(("pixels", "bits"), [((16, 32), 800), ((160, 320), 16000)])
def test_where_none_are_asked_for_the_nearest_possible_budget_is_met(
    pixels: tuple[int, int], bits: int
) -> None:
    sensing = Sensing(RatioMap.from_tile(np.array([[1]]), pixels), lambda reads, _: reads)
    made = Compressed("compr-cap", sensing, Rounding(), None)  # type: ignore[arg-type]
    reads = np.ones((8, *pixels), np.float32)
    assert made.send(reads, GOOD, np.random.default_rng(0)).bits == bits


def test_a_failed_block_loses_the_window() -> None:
    bad = Channel("awgn", 5)
    delivery = method(MeasuredLink(), quality=2).send(READS, bad, np.random.default_rng(0))
    assert delivery.lost
    assert delivery.block_errors > 0
    assert delivery.bits == 2400


def test_a_window_of_another_codec_is_refused() -> None:
    class Other(MeasuredLink):
        def send(
            self, data: bytes, channel: Channel, rng: np.random.Generator, label: bytes = b""
        ) -> Bitstream:
            return super().send(data, channel, rng, bytes(4) + label[4:])

    with pytest.raises(RadioError, match="another ratio map or by another codec"):
        method(Other(), quality=2).send(READS, GOOD, np.random.default_rng(0))
