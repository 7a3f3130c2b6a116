"""Peak-to-average power, clipping, and rounding to a constellation."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.modulation import ORDERS
from focalloop.firmware_sim.radio.power import clipped, peak_to_average_db, rounded_to_qam


def gaussian(count: int, seed: int = 0, power: float = 1.0) -> np.ndarray:
    parts = np.random.default_rng(seed).standard_normal((count, 2)) * np.sqrt(power / 2)
    return parts.view(complex)[:, 0].astype(np.complex64)


def mean_power(symbols: np.ndarray) -> float:
    return float(np.mean(np.abs(symbols.astype(complex)) ** 2))


def test_peak_to_average_of_known_symbols():
    assert peak_to_average_db(np.complex64([1, 1j, -1])) == pytest.approx(0, abs=1e-6)
    assert peak_to_average_db(np.complex64([2, 0, 0, 0])) == pytest.approx(10 * np.log10(4))
    points = np.complex64([a + 1j * b for a in (-3, -1, 1, 3) for b in (-3, -1, 1, 3)])
    assert peak_to_average_db(points) == pytest.approx(10 * np.log10(1.8))


@given(
    st.integers(0, 2**16), st.integers(2, 300), st.floats(0.1, 12), st.sampled_from([1e-4, 1, 50])
)
def test_clipping_keeps_power_and_phases_and_reaches_the_peak(seed, count, max_db, power):
    symbols = gaussian(count, seed, power)
    limited, gain = clipped(symbols, max_db)
    assert mean_power(limited) == pytest.approx(mean_power(symbols), rel=1e-5)
    before = peak_to_average_db(symbols)
    assert peak_to_average_db(limited) == pytest.approx(min(max_db, before), abs=1e-4)
    ratio = limited.astype(complex) / symbols
    np.testing.assert_allclose(ratio.imag, 0, atol=1e-5)
    # What was not clipped is scaled by the gain, and what was ends at the peak.
    assert gain >= 1
    at_peak = np.abs(limited) > np.abs(limited).max() * (1 - 1e-5)
    np.testing.assert_allclose(ratio.real[~at_peak], gain, rtol=1e-5)
    assert np.all(ratio.real[at_peak] <= gain * (1 + 1e-5))


def test_gaussian_symbols_lose_little_at_6_db():
    symbols = gaussian(20_000)
    assert peak_to_average_db(symbols) > 9
    limited, gain = clipped(symbols, 6)
    # Of exponential powers of mean 1, those above 4 carry 5 e^-4, of which 4 e^-4 stay.
    assert gain**2 == pytest.approx(1 / (1 - np.exp(-3.92)), rel=0.01)
    assert mean_power(limited / gain - symbols) < 0.005


def test_too_many_zeros_cannot_have_a_low_peak():
    with pytest.raises(RadioError, match=r"1 of 4 are not 0 cannot have .* of 3 dB"):
        clipped(np.complex64([1, 0, 0, 0]), 3)


@pytest.mark.parametrize("order", ORDERS)
def test_rounded_symbols_lie_on_a_grid_and_keep_their_power(order):
    symbols = gaussian(5_000, 1, 3.0)
    points, _ = rounded_to_qam(symbols, order)
    assert mean_power(points) == pytest.approx(mean_power(symbols), rel=1e-5)
    for part in (points.real, points.imag):
        levels = np.unique(part.round(4))
        assert len(levels) == np.sqrt(order)
        np.testing.assert_allclose(np.diff(levels), np.diff(levels)[0], rtol=1e-2)


def test_the_scale_is_the_best_uniform_quantiser_of_a_gaussian():
    """16 levels: step 0.3352, error 0.01154 (Max, IRE Transactions on Information Theory, 1960)."""
    symbols = gaussian(100_000, 2)
    points, gain = rounded_to_qam(symbols)
    step = np.diff(np.unique((points.real / gain).round(4)))[0] * np.sqrt(2)
    assert step == pytest.approx(0.3352, rel=0.05)
    assert mean_power(points / gain - symbols) == pytest.approx(0.01154, rel=0.03)


@pytest.mark.parametrize("symbols", [np.zeros(3), np.zeros(0), np.ones((2, 2)), [np.nan, 1]])
def test_symbols_without_power_are_refused(symbols):
    for function in (peak_to_average_db, lambda z: clipped(z, 6), rounded_to_qam):
        with pytest.raises(RadioError, match="a line of finite numbers, not all 0"):
            function(np.asarray(symbols, np.complex64))
