import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm

from focalloop.firmware_sim.radio.entropy import (
    PRECISION,
    SCALES,
    EntropyError,
    IntegerDecoder,
    IntegerEncoder,
    SymbolTable,
    gaussian_tables,
    scale_of,
)
from focalloop.firmware_sim.radio.errors import RadioError

INT32 = st.integers(-(2**31), 2**31 - 1)


def coded(values, indices, tables):
    encoder = IntegerEncoder()
    encoder.encode(values, indices, tables)
    return encoder.finish()


def decoded(data, indices, tables):
    decoder = IntegerDecoder(data)
    values = decoder.decode(indices, tables)
    decoder.finish()
    return values


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.integers(-30, 30), INT32), st.integers(0, SCALES - 1)), max_size=200
    )
)
def test_any_integers_come_back(pairs):
    values = np.array([value for value, _ in pairs], np.int32)
    indices = np.array([index for _, index in pairs], np.int64)
    data = coded(values, indices, gaussian_tables())
    assert np.array_equal(decoded(data, indices, gaussian_tables()), values)


@settings(deadline=None)
@given(
    st.integers(-50, 50),
    st.lists(st.integers(0, 1000), min_size=2, max_size=40),
    arrays.arrays(np.int32, 30, elements=st.integers(-100, 100)),
)
def test_any_distribution_codes_any_integers(first, parts, values):
    cumulative = np.cumsum([0, *parts]).tolist()
    table = SymbolTable.from_cumulative(first, cumulative, max(1, cumulative[-1]))
    assert table.counts.sum() == 1 << PRECISION
    data = coded(values, np.zeros(30, np.int64), [table])
    assert np.array_equal(decoded(data, np.zeros(30, np.int64), [table]), values)


def test_batches_follow_one_another():
    rng = np.random.default_rng(0)
    batches = [(rng.integers(-9, 9, n), rng.integers(0, SCALES, n)) for n in (0, 5, 1, 300)]
    encoder = IntegerEncoder()
    for values, indices in batches:
        encoder.encode(values, indices, gaussian_tables())
    decoder = IntegerDecoder(encoder.finish())
    for values, indices in batches:
        assert np.array_equal(decoder.decode(indices, gaussian_tables()), values)
    decoder.finish()


def test_gaussian_tables_are_gaussian():
    for index, table in enumerate(gaussian_tables()):
        values = np.arange(len(table.counts) - 1) + table.first
        scale = scale_of(index)
        wanted = norm.cdf((values + 0.5) / scale) - norm.cdf((values - 0.5) / scale)
        assert np.abs(table.counts[:-1] / 2**PRECISION - wanted).max() < 1e-6
        assert table.counts[-1] < 100
        assert np.abs(table.counts[:-1] - table.counts[-2::-1]).max() <= 1


def test_gaussian_tables_are_those_of_the_format():
    every = np.concatenate([table.counts.astype("<i8") for table in gaussian_tables()])
    digest = hashlib.sha256(every.tobytes()).hexdigest()
    assert digest == "d52b7e69d87eeb76f8247c23ce1f8390225bb14b617eb64d32c1b12d905f6979"


def test_constriction_codes_with_exactly_these_counts():
    counts = [1, 1000, 5_000_000]
    table = SymbolTable(-2, np.array([*counts, (1 << PRECISION) - sum(counts)]))
    for symbol, count in enumerate(table.counts[:-1].tolist()):
        values = np.full(3000, table.first + symbol)
        bits = 8 * len(coded(values, np.zeros(3000, np.int64), [table]))
        assert bits == pytest.approx(3000 * (PRECISION - math.log2(count)), abs=64)


def test_coded_length_is_within_one_percent_of_ideal():
    rng = np.random.default_rng(0)
    indices = rng.integers(0, SCALES, 20_000)
    scales = np.array([scale_of(index) for index in range(SCALES)])
    values = np.rint(rng.normal(size=20_000) * scales[indices]).astype(np.int32)
    ideal = sum(table.bits(values[indices == i]) for i, table in enumerate(gaussian_tables()))
    entropy_bits = sum(
        -np.log2(np.diff(norm.cdf([(v - 0.5) / s, (v + 0.5) / s]))[0])
        for v, s in zip(values[:2000], scales[indices[:2000]], strict=True)
    )
    assert 8 * len(coded(values, indices, gaussian_tables())) < 1.001 * ideal + 64
    few = sum(
        table.bits(values[:2000][indices[:2000] == i]) for i, table in enumerate(gaussian_tables())
    )
    assert few == pytest.approx(entropy_bits, rel=1e-3)


@given(st.integers(0, 400), st.integers(1, 255))
def test_damaged_data_is_refused_or_decodes_to_other_values(place, change):
    rng = np.random.default_rng(1)
    indices = rng.integers(10, 30, 400)
    values = rng.integers(-4, 5, 400)
    data = bytearray(coded(values, indices, gaussian_tables()))
    data[place % len(data)] ^= change
    try:
        found = decoded(bytes(data), indices, gaussian_tables())
    except EntropyError:
        return
    assert not np.array_equal(found, values)


def test_data_that_goes_on_or_stops_short_is_refused():
    indices, values = np.full(50, 20), np.arange(50) % 3
    data = coded(values, indices, gaussian_tables())
    with pytest.raises(EntropyError, match="does not end where"):
        decoded(data + bytes(4), indices, gaussian_tables())
    with pytest.raises(EntropyError):
        decoded(data[:-4], indices, gaussian_tables())
    with pytest.raises(EntropyError, match="not a multiple of 4"):
        decoded(data[:-1], indices, gaussian_tables())


@pytest.mark.parametrize(
    "counts", [[1 << PRECISION], [0, 1 << PRECISION], [5, 5], [], [-1, (1 << PRECISION) + 1]]
)
def test_counts_that_are_no_distribution_are_refused(counts):
    with pytest.raises(RadioError, match="table of probabilities"):
        SymbolTable(0, np.array(counts, np.int64))
