"""Windows on the air: exact power and counts, values with the stated noise, losses, bad input."""

from base64 import b85decode
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.radio import polar
from focalloop.firmware_sim.radio.channel import CHANNEL_KINDS, Channel, Received
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.header import HEADER_BYTES, Header
from focalloop.firmware_sim.radio.power import peak_to_average_db
from focalloop.firmware_sim.radio.protection import protection
from focalloop.firmware_sim.radio.rate_map import EDGE_RATE_TABLE, counts, encoded, kept
from focalloop.firmware_sim.radio.transmission import SymbolCount, Transmission

TEN_DB = Channel("awgn", 10)
EDGE = Transmission(TEN_DB, EDGE_RATE_TABLE, b"mode", b"rmap")

OLD_WINDOW = (
    "Gq0S!%?4|~Gq0S!%?4|~Gq0S!%?4|~Gq0S!Gq0S!Gq0RJGq0RJGq0RJ%?4{fGq0S!%?4{fGq0RJ%?4|~Gq0S!%?4{f"
    "Gq0RJ%?4{f%?4{f%?4{f%?4{fGq0S!Gq0RJGq0S!%?4{f%?4{f%?4{fGq0RJGq0S!%?4{f%?4|~%?4{f%?4{fGq0RJ"
    "Gq0RJGq0RJ%?4|~%?4{f%?4{f%?4{fGq0RJGq0S!Gq0S!Gq0S!Gq0S!%?4|~Gq0RJGq0S!%?4{f%?4{fGq0RJ%?4|~"
    "Gq0RJGq0RJGq0S!%?4{f%?4|~%?4{f%?4|~%?4{fGq0RJ%?4|~%?4|~%?4{f%?4|~%?4|~Gq0RJ%?4|~Gq0S!%?4{f"
    "%?4{fGq0S!Gq0RJGq0S!Gq0S!Gq0RJ%?4{f%?4{f%?4{f%?4|~%?4|~%?4{f%?4|~%?4{fGq0RJ%?4{f%?4|~Gq0RJ"
    "%?4|~Gq0RJGq0S!Gq0S!Gq0RJ%?4{f%?4|~Gq0S!Gq0S!%?4{f%?4{f%?4{f%?4|~%?4{f%?4{fGq0RJ%?4|~Gq0RJ"
    ">So)%00000>So(MFO4L>>SkNM>SkL$FO4KWQXq*x4f?-700000"
)
"""Symbols of version 0.2 in base 85, complex64: 9 values of three locations."""


def rate_map_of(shape: tuple[int, int], levels: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, shape, np.uint8)


def window(seed: int = 0, shape: tuple[int, int] = (6, 8)) -> tuple[np.ndarray, np.ndarray]:
    rate_map = rate_map_of(shape, 8, seed)
    x = np.random.default_rng(seed).normal(0.3, 2, (192, *shape)).astype(np.float32)
    return x[kept(rate_map, EDGE_RATE_TABLE)], rate_map


def clean(symbols: np.ndarray, variance: float = 1e-9) -> Received:
    return Received(symbols, np.ones(symbols.size, np.complex64), variance)


