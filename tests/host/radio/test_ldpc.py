"""Bitstreams over LDPC codes, really sent and as measured."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from focalloop.firmware_sim.radio.budget import CodedModulation
from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import ORDERS
from focalloop.host.radio import ldpc
from focalloop.host.radio.ldpc import LdpcLink


class Tap(Channel):
    """A channel that keeps what was sent."""

    def send(self, symbols: np.ndarray, rng: np.random.Generator) -> Received:
        object.__setattr__(self, "sent", symbols)
        return super().send(symbols, rng)


@pytest.mark.parametrize("size", [1, 125, 126, 1300])
def test_every_bitstream_arrives_at_10_db(size: int) -> None:
    rng = np.random.default_rng(size)
    data, channel = rng.bytes(size), Tap("awgn", 10)
    arrived = LdpcLink().send(data, channel, rng)
    assert arrived.data == data
    assert arrived.block_errors == 0
    assert arrived.blocks.symbols == len(channel.sent)
    if size > 1000:
        assert np.mean(np.abs(channel.sent) ** 2) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("order", ORDERS)
def test_other_constellations_arrive_too(order: int) -> None:
    rng = np.random.default_rng(order)
    data, link = rng.bytes(300), LdpcLink(CodedModulation(order, Fraction(5, 6)))
    assert link.send(data, Channel("awgn", 35), rng).data == data


def test_a_bitstream_is_lost_as_soon_as_one_block_fails() -> None:
    rng = np.random.default_rng(0)
    sent = [LdpcLink().send(rng.bytes(250), Channel("awgn", 8.75), rng) for _ in range(12)]
    assert {arrived.block_errors for arrived in sent} >= {0, 1}  # of two blocks, near the cliff
    assert all((arrived.data is None) == (arrived.block_errors > 0) for arrived in sent)


def test_fading_that_the_receiver_knows_costs_decibels_and_not_everything() -> None:
    rng = np.random.default_rng(0)
    assert LdpcLink().send(rng.bytes(250), Channel("rayleigh", 18), rng).data is not None
    assert LdpcLink().send(rng.bytes(250), Channel("rayleigh", 9), rng).data is None


def test_without_sionna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldpc, "find_spec", lambda name: None if name == "sionna" else name)
    with pytest.raises(RadioError, match=r"no sionna here: run +pip install 'focalloop\[radio\]'"):
        LdpcLink()
