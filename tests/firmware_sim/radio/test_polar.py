"""The polar code: round trips at any size and rate, maximum likelihood, and what noise does."""

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.list_decoder import checksum, paths_of
from focalloop.firmware_sim.radio.modulation import llrs, modulated
from focalloop.firmware_sim.radio.polar import MAX_SEGMENT_BYTES, PolarCode


def received_ratios(bits: np.ndarray, size: float = 4.0) -> np.ndarray:
    return (size * (1 - 2.0 * bits)).astype(np.float32)


def transformed(bits: np.ndarray) -> np.ndarray:
    """Arikan's transform by its matrix."""
    matrix = np.ones((1, 1), np.int64)
    while len(matrix) < len(bits):
        matrix = np.kron([[1, 0], [1, 1]], matrix)
    return bits @ matrix % 2


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_the_checksum_is_the_remainder_of_crc24c(bits):
    message = int("".join(map(str, bits)), 2) << 24
    # Ones in the register at first are ones added to the first 24 bits.
    message ^= 0xFFFFFF << len(bits)
    polynomial = sum(1 << power for power in (24, 23, 21, 20, 17, 15, 13, 12, 8, 4, 2, 1, 0))
    while message.bit_length() > 24:
        message ^= polynomial << (message.bit_length() - 25)
    assert checksum(np.array(bits, np.uint8)) == message


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([2, 4, 8, 16]))
def test_a_list_of_all_words_is_in_the_order_of_likelihood(seed, size):
    """Metrics of min-sum decoding add up to those of the whole word, so nothing is lost."""
    rng = np.random.default_rng(seed)
    frozen = rng.random(size) < 0.5
    frozen[: size - 8] = True
    frozen[-1] = False
    ratios = rng.standard_normal(size).astype(np.float32)
    free = size - np.count_nonzero(frozen)
    cost = {}
    for message in itertools.product((0, 1), repeat=free):
        bits = np.zeros(size, int)
        bits[~frozen] = message
        cost[message] = np.sum(np.abs(ratios)[(ratios < 0) != transformed(bits)])
    found = paths_of(ratios, frozen, 2**free)
    assert len(found) == 2**free
    costs = [cost[tuple(path)] for path in found]
    np.testing.assert_allclose(costs, sorted(cost.values()), atol=1e-5)


@given(st.data())
def test_a_payload_comes_back(data):
    payload = data.draw(st.binary(min_size=1, max_size=3 * MAX_SEGMENT_BYTES))
    least = PolarCode(len(payload), 10**6).information_bits
    code = PolarCode(len(payload), data.draw(st.integers(least, 4 * least)))
    coded = code.encode(payload)
    assert coded.shape == (code.coded_bits,)
    assert set(coded) <= {0, 1}
    assert code.decode(received_ratios(coded)) == payload


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4, 0.5, 0.7, 0.9])
def test_a_few_wrong_bits_are_corrected(rate):
    rng = np.random.default_rng(1)
    size = 60
    code = PolarCode(size, round(PolarCode(size, 10**6).information_bits / rate))
    for _ in range(20):
        payload = rng.bytes(size)
        ratios = received_ratios(code.encode(payload))
        ratios[rng.permutation(code.coded_bits)[: round(0.02 * (1 - rate) * code.coded_bits)]] *= -1
        assert code.decode(ratios) == payload


@pytest.mark.parametrize("bytes_", [21, 60, 200])
def test_what_is_decoded_from_too_much_noise_is_right_or_nothing(bytes_):
    rng, code = np.random.default_rng(2), PolarCode(bytes_, 20 * bytes_)
    lost = 0
    for _ in range(100):
        payload = rng.bytes(bytes_)
        noise = rng.normal(0, 4.2, code.coded_bits).astype(np.float32)
        decoded = code.decode(received_ratios(code.encode(payload)) + noise)
        assert decoded in (payload, None)
        lost += decoded is None
    assert 0 < lost < 100


def test_every_segment_must_be_right():
    rng = np.random.default_rng(3)
    payload = rng.bytes(2 * MAX_SEGMENT_BYTES)
    code = PolarCode(len(payload), 6000)
    assert code.segments == 2
    coded = code.encode(payload)
    # Half of the second segment's bits, and none of the first's, are lost.
    second = coded != code.encode(payload[:MAX_SEGMENT_BYTES] + rng.bytes(MAX_SEGMENT_BYTES))
    ratios = received_ratios(coded)
    ratios[second] *= rng.choice([-1, 1], second.sum())
    assert 1000 < second.sum() < 2000
    assert code.decode(ratios) is None


@pytest.mark.parametrize("ratio", [0.0, 5.0, -5.0])
def test_no_signal_is_no_payload(ratio):
    for coded in (300, 700, 5000):
        assert PolarCode(21, coded).decode(np.full(coded, ratio, np.float32)) is None


@pytest.mark.parametrize(
    ("order", "snr_db", "coded_bits"), [(4, 2.5, 896), (16, 11.0, 664), (64, 17.0, 600)]
)
def test_blocks_are_right_where_the_code_should_hold(order, snr_db, coded_bits):
    """About 2 dB above what the capacity of the constellation asks for."""
    rng, code = np.random.default_rng(4), PolarCode(53, coded_bits)
    wrong = 0
    for _ in range(100):
        payload = rng.bytes(53)
        received = Channel("awgn", snr_db).send(modulated(code.encode(payload), order), rng)
        wrong += code.decode(llrs(*received.equalised(), order)) != payload
    assert wrong <= 2


def test_the_code_is_the_same_on_every_machine():
    """Whoever changes these bits must raise the version of the window's header."""
    digest = hashlib.sha256()
    for size, coded in [(1, 64), (21, 260), (53, 664), (53, 1100), (300, 4000)]:
        payload = bytes(i * 37 % 256 for i in range(size))
        digest.update(PolarCode(size, coded).encode(payload).tobytes())
    assert digest.hexdigest()[:16] == "347b400a0d7da816"


def test_codes_that_cannot_be_are_refused():
    with pytest.raises(RadioError, match="a byte or more, not 0"):
        PolarCode(0, 100)
    with pytest.raises(RadioError, match="need 104 coded bits or more, not 103"):
        PolarCode(10, 103)
    with pytest.raises(RadioError, match="for 10 bytes cannot take 9"):
        PolarCode(10, 200).encode(bytes(9))