def mean_power(symbols: np.ndarray) -> float:
    return float(np.mean(np.abs(symbols.astype(np.complex128)) ** 2))


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.lists(st.integers(1, 30), min_size=1, max_size=8, unique=True),
    st.floats(-10, 40),
    st.sampled_from(CHANNEL_KINDS),
    st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 6e4]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_power_is_one_counts_are_true_and_values_come_back(
    shape, table, snr, kind, size, mixed, seed
):
    table = tuple(sorted(table))
    link = Transmission(Channel(kind, snr), table, b"mode", b"rmap", mixed)
    rate_map = rate_map_of(shape, len(table), seed)
    rng = np.random.default_rng(seed)
    values = rng.uniform(-size, size, int(counts(rate_map, table).sum())).astype(np.float32)
    symbols, count = link.encode_window(values, rate_map, seed)
    assert symbols.dtype == np.complex64
    assert mean_power(symbols) == pytest.approx(1, abs=1e-6)
    robust = protection(link.planned)
    uniform = np.all(rate_map == rate_map[0, 0])
    map_bytes = 0 if uniform else len(encoded(rate_map, len(table)))
    assert count == SymbolCount(
        payload=(values.size + 1) // 2,
        rate_map=robust.symbols(map_bytes) if map_bytes else 0,
        header=robust.symbols(HEADER_BYTES),
    )
    assert count.total == symbols.size

    got = link.decode_window(clean(symbols))
    assert got.number == seed % 65536
    assert np.array_equal(got.rate_map, rate_map)
    assert got.symbols == count
    assert got.mixed == mixed
    assert got.values.dtype == np.float32
    # The scale is rounded to half precision, by 1/2048 or, near 0, by 3e-8.
    np.testing.assert_allclose(got.values, values, rtol=6e-4, atol=1e-3 * size + 1e-7)


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("kind", CHANNEL_KINDS)
def test_received_values_have_the_stated_noise_in_their_units(kind, mixed):
    link = Transmission(Channel(kind, 12), EDGE_RATE_TABLE, b"mode", b"rmap", mixed)
    values, rate_map = window(1, (16, 16))
    symbols, _ = link.encode_window(values, rate_map)
    got = link.decode_window(link.planned.send(symbols, np.random.default_rng(2)))
    assert got.noise_variance.shape == values.shape
    error = (got.values - values) / np.sqrt(got.noise_variance)
    assert np.mean(error**2) == pytest.approx(1, rel=5 * np.sqrt(2 / values.size))
    if kind == "awgn":
        # Two reals per symbol: N0/2 for a real part of power 1/2, so the SNR is that of the symbol.
        snr = np.mean(values**2) / got.noise_variance.mean()
        assert 10 * np.log10(snr) == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("gain", [1, 0.8, 1.2j])
@pytest.mark.parametrize("kind", CHANNEL_KINDS)
def test_the_gain_of_a_window_is_seen_but_for_the_stated_noise(kind, gain):
    link = Transmission(Channel(kind, 0), EDGE_RATE_TABLE, b"mode", b"rmap")
    symbols, _ = link.encode_window(*window())
    through, rng = Channel(kind, 20), np.random.default_rng(4)
    errors = []
    for _ in range(40):
        received = through.send(symbols, rng)
        turned = Received(received.symbols * np.complex64(gain), received.gain, 0.01)
        if (found := link.decode_window(turned)) is not None:
            errors.append(abs(found.gain - gain) / abs(gain) / found.gain_deviation)
    assert (len(errors) > 30) == (gain != 1.2j)  # turned that far, no header is received
    if errors:
        assert np.mean(np.square(errors)) == pytest.approx(1, rel=0.5)


def test_a_common_brightness_costs_no_power():
    values, rate_map = window(1, (16, 16))
    brighter = values.copy()
    brighter[:256] += 20 * values.std()
    alike = [
        EDGE.decode_window(
            TEN_DB.send(EDGE.encode_window(each, rate_map)[0], np.random.default_rng(2))
        )
        for each in (values, brighter)
    ]
    variances = [one.noise_variance.mean() for one in alike]
    assert variances[1] == pytest.approx(variances[0], rel=0.05)
    np.testing.assert_allclose(
        alike[1].values[:256] - alike[0].values[:256], 20 * values.std(), rtol=0.01
    )


def peaky() -> tuple[np.ndarray, np.ndarray]:
    """A window of which few values have most of the power, as networks make them."""
    values, rate_map = window(1, (16, 16))
    return values * np.exp(-np.arange(values.size) / 300).astype(np.float32), rate_map


def test_mixing_takes_the_peaks_off():
    plain, mixed = (
        replace(EDGE, mixed=mixed).encode_window(*peaky())[0] for mixed in (False, True)
    )
    assert peak_to_average_db(plain) > 18
    assert peak_to_average_db(mixed) < 12


def test_clipping_costs_little_where_symbols_are_mixed_and_much_where_they_are_not():
    values, rate_map = peaky()
    lost = []
    for mixed in (True, False):
        link = replace(EDGE, mixed=mixed, max_papr_db=6.0)
        symbols, count = link.encode_window(values, rate_map)
        assert mean_power(symbols) == pytest.approx(1, abs=1e-6)
        assert peak_to_average_db(symbols[count.total - count.payload :]) == pytest.approx(6)
        assert peak_to_average_db(symbols) == pytest.approx(6, abs=0.1)
        # The receiver is set to nothing: it is the other end's business.
        found = EDGE.decode_window(clean(symbols))
        lost.append(np.sum((found.values - values) ** 2) / np.sum(values**2))
    assert lost[0] < 0.004 < 0.1 < lost[1]


