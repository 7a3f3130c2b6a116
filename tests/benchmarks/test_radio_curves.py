"""Comparison of curves of PSNR over symbols."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from benchmarks.radio.curves import (
    Curve,
    bd_psnr,
    bd_rate,
    crossings,
    everyone,
    interval,
    pchip,
    psnr_at,
)

SYMBOLS = np.array([3000.0, 6000, 12_000, 24_000])


ALL = everyone(5)


def curve(psnr: np.ndarray, symbols: np.ndarray = SYMBOLS, clips: int = 5) -> Curve:
    offsets = np.linspace(-3, 3, clips)  # clips differ, their mean is `psnr`
    return Curve.of(
        [
            (np.full(clips, count), value + offsets)
            for count, value in zip(symbols, psnr, strict=True)
        ]
    )


@pytest.mark.parametrize("points", [2, 3, 6])
def test_the_piecewise_cubics_are_those_of_scipy(points: int) -> None:
    rng = np.random.default_rng(points)
    x, y = np.sort(rng.normal(size=(4, points))), rng.normal(size=(4, points))
    y[0].sort()
    at = np.linspace(x[:, 0], x[:, -1], 30, axis=1)
    expected = [PchipInterpolator(*row)(place) for *row, place in zip(x, y, at, strict=True)]
    assert np.allclose(pchip(x, y, at), expected)


def test_an_equal_shape_with_fewer_symbols_saves_exactly_those() -> None:
    psnr = np.array([24.0, 25.5, 26.5, 27.0])
    saving = bd_rate(curve(psnr, 0.8 * SYMBOLS), curve(psnr), ALL)
    assert saving == pytest.approx(-0.2, abs=1e-9)
    assert bd_rate(curve(psnr), curve(psnr, 0.8 * SYMBOLS), ALL) == pytest.approx(0.25, abs=1e-9)


def test_an_equal_shape_with_more_decibels_gains_exactly_those() -> None:
    psnr = np.array([24.0, 25.5, 26.5, 27.0])
    assert bd_psnr(curve(psnr + 0.7), curve(psnr), ALL) == pytest.approx(0.7, abs=1e-9)


def test_the_metric_is_the_integral_over_the_common_range() -> None:
    # Straight lines over log symbols: 2 dB and 3 dB per doubling from the same point.
    octaves = np.log2(SYMBOLS / 3000)
    slow, fast = curve(24 + 2 * octaves), curve(24 + 3 * octaves)
    assert bd_psnr(fast, slow, ALL) == pytest.approx(1.5, abs=1e-3)  # from 0 to 3 dB
    # At the same PSNR p above 24: p/3 against p/2 octaves, over the common 0 to 6 dB.
    assert bd_rate(fast, slow, ALL) == pytest.approx(2 ** (-0.5) - 1, abs=1e-3)
    short = curve((24 + 3 * octaves)[:3], SYMBOLS[:3])
    assert bd_psnr(short, slow, ALL) == pytest.approx(1.0, abs=1e-3)


def test_curves_without_a_common_range_have_no_difference() -> None:
    psnr = np.array([24.0, 25.5, 26.5, 27.0])
    assert np.isnan(bd_psnr(curve(psnr), curve(psnr, 100 * SYMBOLS), ALL))
    assert np.isnan(bd_rate(curve(psnr), curve(psnr + 20), ALL))
    assert np.isnan(psnr_at(curve(psnr), 2999, ALL))
    assert crossings(curve(psnr), curve(psnr, 100 * SYMBOLS), ALL) == []


def test_points_that_are_met_are_returned_and_others_interpolated() -> None:
    psnr = np.array([24.0, 25.5, 26.5, 27.0])
    assert psnr_at(curve(psnr), 6000, ALL) == pytest.approx(25.5)
    assert 25.5 < psnr_at(curve(psnr), 8000, ALL) < 26.5


def test_a_point_that_is_worse_for_more_symbols_does_not_break_the_rate() -> None:
    psnr = np.array([24.0, 25.5, 26.5, 26.4])
    assert bd_rate(curve(psnr, 0.5 * SYMBOLS), curve(psnr), ALL) == pytest.approx(-0.5, abs=1e-9)


def test_curves_cross_where_they_are_equal() -> None:
    octaves = np.log2(SYMBOLS / 3000)
    slow, fast = curve(24 + octaves), curve(22 + 3 * octaves)
    (place,) = crossings(fast, slow, ALL)
    assert place == pytest.approx(6000, rel=1e-3)
    assert crossings(fast, slow, ALL[:, :1]) == pytest.approx([6000], rel=1e-3)
    assert crossings(slow, curve(20 + octaves), ALL) == []


def test_intervals_are_paired_by_clip_and_reach_as_far_as_clips_differ() -> None:
    psnr = np.array([24.0, 25.5, 26.5, 27.0])
    same = interval(lambda picks: bd_psnr(curve(psnr + 0.5), curve(psnr), picks), 5)
    assert (same.low, same.high) == pytest.approx((0.5, 0.5))  # though clips differ by 6 dB
    better = curve(psnr)
    better.psnr[:, 0] += 1.0
    one = interval(lambda picks: bd_psnr(better, curve(psnr), picks), 5)
    assert one.mean == pytest.approx(0.2)
    assert one.low == pytest.approx(0)
    assert 0.4 <= one.high <= 0.8
