"""Bitstreams over LDPC codes, really sent and as measured."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from focalloop.firmware_sim.radio.budget import (
    CODE_RATES,
    PUBLISHED,
    CodedModulation,
    capacity,
)
from focalloop.firmware_sim.radio.channel import Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import ORDERS
from focalloop.host.radio import ldpc
from focalloop.host.radio.block_errors import best_scheme, block_error_rate, measured
from focalloop.host.radio.ldpc import MAX_LABEL_BYTES, LdpcLink, MeasuredLink, symbols_of


class Tap(Channel):
    """A channel that keeps what was sent."""

    def send(self, symbols: np.ndarray, rng: np.random.Generator) -> Received:
        object.__setattr__(self, "sent", symbols)
        return super().send(symbols, rng)


@pytest.mark.parametrize("size", [60, 125, 126, 1300])
def test_every_bitstream_arrives_at_10_db(size: int) -> None:
    rng = np.random.default_rng(size)
    data, channel = rng.bytes(size), Tap("awgn", 10)
    arrived = LdpcLink().send(data, channel, rng, b"a label")
    assert arrived.data == data
    assert arrived.label == b"a label".ljust(MAX_LABEL_BYTES, b"\0")
    assert arrived.block_errors == 0
    assert arrived.symbols == symbols_of(size, PUBLISHED, channel)
    assert arrived.symbols.total == len(channel.sent)
    assert arrived.bits == 8 * size
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


# ------------------------------------------------------------------ as measured


def test_the_published_scheme_holds_at_10_db_and_falls_off_by_8() -> None:
    rates = [block_error_rate(PUBLISHED, Channel("awgn", snr)) for snr in (7.5, 8, 9, 9.5, 10, 30)]
    assert rates == sorted(rates, reverse=True)
    assert rates[:2] == [1, 1]
    assert 0.05 < rates[2] < 0.5
    assert rates[3] < 0.03
    assert rates[4:] == [0, 0]


def test_every_scheme_was_measured_down_to_failure_and_up_to_none() -> None:
    awgn = {one.scheme for one in measured() if one.kind == "awgn"}
    assert awgn > {CodedModulation(order, rate) for order in ORDERS for rate in CODE_RATES}
    assert PUBLISHED in {one.scheme for one in measured() if one.kind == "rayleigh"}
    for one in measured():
        assert one.rate(one.snr_db[0]) > 0.9
        assert one.errors[-1] == 0
        assert one.scheme.efficiency < capacity(Channel(one.kind, one.snr_db[-1]))


def test_a_better_channel_never_gets_a_slower_scheme() -> None:
    for kind in ("awgn", "rayleigh", "rayleigh-block"):
        speeds = [best_scheme(Channel(kind, snr)).efficiency for snr in range(-10, 41)]
        assert speeds == sorted(speeds)
        assert speeds[-1] >= 4
    assert best_scheme(Channel("awgn", 10)).efficiency >= PUBLISHED.efficiency


def test_the_measured_link_loses_as_many_windows_as_the_real_one() -> None:
    rng = np.random.default_rng(0)
    link, data = MeasuredLink(), bytes(500)
    arrived = link.send(data, Channel("awgn", 10), rng, b"a label")
    assert (arrived.data, arrived.label) == (data, b"a label".ljust(MAX_LABEL_BYTES, b"\0"))
    assert link.send(data, Channel("awgn", 7), rng).block_errors == 4
    channel = Channel("awgn", 9)
    lost = np.mean([link.send(data, channel, rng).data is None for _ in range(2000)])
    assert lost == pytest.approx(1 - (1 - block_error_rate(PUBLISHED, channel)) ** 4, abs=0.04)
    fading = Channel("rayleigh-block", 12)
    errors = [link.send(data, fading, rng).block_errors for _ in range(4000)]
    assert np.mean(errors) / 4 == pytest.approx(block_error_rate(PUBLISHED, fading), abs=0.03)
    assert np.mean(np.isin(errors, (0, 4))) > 0.9  # one fade: all or nothing


def test_a_scheme_that_was_not_measured_is_named() -> None:
    with pytest.raises(RadioError, match="16-QAM 3/5 were not measured for awgn"):
        block_error_rate(CodedModulation(16, Fraction(3, 5)), Channel("awgn", 10))
