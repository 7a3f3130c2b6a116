"""Mixing is unitary, is what the document says, and is undone under noise that differs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from focalloop.firmware_sim.radio.mixing import mixed, unmixed, unmixed_from_noise


def drawn(count: int, seed: int = 0) -> np.ndarray:
    parts = np.random.default_rng(seed).standard_normal((count, 2))
    return parts.view(np.complex128)[:, 0]


@given(st.integers(1, 600), st.integers(0, 2**16))
def test_unmixing_undoes_mixing_and_power_stays(count: int, seed: int) -> None:
    symbols = drawn(count, seed)
    spread = mixed(symbols)
    assert np.sum(np.abs(spread) ** 2) == pytest.approx(np.sum(np.abs(symbols) ** 2))
    np.testing.assert_allclose(unmixed(spread), symbols, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 7, 12])
def test_it_is_the_documented_sum(count: int) -> None:
    symbols = drawn(count)
    k = np.arange(count)
    phases = [2 * np.pi * (0x9E3779B1 * i * i % 2**32) / 2**32 for i in range(count)]
    matrix = np.exp(1j * (np.array(phases) - 2 * np.pi * np.outer(k, k) / count))
    np.testing.assert_allclose(mixed(symbols), matrix @ symbols / np.sqrt(count), atol=1e-12)


@given(st.integers(1, 2_000), st.integers(0, 2_000))
def test_neighbours_that_are_alike_make_no_peak(count: int, first: int) -> None:
    """A few large values beside each other are what the payload of a window is like."""
    symbols = np.zeros(4_000, complex)
    symbols[first : first + count] = 1 / np.sqrt(count)
    assert np.abs(mixed(symbols)).max() ** 2 < 20 / 4_000


@pytest.mark.parametrize("fades", [False, True])
def test_the_noise_is_what_is_stated_and_there_is_no_bias(fades: bool) -> None:
    count, power = 20_000, 1.3
    symbols = np.sqrt(power / 2) * drawn(count)
    rng = np.random.default_rng(1)
    variance = 0.1 / (rng.exponential(size=count) if fades else np.ones(count))
    received = mixed(symbols) + np.sqrt(variance / 2) * drawn(count, 2)
    found, noise = unmixed_from_noise(
        received.astype(np.complex64), variance.astype(np.float32), power
    )
    if not fades:
        assert noise == pytest.approx(0.1)
        np.testing.assert_allclose(found, unmixed(received), atol=1e-5)
    assert np.mean(np.abs(found - symbols) ** 2) == pytest.approx(noise, rel=0.05)
    gain = np.vdot(symbols, found) / np.vdot(symbols, symbols)
    assert gain == pytest.approx(1, abs=4 * np.sqrt(noise / power / count))
