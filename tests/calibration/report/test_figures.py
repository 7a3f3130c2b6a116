"""Figures of the report: what was measured lies where it belongs."""

import re
from dataclasses import replace

import numpy as np
import pytest

from focalloop.calibration.report.charts import block_side
from focalloop.calibration.report.page import report_html
from focalloop.calibration.result import Pattern
from tests.support.made_calibration import (
    BLACK_DN,
    LEVELS,
    PROFILE,
    make_calibration,
    make_pattern,
    make_response,
)
from tests.support.parsed_report import Page, decoded, dots, figure, page_of


def test_the_photon_transfer_curve_has_its_levels_where_they_belong():
    drawn = figure(report_html(make_calibration()), "Photon transfer curve")
    used, left_out = dots(drawn, "data"), dots(drawn, "left-out")
    assert (len(used), len(left_out)) == (6, 1)
    at = np.concatenate([used, left_out])
    means = np.array([level.mean_dn for level in LEVELS]) - BLACK_DN
    variances = np.array([level.variance_dn2 for level in LEVELS])
    for drawn_at, meant, sign in ((at[:, 0], means, 1), (at[:, 1], variances, -1)):
        slope, start = np.polyfit(meant, drawn_at, 1)
        assert np.sign(slope) == sign
        np.testing.assert_allclose(drawn_at, slope * meant + start, atol=0.06)
    assert "a quarter of its codes are saturated" in drawn


def test_the_line_of_the_fit_goes_through_the_variances_of_the_model():
    drawn = figure(report_html(make_calibration()), "Photon transfer curve")
    path = re.search(r'<path class="line model" d="M([^"]+)"', drawn).group(1)
    line = np.array([point.split() for point in path.split("L")], float)
    at = np.concatenate([dots(drawn, "data"), dots(drawn, "left-out")])
    scale = np.polyfit([level.variance_dn2 for level in LEVELS], at[:, 1], 1)
    model = np.array([level.model_variance_dn2 for level in LEVELS])
    np.testing.assert_allclose(line[:, 0], at[:, 0], atol=0.06)
    np.testing.assert_allclose(line[:, 1], np.polyval(scale, model), atol=0.1)


def test_residuals_are_in_standard_errors():
    drawn = figure(report_html(make_calibration()), "Residuals of the fit")
    at = dots(drawn, "data")[:, 1]
    errors = np.array([0.3, -0.9, 1.1, -0.2, 0.6, -0.4])
    slope, start = np.polyfit(errors, at, 1)
    np.testing.assert_allclose(at, slope * errors + start, atol=0.06)
    assert "Reduced chi-square 0.720, p = 0.58" in drawn


def test_the_response_shows_levels_curve_and_interval_as_deviations_from_straight():
    response = make_response(bent=True)
    bent = {"profile": replace(PROFILE, bend=-0.04), "response": response}
    drawn = figure(report_html(make_calibration(**bent)), "Response curve")
    at, off = dots(drawn, "data"), response.reads - response.signals
    scale = np.polyfit(off, at[:, 1], 1)
    assert scale[0] < 0  # upwards on the page
    np.testing.assert_allclose(at[:, 1], np.polyval(scale, off), atol=0.06)
    lines = [
        np.array([point.split() for point in path.split("L")], float)
        for path in re.findall(r'<path class="line [^"]*" d="M([^"]+)"', drawn)
    ]
    x = np.polyval(np.polyfit(at[:, 0], response.signals, 1), lines[2][:, 0])
    for line, side in zip(lines, (-1, 1, 0), strict=True):
        expected = np.polyval(scale, -0.04 * x**2 + side * 2e-3 * x**2)
        np.testing.assert_allclose(line[:, 1], expected, atol=0.3)
    assert "The profile has it." in drawn


def test_the_residual_of_the_response_is_that_of_the_levels_about_the_curve():
    for response in (make_response(), make_response(bent=True)):
        text = report_html(make_calibration(response=response))
        at = dots(figure(text, "Residuals of the response"), "data")[:, 1]
        assert np.ptp(at) < 1.0  # all are half an error above it


def test_without_shot_noise_the_report_says_so_and_draws_no_limit():
    text = report_html(make_calibration(profile=replace(PROFILE, shot="off", s_ss=0.0)))
    assert "No shot noise was found" in text
    assert "shot noise alone" not in text
    Page(text)


def test_pixels_that_were_not_measured_are_clear_on_the_map():
    offset = make_pattern(0.7, 1)
    values = offset.values.copy()
    values[::2, 1::2] = np.nan
    rows, columns = offset.rows.copy(), offset.columns.copy()
    columns[3] = np.nan
    page = page_of(offset=Pattern(values, rows, columns), gain=None)
    ((attributes, _),) = page.all("img")
    picture = decoded(attributes["src"])
    alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    np.testing.assert_array_equal(alpha == 0, np.isnan(values))


def test_a_map_is_blue_below_the_mean_and_red_above():
    offset = make_pattern(0.7, 1)
    ((attributes, _),) = page_of(offset=offset, gain=None).all("img")
    colours = np.asarray(decoded(attributes["src"]).convert("RGB")).astype(int)
    assert colours.shape[:2] == offset.values.shape
    redness = colours[..., 0] - colours[..., 2]
    high, low = offset.values > 0.5, offset.values < -0.5
    assert redness[high].min() > 0 > redness[low].max()


def test_a_large_array_is_averaged_for_the_map_and_the_caption_says_so():
    values = np.random.default_rng(0).normal(size=(650, 1300)).astype(np.float32)
    pattern = Pattern(values, values.mean(1, dtype=float), values.mean(0, dtype=float))
    text = report_html(make_calibration(offset=pattern, gain=None))
    assert block_side(values.shape) == 5
    assert "1300 × 650 pixels, averaged in blocks of 5 × 5" in text
    ((attributes, _),) = Page(text).all("img")
    assert decoded(attributes["src"]).size == (260, 130)
    assert len(text) < 1_000_000


def test_a_dead_pixel_keeps_its_bar_at_the_end_of_the_histogram():
    values = make_pattern(0.7, 1).values.copy()
    values[5, 5] = 500.0
    pattern = Pattern(values, values.mean(1, dtype=float), values.mean(0, dtype=float))
    drawn = figure(report_html(make_calibration(offset=pattern, gain=None)), "Histogram")
    right = [float(b) for b in re.findall(r"H([\d.]+)V", drawn.split("bars data")[1])]
    assert max(right) == pytest.approx(544.0)  # the right end of the chart
