"""The linear analog link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.radio.channel import Channel
from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.firmware_sim.radio.power import peak_to_average_db
from focalloop.host.radio.linear import BASIS as BASIS_FILE, BlockBasis, LinearMethod, linear
from focalloop.host.radio.methods import Sensing, SymbolBudgetError

BASIS = BlockBasis.load()

Changed = Callable[[np.ndarray], np.ndarray]


def sensing(height: int, width: int) -> Sensing:
    ratio_map = RatioMap.from_tile(BASIS.tile, (height, width))
    return Sensing(ratio_map, lambda reads, _: np.zeros((16, height, width), np.float32))


def smooth_reads(height: int, width: int) -> np.ndarray:
    """Noiseless reads of a still scene that varies slowly."""
    y, x = np.mgrid[:height, :width]
    scene = 0.5 + 0.25 * np.sin(0.05 * x + 0.3) * np.cos(0.07 * y)
    levels = RatioMap.from_tile(BASIS.tile, (height, width)).levels.astype(int)
    taken = np.arange(8)[:, None, None] < levels
    return np.where(taken, scene / np.maximum(levels, 1), 0).astype(np.float32)


def error(sent: np.ndarray, received: np.ndarray) -> float:
    return float(np.sqrt(np.mean((sent - received) ** 2)))


def test_symbols_keep_to_a_limit_of_their_peaks() -> None:
    reads, channel = smooth_reads(64, 96), Channel("awgn", 15)
    limited, free = (
        LinearMethod(sensing(64, 96), BASIS, max_papr_db=limit).transmit(reads, channel)[0]
        for limit in (5.0, None)
    )
    assert peak_to_average_db(limited) < 5.1 < 6 < peak_to_average_db(free)


@given(st.integers(0, 2**32))
@settings(max_examples=10)
def test_a_whole_basis_loses_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reads = rng.random((8, 32, 48), np.float32) * (smooth_reads(32, 48) > 0)
    size = BASIS.basis[0].size
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0].astype(np.float32)
    whole = BlockBasis(
        BASIS.tile,
        BASIS.mean,
        rotation.reshape(size, *BASIS.basis.shape[1:]),
        np.ones(size, np.float32),
    )
    assert np.allclose(whole.reads(whole.coefficients(reads)), reads, atol=1e-5)


def test_the_shipped_basis_is_orthonormal_and_sorted() -> None:
    rows = BASIS.basis.reshape(len(BASIS.basis), -1)
    assert np.allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-3)  # float16
    assert np.all(np.diff(BASIS.variance) <= 0)
    assert BASIS.block == 16


def test_a_window_of_little_more_than_a_cell_is_sent() -> None:
    shape = (5, 7)  # no tile can be told from so few pixels
    method = LinearMethod(sensing(*shape), BASIS)
    delivery = method.send(smooth_reads(*shape), Channel("awgn", 30), np.random.default_rng(0))
    assert delivery.reads is not None
    assert error(smooth_reads(*shape), delivery.reads) < 0.1


@pytest.mark.parametrize("shape", [(64, 64), (52, 76)])
def test_more_symbols_and_a_better_channel_bring_the_reads_closer(shape: tuple[int, int]) -> None:
    reads, method = smooth_reads(*shape), LinearMethod(sensing(*shape), BASIS)
    taken = reads > 0

    def sent(symbols: int, snr_db: float) -> float:
        rng = np.random.default_rng(0)
        delivery = method.send(reads, Channel("awgn", snr_db), rng, symbols)
        assert delivery.reads is not None
        assert delivery.reads.shape == reads.shape
        assert not delivery.reads[~taken].any()
        assert 0.9 * symbols <= delivery.symbols.total <= symbols
        return error(reads, delivery.reads)

    assert sent(1400, 10) < sent(500, 10)
    assert sent(1400, 20) < sent(1400, 10) < sent(1400, 3)
    assert sent(1400, 40) < 0.01


def test_the_window_has_mean_power_1_and_as_many_symbols_as_counted() -> None:
    method = LinearMethod(sensing(64, 64), BASIS)
    sent, count = method.transmit(smooth_reads(64, 64), Channel("awgn", 10), 1000)
    assert len(sent) == count.total
    assert count.rate_map == 0
    assert np.mean(np.abs(sent) ** 2) == pytest.approx(1, abs=1e-5)


def test_a_budget_that_is_not_possible_is_refused_with_the_limits() -> None:
    method = LinearMethod(sensing(64, 64), BASIS)
    rng = np.random.default_rng(0)
    for symbols in (8, 5000):
        with pytest.raises(SymbolBudgetError, match=f"{symbols:,} symbols: the least is"):
            method.send(smooth_reads(64, 64), Channel("awgn", 10), rng, symbols)


def test_where_none_are_asked_for_the_nearest_possible_budget_is_met() -> None:
    method, channel = LinearMethod(sensing(16, 16), BASIS), Channel("awgn", -10)
    with pytest.raises(SymbolBudgetError) as limits:
        method.transmit(smooth_reads(16, 16), channel, 1)
    _, count = method.transmit(smooth_reads(16, 16), channel)
    assert count.total == limits.value.least


def test_a_lost_header_loses_the_window() -> None:
    method, rng = LinearMethod(sensing(64, 64), BASIS), np.random.default_rng(0)
    channel = Channel("rayleigh-block", 16)  # one fade in twenty is too deep
    reads = smooth_reads(64, 64)
    sent = [method.send(reads, channel, rng, 1500) for _ in range(150)]
    lost = [delivery for delivery in sent if delivery.lost]
    assert 1 <= len(lost) <= 30
    assert all(delivery.block_errors == 1 for delivery in lost)


def test_another_map_or_file_is_refused(tmp_path: Path) -> None:
    other = RatioMap.from_tile(np.array([[1, 2], [2, 4]]), (32, 32))
    with pytest.raises(RadioError, match="the ratio map is another"):
        linear(Sensing(other, lambda reads, _: reads))
    with pytest.raises(RadioError, match="not the basis of a linear link"):
        linear(sensing(32, 32), tmp_path / "none.npz")


@pytest.mark.parametrize("key", ["tile", "mean", "basis", "variance"])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[:-1],
        lambda array: array[:0],
        lambda array: array[None],
        lambda array: array.flat[0],
        lambda array: array.astype("U3"),
        lambda array: array.astype(complex),
        lambda array: array.astype(object),
        lambda array: -array.astype(float) * np.inf,
    ],
)
def test_a_file_of_other_arrays_is_refused(tmp_path: Path, key: str, change: Changed) -> None:
    arrays = {name: getattr(BASIS, name) for name in ("tile", "mean", "basis", "variance")}
    path = tmp_path / "basis.npz"
    np.savez(path, **arrays | {key: change(arrays[key])})
    with pytest.raises(RadioError, match="not the basis of a linear link") as caught:
        BlockBasis.load(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "basis.npz", BASIS_FILE.read_bytes()
    for content in (b"", whole[:900], whole[: len(whole) // 2], b"\x93NUMPY\1\0"):
        path.write_bytes(content)
        with pytest.raises(RadioError, match="not the basis of a linear link"):
            BlockBasis.load(path)
