import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.integer_network import (
    FRACTION,
    LARGEST,
    LARGEST_OUTPUT,
    OUTPUT_FRACTION,
    IntegerNetwork,
    Layer,
)


def layer(rng, outputs, inputs, size, scale=12, qualities=1, largest=1 << 12):
    weights = rng.integers(-largest, largest, (outputs, inputs, size, size)).astype(np.int16)
    bias = rng.integers(-(1 << 20), 1 << 20, (qualities, outputs))
    return Layer(weights, bias, scale)


def by_loops(network, values, quality):
    """The same network in Python's integers."""
    values = np.clip(values, -LARGEST, LARGEST).astype(object)
    for index, one in enumerate(network.layers):
        last = index == len(network.layers) - 1
        outputs, inputs, size, _ = one.weights.shape
        _, height, width = values.shape
        reach = size // 2
        shift = one.scale + (FRACTION - OUTPUT_FRACTION if last else 0)
        low, high = (-LARGEST_OUTPUT, LARGEST_OUTPUT) if last else (0, LARGEST)
        found = np.empty((outputs, height, width), object)
        for o, y, x in np.ndindex(found.shape):
            total = int(one.bias[quality if len(one.bias) > 1 else 0, o])
            for i, dy, dx in np.ndindex(inputs, size, size):
                row, column = y + dy - reach, x + dx - reach
                if 0 <= row < height and 0 <= column < width:
                    total += int(one.weights[o, i, dy, dx]) * int(values[i, row, column])
            rounded = (total + (1 << shift >> 1)) >> shift
            found[o, y, x] = min(high, max(low, rounded))
        values = found
    return values.astype(np.float64)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2))
def test_it_computes_what_integers_do(seed, height, width, quality):
    rng = np.random.default_rng(seed)
    network = IntegerNetwork((layer(rng, 4, 3, 3, qualities=3), layer(rng, 5, 4, 1)))
    values = rng.integers(-2 * LARGEST, 2 * LARGEST, (3, height, width)).astype(np.float64)
    assert np.array_equal(network(values, quality), by_loops(network, values, quality))


def test_largest_sums_are_exact():
    weights = np.full((1, 1024, 3, 3), 32767, np.int16)
    network = IntegerNetwork((Layer(weights, np.array([[1]]), 30),))
    found = network(np.full((1024, 3, 3), float(LARGEST)), 0)[0, 1, 1]
    assert found == min(LARGEST_OUTPUT, (1024 * 9 * 32767 * LARGEST + 1 + (1 << 21)) >> 22)


def test_arrays_make_the_same_network():
    rng = np.random.default_rng(0)
    network = IntegerNetwork((layer(rng, 6, 3, 3, qualities=2), layer(rng, 2, 6, 1)))
    again = IntegerNetwork.from_arrays(network.arrays("some"), "some")
    values = rng.integers(-LARGEST, LARGEST, (3, 4, 4)).astype(np.float64)
    assert np.array_equal(again(values, 1), network(values, 1))


def test_layers_that_can_lose_digits_are_refused():
    weights = np.full((1, (1 << 23) + 1024, 1, 1), 32767, np.int16)
    with pytest.raises(RadioError, match=r"exceed 2\^53"):
        Layer(weights, np.zeros((1, 1), np.int64), 12)
    with pytest.raises(RadioError, match=r"exceed 2\^53"):
        Layer(weights[:, :1], np.full((1, 1), 1 << 60), 12)


def test_layers_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(RadioError, match="do not make an integer network"):
        IntegerNetwork((layer(rng, 4, 3, 3), layer(rng, 2, 5, 1)))
    with pytest.raises(RadioError, match="do not make an integer network"):
        IntegerNetwork(())
    with pytest.raises(RadioError, match="is not one of an integer network"):
        layer(rng, 4, 3, 2)
    with pytest.raises(RadioError, match="are not those of a layer"):
        IntegerNetwork.from_arrays({"a.0.weights": np.zeros((1, 1, 1, 1), np.int16)}, "a")
