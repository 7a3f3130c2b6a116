"""Windows as H.264 streams, and the method that sends them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.budget import PUBLISHED
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.radio.h264 import H264Method, decoded, encoded
from focalloop.host.radio.ldpc import Bitstream, symbols_of
from focalloop.host.radio.methods import Sensing, SymbolBudgetError, default_symbols
from focalloop.host.reconstruction.quality import psnr

CHANNEL = Channel("awgn", 10)


def moving(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    t = np.arange(16)[:, None, None]
    video = 0.5 + 0.5 * np.sin(0.2 * x + 0.1 * y + 0.3 * t)
    return (video**2).astype(np.float32)


@dataclass
class Line:
    """A link that changes nothing, or loses everything."""

    loses: bool = False
    scheme = PUBLISHED

    def send(
        self, data: bytes, channel: Channel, rng: np.random.Generator, label: bytes = b""
    ) -> Bitstream:
        symbols, lost = symbols_of(len(data), self.scheme, channel), self.loses
        return Bitstream(None if lost else data, label, 8 * len(data), symbols, int(lost))


def sensing(video: np.ndarray) -> Sensing:
    return Sensing(RatioMap.from_tile(np.array([[1]]), video.shape[1:]), lambda reads, _: video)


@pytest.mark.parametrize("shape", [(48, 64), (33, 50), (16, 16)])
def test_a_window_of_any_size_comes_back_in_full_range(shape: tuple[int, int]) -> None:
    video = moving(*shape)
    fine, coarse = encoded(video, 10), encoded(video, 35)
    assert len(coarse) < len(fine)
    # Limited range, read as full, would cost 20 dB and black and white.
    shown = decoded(fine)
    assert shown.shape == video.shape
    assert psnr(shown, video) > 45
    assert 25 < psnr(decoded(coarse), video) < psnr(shown, video) - 5


def test_a_stream_holds_parameters_and_pictures_alone() -> None:
    units = encoded(moving(32, 32), 30).split(b"\x00\x00\x01")[1:]
    assert [unit[0] & 31 for unit in units] == [7, 8, 5, *[1] * 15]  # SPS, PPS, IDR, 15 others


def test_a_damaged_stream_is_refused() -> None:
    with pytest.raises(RadioError, match=r"H\.264 stream"):
        decoded(b"\x00\x00\x01\x67nothing")


@pytest.mark.parametrize("symbols", [3000, 8000])
def test_a_budget_is_met_and_never_exceeded(symbols: int) -> None:
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.standard_normal((160, 160)), 1.5)
    views = [texture[k : k + 128, 2 * k : 2 * k + 128] for k in range(16)]
    video = np.clip(0.5 + np.stack(views) + 0.02 * rng.standard_normal((16, 128, 128)), 0, 1)
    method = H264Method(sensing(video.astype(np.float32)), Line())
    delivery = method.send(np.zeros((8, 128, 128), np.float32), CHANNEL, rng, symbols)
    assert 0.97 * symbols <= delivery.symbols.total <= symbols
    assert delivery.video is not None
    assert delivery.reads is None


def test_impossible_budgets_are_refused_with_the_limits() -> None:
    method = H264Method(sensing(moving(64, 64)), Line())
    reads, rng = np.zeros((8, 64, 64), np.float32), np.random.default_rng(0)
    for symbols in (10, 1_000_000):
        with pytest.raises(SymbolBudgetError, match=f"with {symbols:,} symbols: the least is"):
            method.send(reads, CHANNEL, rng, symbols)


@pytest.mark.parametrize(
    "video", [np.random.default_rng(0).random((16, 16, 16), np.float32), moving(64, 64)]
)
def test_where_none_are_asked_for_the_nearest_possible_budget_is_met(video: np.ndarray) -> None:
    method, rng = H264Method(sensing(video), Line()), np.random.default_rng(0)
    reads = np.zeros((8, *video.shape[1:]), np.float32)
    with pytest.raises(SymbolBudgetError) as limits:
        method.send(reads, CHANNEL, rng, 1)
    spent = method.send(reads, CHANNEL, rng).symbols.total
    wanted = default_symbols(*video.shape[1:])
    nearest = min(max(wanted, limits.value.least), limits.value.most)
    assert 0.9 * nearest <= spent <= nearest


def test_a_stream_that_is_lost_leaves_nothing() -> None:
    method = H264Method(sensing(moving(32, 32)), Line(loses=True), crf=30)
    reads, rng = np.zeros((8, 32, 32), np.float32), np.random.default_rng(0)
    delivery = method.send(reads, CHANNEL, rng)
    assert delivery.lost
    assert delivery.block_errors == 1
    assert delivery.symbols.total > 0
