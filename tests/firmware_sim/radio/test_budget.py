"""Symbols that a bitstream costs, at capacity and in transport blocks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.radio.budget import (
    CODE_RATES,
    CRC_BITS,
    MAX_BLOCK_BITS,
    PUBLISHED,
    CodedModulation,
    TransportBlocks,
    capacity,
    capacity_symbols,
)
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import ORDERS

schemes = st.builds(CodedModulation, st.sampled_from(ORDERS), st.sampled_from(CODE_RATES))


def test_the_costs_per_bit_are_those_published() -> None:
    assert 1 / capacity(Channel("awgn", 10)) == pytest.approx(0.289, abs=5e-4)
    assert capacity_symbols(10_000, Channel("awgn", 10)) == 2891
    assert 1 / PUBLISHED.efficiency == 0.375


def test_capacity_under_fading_is_the_mean_over_fades() -> None:
    power = np.random.default_rng(0).exponential(size=200_000)
    for snr_db in (-10, 0, 10, 40):
        mean = np.log2(1 + power * 10 ** (snr_db / 10)).mean()
        assert capacity(Channel("rayleigh", snr_db)) == pytest.approx(mean, rel=0.01)


@given(st.integers(1, 400_000), schemes)
def test_blocks_hold_the_bitstream_and_little_else(bits: int, scheme: CodedModulation) -> None:
    blocks = TransportBlocks.of(bits, scheme)
    assert blocks.count * (blocks.information - CRC_BITS) == bits + blocks.padding
    assert 0 <= blocks.padding < 8 * blocks.count + 8
    assert blocks.information <= MAX_BLOCK_BITS
    assert blocks.coded % scheme.bits_per_symbol == 0
    assert blocks.symbols * scheme.bits_per_symbol == blocks.count * blocks.coded
    # The code is never weaker than asked for, and wastes less than a symbol per block.
    coded_at_rate = blocks.information / scheme.rate
    assert coded_at_rate <= blocks.coded < coded_at_rate + scheme.bits_per_symbol
    # As few blocks as possible.
    assert (blocks.count - 1) * (MAX_BLOCK_BITS - CRC_BITS) < bits


@given(st.integers(1, 100_000), schemes)
def test_more_bits_never_take_fewer_symbols(bits: int, scheme: CodedModulation) -> None:
    more = TransportBlocks.of(bits + 1, scheme).symbols
    assert TransportBlocks.of(bits, scheme).symbols <= more


def test_what_cannot_be_sent_is_refused_with_its_value() -> None:
    with pytest.raises(RadioError, match="at least 1 bit, not 0"):
        TransportBlocks.of(0, PUBLISHED)
    with pytest.raises(RadioError, match="not 19/20"):
        CodedModulation(16, Fraction(19, 20))
    with pytest.raises(RadioError, match="8"):
        CodedModulation(8, Fraction(1, 2))  # type: ignore[arg-type]
