"""The interface of the methods that send sensor data over a radio channel."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.host.radio.methods import (
    METHODS,
    Delivery,
    Sensing,
    SymbolBudgetError,
    default_symbols,
    load_method,
)
from focalloop.host.reconstruction.reconstruct import NetworkFree

COUNT = SymbolCount(payload=100, rate_map=20, header=30)


@pytest.fixture
def sensing():
    return Sensing(RatioMap.load("tile-2of16", shape=(16, 24)), NetworkFree())


def test_a_lost_window_is_shown_as_mid_grey(sensing):
    lost = Delivery(reads=None, video=None, symbols=COUNT, bits=None, block_errors=1)
    assert lost.lost
    video = sensing.video(lost)
    assert video.shape == (16, 16, 24)
    assert (video == 0.5).all()


def test_measurements_are_reconstructed_and_video_is_shown_as_it_is(sensing):
    reads = np.full((8, 16, 24), 0.25, np.float32)
    delivery = Delivery(reads=reads, video=None, symbols=COUNT, bits=None, block_errors=0)
    assert np.array_equal(sensing.video(delivery), NetworkFree()(reads, sensing.ratio_map))
    video = np.full((16, 16, 24), 0.75, np.float32)
    delivery = Delivery(reads=None, video=video, symbols=COUNT, bits=800, block_errors=0)
    assert sensing.video(delivery) is video
    assert not delivery.lost


def test_all_parts_of_a_window_count(sensing):
    assert COUNT.total == 150


def test_a_budget_out_of_range_names_the_range():
    text = str(SymbolBudgetError("semcom", 7, 1024, 25000))
    assert "7 symbols" in text
    assert "1,024" in text
    assert "25,000" in text


def test_the_default_is_counted_per_pixel():
    assert default_symbols(256, 256) == 13107
    assert default_symbols(512, 256) == 26214


def test_an_unknown_method_is_refused_with_the_known_ones(sensing):
    with pytest.raises(RadioError, match=r"no method 'morse'.*semcom"):
        load_method("morse", sensing)
    assert set(METHODS) == {
        "semcom", "semcom-noran", "compr-cap", "compr-ldpc", "jscc", "h264-ldpc", "linear"
    }  # fmt: skip
