"""The channel: powers, noise and fades, measured on what it hands over."""

import math

import numpy as np
import pytest

from focalloop.firmware_sim.errors import FocalloopError
from focalloop.firmware_sim.radio.channel import CHANNEL_KINDS, Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError

COUNT = 200_000


def qpsk(count: int, seed: int = 0) -> np.ndarray:
    bits = np.random.default_rng(seed).integers(0, 2, (count, 2))
    return ((1 - 2.0 * bits) @ [1, 1j] / math.sqrt(2)).astype(np.complex64)


@pytest.mark.parametrize("snr_db", [-10, 0.0, 10, np.float32(40)])
@pytest.mark.parametrize("kind", CHANNEL_KINDS)
def test_each_real_part_of_the_noise_has_half_of_n0(kind, snr_db):
    sent = qpsk(COUNT)
    received = Channel(kind, snr_db).send(sent, np.random.default_rng(1))
    noise = received.symbols.astype(complex) - received.gain.astype(complex) * sent
    n0 = 10 ** (-float(snr_db) / 10)
    assert received.noise_variance == pytest.approx(n0)
    # The variance of a Gaussian from 200,000 draws has a relative deviation of sqrt(2/n).
    for part in (noise.real, noise.imag):
        assert part.var() == pytest.approx(n0 / 2, rel=5 * math.sqrt(2 / COUNT))
        assert abs(part.mean()) < 5 * math.sqrt(n0 / 2 / COUNT)
    # Proper: the parts are uncorrelated.
    assert abs(np.mean(noise.real * noise.imag)) < 5 * n0 / 2 / math.sqrt(COUNT)


def test_without_fading_the_received_power_is_signal_plus_noise():
    received = Channel("awgn", 3).send(qpsk(COUNT), np.random.default_rng(2))
    assert np.all(received.gain == 1)
    assert np.mean(np.abs(received.symbols) ** 2) == pytest.approx(1 + 10**-0.3, rel=0.01)


def test_fades_per_symbol_are_complex_gaussian_of_power_one():
    gain = Channel("rayleigh", 10).send(qpsk(COUNT), np.random.default_rng(3)).gain
    power = np.sort(np.abs(gain.astype(complex)) ** 2)
    # |h|^2 is exponential of mean 1: Kolmogorov-Smirnov, at a level of about 1e-6.
    expected = 1 - np.exp(-power)
    empirical = (np.arange(COUNT) + 0.5) / COUNT
    assert np.abs(expected - empirical).max() < 2.7 / math.sqrt(COUNT)
    assert power.mean() == pytest.approx(1, rel=5 / math.sqrt(COUNT))
    # Complex, not real: phases are spread evenly, and neighbours are independent.
    assert abs(np.mean(gain**2)) < 5 / math.sqrt(COUNT)
    assert abs(np.mean(gain[1:] * gain[:-1].conj())) < 5 / math.sqrt(COUNT)


def test_fades_per_block_hold_for_a_window_and_differ_between_windows():
    channel, rng = Channel("rayleigh-block", 10), np.random.default_rng(4)
    sent, fades = qpsk(3), []
    for _ in range(5_000):
        gain = channel.send(sent, rng).gain
        assert np.all(gain == gain[0])
        fades.append(gain[0])
    power = np.abs(fades) ** 2
    assert power.mean() == pytest.approx(1, rel=5 / math.sqrt(5_000))
    assert np.mean(power < math.log(2)) == pytest.approx(0.5, abs=0.035)


@pytest.mark.parametrize("kind", CHANNEL_KINDS)
def test_equalised_symbols_are_those_sent_plus_noise_of_the_stated_variance(kind):
    sent = qpsk(COUNT)
    received = Channel(kind, 7).send(sent, np.random.default_rng(5))
    symbols, variance = received.equalised()
    assert symbols.dtype == np.complex64
    assert variance.dtype == np.float32
    np.testing.assert_allclose(
        variance, received.noise_variance / np.abs(received.gain) ** 2, rtol=1e-5
    )
    error = (symbols - sent) / np.sqrt(variance)
    assert np.mean(np.abs(error) ** 2) == pytest.approx(1, rel=5 / math.sqrt(COUNT))


def test_a_fade_of_zero_is_finite_noise():
    received = Received(np.ones(1, np.complex64), np.zeros(1, np.complex64), 0.1)
    symbols, variance = received.equalised()
    assert np.isfinite(symbols).all()
    assert 1e9 < variance[0] < np.inf


@pytest.mark.parametrize("kind", CHANNEL_KINDS)
def test_a_seed_decides_fades_and_noise(kind):
    channel, sent = Channel(kind, 10), qpsk(100)
    first, again, other = (
        channel.send(sent, np.random.default_rng(seed)).symbols for seed in (6, 6, 7)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "snr_db", ["10", None, True, math.nan, math.inf, -math.inf, -10.01, 40.01, 1e300, 10j]
)
def test_an_snr_out_of_range_is_refused_in_a_sentence(snr_db):
    with pytest.raises(RadioError, match=r"the SNR of a channel is .*not"):
        Channel("awgn", snr_db)


def test_a_channel_of_another_kind_is_refused():
    with pytest.raises(FocalloopError, match="awgn, rayleigh, rayleigh-block, not 'rician'"):
        Channel("rician", 10)


@pytest.mark.parametrize(
    ("symbols", "problem"),
    [
        (np.ones(3), "complex numbers, not float64"),
        (np.ones((3, 2), complex), r"one-dimensional.*\(3, 2\)"),
        (np.array([1, np.nan, 1], complex), "number 1 is"),
        (np.array([1, 1, 1e200], complex), "number 2 is"),
        (np.array([1j * np.inf]), "number 0 is"),
    ],
)
def test_symbols_that_are_no_signal_are_refused(symbols, problem):
    with pytest.raises(RadioError, match=problem):
        Channel("awgn", 10).send(symbols, np.random.default_rng(0))
    with pytest.raises(RadioError, match=problem):
        Received(symbols, np.ones(symbols.shape, np.complex64), 0.1)


def test_nothing_can_be_sent():
    assert Channel("rayleigh", 10).send(qpsk(0), np.random.default_rng(0)).symbols.size == 0


@pytest.mark.parametrize("variance", [0.0, -1.0, math.nan, math.inf])
def test_received_symbols_need_a_noise_variance(variance):
    with pytest.raises(RadioError, match="above 0, not"):
        Received(qpsk(2), qpsk(2), variance)


def test_received_symbols_need_their_gains():
    with pytest.raises(RadioError, match="2 received symbols need as many gains, not 3"):
        Received(qpsk(2), qpsk(3), 0.1)
