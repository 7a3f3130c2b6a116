"""The response curve and its inverse."""

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from focalloop.firmware_sim.response import MAX_BENT, Response


@st.composite
def responses(draw):
    response = Response(draw(st.floats(-0.4, 2.0)), draw(st.floats(-1.0, 1.0)))
    assume(response.usable)
    return response


def test_the_curve_is_the_documented_cubic_and_straight_in_the_dark():
    response = Response(-0.05, 0.02)
    signal = np.array([-0.2, 0.0, 0.5, 1.0])
    np.testing.assert_allclose(response.respond(signal), [-0.2, 0.0, 0.49, 0.97])
    np.testing.assert_allclose(response.slope([0.0, 0.5, 1.0]), [1.0, 0.965, 0.96])


def test_beyond_its_range_it_goes_on_with_slope_one():
    response = Response(-0.05, 0.02)
    beyond = response.respond(np.array([MAX_BENT, MAX_BENT + 1, MAX_BENT + 2.5]))
    np.testing.assert_allclose(np.diff(beyond), [1.0, 1.5])
    assert response.slope(MAX_BENT + 1) == 1


@given(responses())
def test_the_inverse_is_exact_over_all_signals(response):
    signal = np.linspace(-0.5, 3.0, 3001)
    read = response.respond(signal).astype(np.float32)
    found = response.linearise(read)
    assert found.dtype == np.float32
    # A read is rounded to float32, which a flat response magnifies.
    np.testing.assert_allclose(found, signal, atol=3e-6)


@given(responses())
def test_a_usable_response_rises_everywhere_with_the_slope_it_states(response):
    signal = np.linspace(0.0, MAX_BENT, 2001)
    read = response.respond(signal)
    assert (np.diff(read) > 0).all()
    np.testing.assert_allclose(
        np.gradient(read, signal, edge_order=2), response.slope(signal), atol=1e-4
    )


@pytest.mark.parametrize(
    "coefficients", [(-0.5, 0.0), (0.0, -0.5), (-2.0, 1.5), (3.0, 0.0), (np.nan, 0.0)]
)
def test_one_that_turns_or_is_too_steep_is_not_usable(coefficients):
    assert not Response(*coefficients).usable


def test_reads_that_are_no_numbers_stay_so_and_shapes_are_kept():
    response = Response(0.05)
    read = np.array([[np.nan, -np.inf], [np.inf, 0.5]], np.float32)
    with np.errstate(invalid="ignore"):
        found = response.linearise(read)
    assert np.isnan(found[0, 0])
    assert found[0, 1] == -np.inf
    assert found[1, 0] == np.inf
    assert response.linearise(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_a_tensor_bends_as_an_array_does():
    torch = pytest.importorskip("torch")
    response = Response(-0.05, 0.02)
    signal = np.linspace(-0.1, 1.5, 1001, dtype=np.float32)
    bent = response.respond(torch.from_numpy(signal))
    np.testing.assert_array_equal(bent.numpy(), response.respond(signal))
