"""The radio link of a live session: choices, windows that are carried, and what it shows."""

from __future__ import annotations

import numpy as np
import pytest

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.transmission import SymbolCount
from focalloop.host.live.radio_link import RadioLink
from focalloop.host.live.radio_state import RadioChoice
from focalloop.host.radio.methods import Delivery, SymbolBudgetError
from tests.support.made_windows import make_window
from tests.support.served import make_map

MAP, OTHER = make_map(), make_map(seed=1)
RATES = np.arange(6, dtype=np.uint8).reshape(2, 3)


def carry(link, window):
    return link.receive(link.transmit(window, window.reads))


class Halver:
    """Delivers half of every measurement, and nothing below 0 dB."""

    name = "semcom"

    def __init__(self):
        self.sent = []

    def depart(self, reads, channel, rng, symbols=None):
        self.sent.append((channel, symbols))
        if symbols < 50:
            raise SymbolBudgetError("semcom", symbols, 50, 90)
        lost = channel.snr_db < 0
        return lambda: Delivery(
            None if lost else reads / 2,
            None,
            SymbolCount(symbols - 12, 2, 10),
            None,
            int(lost),
            None if lost else RATES,
        )


@pytest.fixture
def methods():
    """What was loaded, by name."""
    return {}


@pytest.fixture
def link(methods):
    def load(name, sensing, model):
        assert (name, model) == ("semcom", "mine")
        if sensing.ratio_map == OTHER:
            methods.setdefault("refused", []).append(name)
            raise RadioError("the networks are for another map")
        return methods.setdefault(name, Halver())

    return RadioLink("semcom", "awgn", 10.0, model="mine", load=load)


def test_a_window_is_carried_and_shown(link, methods):
    window = make_window(3, MAP)
    carried = carry(link, window)
    np.testing.assert_array_equal(carried.reads, window.reads / 2)
    assert carried.lost is None
    choice = carried.choice
    height, width = window.ratio_map.shape
    assert choice == RadioChoice("semcom", "awgn", 10.0, round(0.2 * height * width))
    state = link.state()
    assert state.choice == choice
    assert state.min_symbols < choice.symbols < state.max_symbols
    assert (state.payload_symbols, state.rate_map_symbols, state.header_symbols) == (
        choice.symbols - 12, 2, 10
    )  # fmt: skip
    assert state.rate_map == ("012", "345")
    assert (state.windows_sent, state.windows_lost, state.lost, state.problem) == (1, 0, False, "")
    assert state.link_ms > 0


def test_a_choice_takes_effect_with_the_next_window_and_counts_anew(link, methods):
    carry(link, make_window(3, MAP))
    link.choose(RadioChoice("semcom", "rayleigh", -3.0, 77))
    carried = carry(link, make_window(3, MAP))
    assert carried.reads is None
    assert carried.lost.shape == (16, *MAP.shape)
    assert (carried.lost == 0.5).all()
    channel, symbols = methods["semcom"].sent[-1]
    assert (channel.kind, channel.snr_db, symbols) == ("rayleigh", -3.0, 77)
    state = link.state()
    assert (state.windows_sent, state.windows_lost, state.lost) == (1, 1, True)
    assert state.rate_map == ()


def test_symbols_out_of_reach_are_the_nearest_that_can_be_sent_and_that_is_said(link):
    link.choose(RadioChoice("semcom", "awgn", 10.0, 20))
    carry(link, make_window(3, MAP))
    state = link.state()
    assert state.payload_symbols == 50 - 12
    assert "the least is 50" in state.problem
    link.choose(RadioChoice("semcom", "awgn", 10.0, 60))
    carry(link, make_window(3, MAP))
    assert link.state().problem == ""


def test_a_method_that_cannot_be_used_is_tried_once_per_map_and_said(link, methods):
    link.choose(RadioChoice("semcom", "awgn", 10.0, 60))
    assert carry(link, make_window(3, OTHER)) == (None, None, None)
    assert carry(link, make_window(4, OTHER)) == (None, None, None)
    assert methods["refused"] == ["semcom"]
    assert link.state().problem == "The networks are for another map."
    assert link.state().payload_symbols is None
    assert carry(link, make_window(5, MAP)).reads is not None
    assert link.state().problem == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "jscc"}, "not by 'jscc'"),
        ({"channel": "copper"}, "copper"),
        ({"snr_db": float("nan")}, "nan"),
        ({"snr_db": 41.0}, "41"),
        ({"symbols": 0}, "1 symbol or more"),
    ],
)
def test_a_choice_that_makes_no_sense_changes_nothing(link, change, words):
    before = link.state()
    whole = {"method": "semcom", "channel": "awgn", "snr_db": 5.0, "symbols": 60}
    with pytest.raises(RadioError, match=words):
        link.choose(RadioChoice(**whole | change))
    assert link.state() == before
