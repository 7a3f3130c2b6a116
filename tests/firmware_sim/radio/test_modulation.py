"""QAM: power, round trips, bit error rates and log-likelihood ratios."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import erfc, logsumexp

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import (
    ORDERS,
    bits_per_symbol,
    decided,
    llrs,
    modulated,
)


def constellation(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Every point once, and its bits (order, log2(order))."""
    numbers = np.arange(order)
    bits = (numbers[:, None] >> np.arange(bits_per_symbol(order))[::-1]) & 1
    return modulated(bits.astype(np.uint8).reshape(-1), order), bits


def random_bits(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, count, np.uint8)


def bit_error_rate(order: int, es_n0: float) -> float:
    """Cho and Yoon, IEEE Transactions on Communications 50(7), 2002: square QAM, exactly."""
    side, total = math.isqrt(order), 0.0
    for k in range(1, bits_per_symbol(order) // 2 + 1):
        for i in range(side - side // 2**k):
            turn = i * 2 ** (k - 1) // side
            weight = 2 ** (k - 1) - math.floor(i * 2 ** (k - 1) / side + 0.5)
            tail = erfc((2 * i + 1) * math.sqrt(1.5 * es_n0 / (order - 1)))
            total += (-1) ** turn * weight * tail / side
    return total / (bits_per_symbol(order) // 2)


@pytest.mark.parametrize("order", ORDERS)
def test_points_have_mean_power_one_and_neighbours_differ_in_one_bit(order):
    points, bits = constellation(order)
    assert np.mean(np.abs(points.astype(complex)) ** 2) == pytest.approx(1, abs=1e-6)
    assert len(np.unique(points.round(4))) == order
    distance = np.abs(points[:, None] - points)
    step = distance[distance > 1e-6].min()
    neighbours = np.abs(distance - step) < step / 10
    differing = (bits[:, None] != bits).sum(axis=2)
    assert np.all(differing[neighbours] == 1)


@pytest.mark.parametrize(
    ("bits", "point"),
    [
        ("10", (-1 + 1j) / math.sqrt(2)),
        ("1011", (-3 + 3j) / math.sqrt(10)),
        ("011001", (5 - 1j) / math.sqrt(42)),
        ("11010011", (-7 - 9j) / math.sqrt(170)),
    ],
)
def test_the_mapping_is_that_of_5g(bits, point):
    """By hand from the formulas of TS 38.211, sections 5.1.3 to 5.1.6."""
    symbols = modulated(np.array(list(map(int, bits)), np.uint8), 2 ** len(bits))
    assert symbols == pytest.approx([point], abs=1e-6)


@given(st.sampled_from(ORDERS), st.data())
def test_bits_come_back_from_their_symbols(order, data):
    count = bits_per_symbol(order) * data.draw(st.integers(0, 40))
    bits = np.array(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    symbols = modulated(bits.astype(np.uint8), order)
    assert symbols.dtype == np.complex64
    assert np.array_equal(decided(symbols, order), bits)
    ratios = llrs(symbols, 0.01, order)
    assert ratios.dtype == np.float32
    assert np.array_equal(ratios < 0, bits)


@pytest.mark.parametrize(("order", "snr_db"), [(4, 7), (16, 14), (64, 20), (256, 26)])
def test_the_rate_of_wrong_bits_is_the_known_one(order, snr_db):
    bits = random_bits(240_000, order)
    received = Channel("awgn", snr_db).send(modulated(bits, order), np.random.default_rng(1))
    wrong = np.count_nonzero(decided(received.symbols, order) != bits)
    expected = bits.size * bit_error_rate(order, 10 ** (snr_db / 10))
    assert expected > 1000
    # Errors of one symbol's bits may come together: hence somewhat more than Poisson's deviation.
    assert wrong == pytest.approx(expected, abs=6 * math.sqrt(expected))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("snr_db", [-5, 10, 40])
def test_ratios_are_the_logarithms_of_sums_over_the_constellation(order, snr_db):
    points, bits = constellation(order)
    points = points.astype(complex)
    rng = np.random.default_rng(2)
    received = Channel("rayleigh", snr_db).send(modulated(random_bits(480, 3), order), rng)
    symbols, variance = received.equalised()
    log_likelihood = -(np.abs(symbols[:, None] - points) ** 2) / variance[:, None].astype(float)
    expected = np.stack(
        [
            logsumexp(log_likelihood[:, bits[:, b] == 0], axis=1)
            - logsumexp(log_likelihood[:, bits[:, b] == 1], axis=1)
            for b in range(bits_per_symbol(order))
        ],
        axis=1,
    )
    ratios = llrs(symbols, variance, order).reshape(expected.shape)
    np.testing.assert_allclose(ratios, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", ORDERS)
def test_ratios_are_the_odds_that_a_bit_is_zero(order):
    bits = random_bits(240_000, 4)
    received = Channel("rayleigh", 8).send(modulated(bits, order), np.random.default_rng(5))
    ratios = llrs(*received.equalised(), order)
    for low in np.arange(-4, 4):
        here = (ratios >= low) & (ratios < low + 1)
        predicted = np.mean(1 / (1 + np.exp(ratios[here])))
        deviation = math.sqrt(predicted * (1 - predicted) / here.sum())
        assert np.mean(bits[here]) == pytest.approx(predicted, abs=5 * deviation)


def test_what_cannot_be_mapped_is_refused():
    with pytest.raises(RadioError, match=r"one of .*not 8"):
        modulated(np.zeros(3, np.uint8), 8)
    with pytest.raises(RadioError, match="multiple of 4, not 6 values"):
        modulated(np.zeros(6, np.uint8), 16)
    with pytest.raises(RadioError, match="16-QAM takes"):
        modulated(np.full(4, 2, np.uint8), 16)