def test_a_fade_per_symbol_costs_mixed_values_all_the_same():
    """Each has the noise that is left by Wiener's rule: less than the mean of N0 / |h|^2."""
    values, rate_map = window(1, (16, 16))
    channel = Channel("rayleigh", 12)
    link = replace(EDGE, planned=channel)
    received = channel.send(link.encode_window(values, rate_map)[0], np.random.default_rng(2))
    found = link.decode_window(received)
    assert np.ptp(found.noise_variance) == 0
    unevenly = received.equalised()[1][-values.size // 2 :]
    assert found.noise_variance[0] < 0.5 * unevenly.mean() * values.var()


def test_a_window_from_before_there_was_mixing_is_received():
    link = Transmission(Channel("awgn", 15), (1, 3, 8), b"mode", b"rmap")
    symbols = np.frombuffer(b85decode(OLD_WINDOW), "<c8")
    found = link.decode_window(clean(symbols))
    assert (found.number, found.mixed, found.symbols) == (258, False, SymbolCount(5, 0, 54))
    np.testing.assert_allclose(found.values, np.arange(9) - 4.5, atol=2e-3)
    again, _ = replace(link, mixed=False).encode_window(
        np.arange(9, dtype=np.float32) - 4.5, np.ones((1, 3), np.uint8), 258
    )
    np.testing.assert_allclose(again, symbols, atol=1e-6)


@pytest.mark.parametrize("limit", [2.9, -1.0, np.nan, np.inf])
def test_a_limit_of_peaks_that_cannot_be_kept_is_refused(limit):
    with pytest.raises(RadioError, match="limited to 3 dB or more"):
        replace(EDGE, max_papr_db=limit)


def test_an_odd_value_is_padded_by_a_zero_that_is_counted():
    link = replace(EDGE, table=(3,), mixed=False)
    values = np.float32([1, 2, 3])
    symbols, count = link.encode_window(values, np.zeros((1, 1), np.uint8))
    assert count.payload == 2
    assert symbols[-1].imag == 0
    np.testing.assert_allclose(link.decode_window(clean(symbols)).values, values, rtol=1e-3)


def test_one_level_everywhere_needs_no_rate_map():
    for level in (0, 7):
        rate_map = np.full((4, 4), level, np.uint8)
        values = np.ones(16 * EDGE_RATE_TABLE[level], np.float32)
        symbols, count = EDGE.encode_window(values, rate_map)
        assert count.rate_map == 0
        assert EDGE.uniform_count(16, level) == count
        assert np.array_equal(EDGE.decode_window(clean(symbols)).rate_map, rate_map)


def test_values_that_are_all_zero_arrive_as_zeros():
    values, rate_map = window(3)
    symbols, _ = EDGE.encode_window(np.zeros_like(values), rate_map)
    assert mean_power(symbols) == pytest.approx(1, abs=1e-6)
    got = EDGE.decode_window(TEN_DB.send(symbols, np.random.default_rng(4)))
    assert not got.values.any()
    assert not got.noise_variance.any()


@pytest.mark.parametrize("snr_db", [-10, 0, 8, 11, 15, 40])
@pytest.mark.parametrize("locations", [1, 4])
def test_the_shortest_windows_hold_as_well(snr_db, locations):
    """Their power differs most from that of the constellation."""
    channel = Channel("awgn", snr_db)
    link = Transmission(channel, (1, 3, 8), b"mode", b"rmap")
    rng, lost = np.random.default_rng(5), 0
    for number in range(40):
        rate_map = rate_map_of((1, locations), 3, number)
        values = rng.standard_normal(int(counts(rate_map, link.table).sum()))
        symbols, _ = link.encode_window(values, rate_map, number)
        lost += link.decode_window(channel.send(symbols, rng)) is None
    assert lost <= 3 if snr_db == -10 else lost <= 1


def test_windows_are_lost_when_the_channel_is_worse_than_planned():
    values, rate_map = window(6)
    symbols, _ = EDGE.encode_window(values, rate_map)
    rng = np.random.default_rng(7)
    outcomes = [EDGE.decode_window(Channel("awgn", 2).send(symbols, rng)) for _ in range(10)]
    assert outcomes.count(None) == 10


def test_a_damaged_header_or_rate_map_loses_the_window():
    values, rate_map = window(8)
    symbols, count = EDGE.encode_window(values, rate_map)
    for begin, end in ((0, count.header), (count.header, count.header + count.rate_map)):
        damaged = symbols.copy()
        damaged[begin:end] = damaged[begin:end][::-1]
        assert EDGE.decode_window(clean(damaged, 0.1)) is None


def sent_with_a_flip(bit, window, monkeypatch):
    """The symbols of a window of whose header one bit flipped after it was checked."""
    packed, checksum = Header.packed, polar.checksum

    def flipped(bits):
        return bits ^ (np.arange(bits.size) == bit)

    def wrong(header):
        bits = np.unpackbits(np.frombuffer(packed(header), np.uint8))
        return np.packbits(flipped(bits)).tobytes()

    with monkeypatch.context() as sender:
        sender.setattr(Header, "packed", wrong)
        sender.setattr(polar, "checksum", lambda bits: checksum(flipped(bits)))
        return EDGE.encode_window(*window)[0]


def test_a_bit_of_a_header_that_flips_loses_the_window_or_is_put_right(monkeypatch):
    """Put right where the list of the decoder holds the header as it was."""
    sent = np.ones(48, np.float32), np.zeros((2, 3), np.uint8)
    lost = 0
    for bit in range(8 * HEADER_BYTES):
        found = EDGE.decode_window(clean(sent_with_a_flip(bit, sent, monkeypatch)))
        lost += found is None
        assert found is None or (found.number, found.mixed) == (0, True)
    assert lost > 0.9 * 8 * HEADER_BYTES


def test_a_symbol_that_is_missing_or_left_over_is_an_error():
    values, rate_map = window(9)
    symbols, count = EDGE.encode_window(values, rate_map)
    total = count.total
    with pytest.raises(RadioError, match=f"of {total} symbols was sent, but {total - 1} were"):
        EDGE.decode_window(clean(symbols[:-1]))
    with pytest.raises(RadioError, match=f"of {total} symbols was sent, but {total + 1} were"):
        EDGE.decode_window(clean(np.append(symbols, symbols[:1])))
    for size in (1, count.header - 1, count.header, count.header + count.rate_map - 1):
        with pytest.raises(RadioError, match="some are missing"):
            EDGE.decode_window(clean(symbols[:size]))


def test_received_symbols_without_a_signal_are_an_error():
    with pytest.raises(RadioError, match="all received symbols are 0"):
        EDGE.decode_window(clean(np.zeros(500, np.complex64)))
    with pytest.raises(RadioError, match="all received symbols are 0"):
        EDGE.decode_window(clean(np.zeros(0, np.complex64)))
    with pytest.raises(RadioError, match="finite"):
        clean(np.full(500, np.nan, np.complex64))


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_noise_alone_is_a_lost_window_or_an_error(seed, size):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((size, 2), np.float32).view(np.complex64)[:, 0]
    if size < protection(TEN_DB).symbols(HEADER_BYTES):
        with pytest.raises(RadioError, match="missing"):
            EDGE.decode_window(clean(noise, 0.1))
    else:
        assert EDGE.decode_window(clean(noise, 0.1)) is None


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"model": b"else"}, "networks have the hash 656c7365, but this end has 6d6f6465"),
        ({"ratio_map": b"else"}, "ratio map have the hash 656c7365, but this end has 726d6170"),
    ],
)
def test_a_window_of_another_model_or_map_is_an_error(other, problem):
    values, rate_map = window(10)
    symbols, _ = replace(EDGE, **other).encode_window(values, rate_map)
    with pytest.raises(RadioError, match=problem):
        EDGE.decode_window(clean(symbols))


def test_a_header_that_asks_for_more_than_came_is_an_error_at_once():
    link = replace(EDGE, table=(1, 100))
    symbols, _ = link.encode_window(np.ones(100 * 64, np.float32), np.ones((64, 1), np.uint8))
    with pytest.raises(RadioError, match="64x1 locations: some are missing"):
        replace(EDGE, table=(150, 200)).decode_window(clean(symbols))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros(7), r"keeps 8 values, .*\(7,\)"),
        (np.zeros((8, 1)), r"shape \(8, 1\)"),
        (np.full(8, np.nan), "NaN or infinity"),
        (np.full(8, np.inf), "NaN or infinity"),
        (np.full(8, 1e6), "0 to 65504, not 99"),
    ],
)
def test_values_that_cannot_be_sent_are_refused(values, problem):
    with pytest.raises(RadioError, match=problem):
        EDGE.encode_window(values, np.zeros((1, 1), np.uint8))
