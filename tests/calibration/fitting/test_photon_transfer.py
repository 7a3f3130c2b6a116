"""The photon transfer line: exact where it must be, and intervals that hold for few data."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from benchmarks.cramer_rao import cramer_rao
from focalloop.calibration.fitting.photon_transfer import Points, fit_emva, fit_weighted


def make_points(means, variances, dof=1e4, quantisation=0.0):
    means = np.asarray(means, float)
    ones = np.ones_like(means)
    return Points(means, 0 * ones, np.asarray(variances, float), dof * ones, quantisation * ones)


POSITIVE = st.floats(1e-3, 1e3)


@given(POSITIVE, st.floats(1e-4, 10), st.integers(2, 8))
def test_points_on_a_line_give_the_line(offset, gain, count):
    means = np.linspace(0, 200, count)
    points = make_points(means, offset + gain * means + 1 / 12, quantisation=1 / 12)
    line = fit_weighted(points)
    assert line.offset == pytest.approx(offset, rel=1e-6)
    assert line.gain == pytest.approx(gain, rel=1e-6)
    assert line.offset_ci95[0] <= line.offset <= line.offset_ci95[1]
    assert line.gain_ci95[0] <= line.gain <= line.gain_ci95[1]
    assert line.fit.chi2_reduced == pytest.approx(1 if count == 2 else 0, abs=1e-6)


def test_no_parameter_is_below_zero():
    falling = fit_weighted(make_points([0, 100, 200], [3.0, 2.9, 2.8]))
    assert falling.gain == 0
    assert falling.gain_ci95[0] == 0 < falling.gain_ci95[1]
    steep = fit_weighted(make_points([1, 100, 200], [0.001, 10.0, 20.0]))
    assert steep.offset == 0
    assert steep.offset_ci95[0] == 0 < steep.offset_ci95[1]


@pytest.mark.parametrize("dof", [12, 3000])
def test_intervals_cover_the_truth(dof):
    rng = np.random.default_rng(4)
    means = np.array([0.0, 12.0, 25.0, 50.0, 100.0, 200.0])
    truth = 2.0 + 0.02 * means
    trials = 200
    hits = np.zeros(2)
    for _ in range(trials):
        line = fit_weighted(make_points(means, truth * rng.chisquare(dof, 6) / dof, dof))
        hits += [
            line.offset_ci95[0] <= 2.0 <= line.offset_ci95[1],
            line.gain_ci95[0] <= 0.02 <= line.gain_ci95[1],
        ]
    # 4 standard errors of 200 trials, and the small-sample error of a likelihood ratio.
    assert (np.abs(hits / trials - 0.95) < 0.062 + 0.15 / dof).all()


def test_a_curve_that_is_not_a_line_widens_the_intervals():
    means = np.linspace(0, 200, 8)
    bent = fit_weighted(make_points(means, 2 + 0.02 * means - 2e-5 * means**2, 1e5))
    straight = fit_weighted(make_points(means, 2 + 0.02 * means, 1e5))
    assert bent.fit.p_value < 1e-6
    assert np.ptp(bent.gain_ci95) > 2 * np.ptp(straight.gain_ci95)


def test_emva_fits_through_the_dark_point():
    means = np.array([50.0, 100.0, 150.0])
    bright = make_points(means, 3.0 + 0.5 * means + [0.3, -0.1, 0.2])
    dark = make_points([0.0, 0.0, 0.0], [3.0, 3.0, 3.0], quantisation=1 / 12)
    line = fit_emva(bright, dark, dark.part(np.array([True, False, False])))
    excess = bright.variances - 3.0
    assert line.gain == pytest.approx((means @ excess) / (means @ means))
    assert line.offset == pytest.approx(3.0 - 1 / 12)


def test_the_bound_of_two_levels_is_known_in_closed_form():
    s_ss, s_r, pixels, reads = 4.95e-3, 7.25e-3, 65536, 12
    bound = cramer_rao([0, 0.9], reads, pixels, s_ss=s_ss, s_r=s_r, full_scale_dn=1e9)
    dof = (reads - 1) * pixels
    bright = s_r**2 + 0.9 * s_ss**2
    assert bound.s_r == pytest.approx(1 / np.sqrt(2 * dof))
    # s_ss^2 is the difference of two independent variances over 0.9.
    error = np.sqrt(2 / dof * (bright**2 + s_r**4)) / 0.9
    assert bound.s_ss == pytest.approx(error / s_ss**2 / 2)


def test_a_bound_needs_two_signals():
    with pytest.raises(ValueError, match="two levels"):
        cramer_rao([0.5, 0.5], 4, 100, s_ss=0.005, s_r=0.007, full_scale_dn=220)
