"""The calibration report, as a browser would parse it."""

import base64
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from focalloop.calibration import Estimate
from focalloop.calibration.report.charts import Axis, block_side, number
from focalloop.calibration.report.page import report_html, write_report
from focalloop.calibration.result import Curve, Fit, Pattern
from focalloop.firmware_sim.files import WriteError
from tests.support.made_calibration import (
    BLACK_DN,
    LEVELS,
    PROFILE,
    make_calibration,
    make_level,
    make_pattern,
)

LIGHTS = (0.0, 0.1, 0.2, 0.4, 0.8)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A parsed page: its elements as (tag, attributes, text), checked to be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        element = [tag, dict(attrs), ""]
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            if self._open[-1][0] not in ("style", "title") or element is self._open[-1]:
                element[2] += data

    def all(self, tag, **attributes):
        return [
            (attrs, text)
            for name, attrs, text in self.elements
            if name == tag and all(attrs.get(k.rstrip("_")) == v for k, v in attributes.items())
        ]

    def rows(self):
        return [re.sub(r"\s+", " ", text) for _, text in self.all("tr")]


def page_of(**changes):
    return Page(report_html(make_calibration(**changes)))


def figure(text, title):
    """Source of one figure."""
    found = re.search(rf"<figure[^>]*><figcaption><b>{re.escape(title)}</b>.*?</figure>", text)
    return found and found.group(0)


def dots(text, kind):
    """Places of the dots of a kind in a figure, (count, 2), in the units of the chart."""
    places = re.findall(rf'<circle class="dot {kind}" cx="([-\d.]+)" cy="([-\d.]+)"', text)
    return np.array(places, float).reshape(-1, 2)


def test_every_estimate_is_told_with_its_interval_and_unit():
    rows = page_of().rows()
    for name, value, interval in (
        ("s_ss", "0.004950", "0.004900 … 0.005000"),
        ("s_r", "0.007250", "0.007235 … 0.007265"),
        ("gain_dn_per_electron", "0.005391 DN/e-", "0.005280 … 0.005500"),
        ("black_level_dn", "12.00 DN", "11.99 … 12.02"),
        ("dynamic_range_db", "42.50 dB", "42.40 … 42.60"),
    ):
        row = next(row for row in rows if row.endswith(name))
        assert value in row
        assert interval in row


def test_an_estimate_that_the_report_does_not_know_is_told_by_its_name():
    estimates = {"blinking": Estimate(0.556, (0.55, 0.562), "")}
    assert any("blinking0.5560" in row for row in page_of(estimates=estimates).rows())


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


def test_the_line_of_the_fit_goes_through_what_the_model_says():
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


def test_the_page_needs_nothing_but_itself():
    text = report_html(make_calibration())
    assert not re.search(r"https?:", text)
    assert not re.search(r"url\(|@import|javascript:", text)
    page = Page(text)
    for tag, attributes, _ in page.elements:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "data", "xlink:href"):
            assert attributes.get(name, "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)


def test_it_is_headed_by_the_board_or_else_by_the_name_of_the_profile():
    assert page_of().all("h1")[0][1] == "Calibration of bench camera"
    assert page_of(origin={}).all("h1")[0][1] == "Calibration of bench"


def test_every_drawing_is_named_for_those_who_do_not_see_it():
    page = page_of()
    assert len(page.all("svg")) == 12
    assert all(len(attrs["aria-label"]) > 10 for attrs, _ in page.all("svg", role="img"))
    assert all(len(attrs["alt"]) > 10 for attrs, _ in page.all("img"))


def test_colours_follow_the_reader_s_choice_of_light_or_dark():
    text = report_html(make_calibration())
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r'(fill|stroke)="#', text)


@pytest.mark.parametrize(
    ("changes", "mood", "says"),
    [
        ({}, "good", "lie on a straight line, as the model requires"),
        ({"warnings": ("Light drifts by 2 %.",)}, "warn", "1 warning to read first"),
        ({"warnings": ("One.", "Two.")}, "warn", "2 warnings to read first"),
        ({"fit": Fit(41.0, 1e-9, 4)}, "warn", "but not to the precision of the data"),
        (
            {"fit": Fit(900.0, 1e-99, 4), "levels": tuple(make_level(e, off=20) for e in LIGHTS)},
            "bad",
            "deviate from a straight line by 20 %",
        ),
        ({"fit": Fit(1.0, 1.0, 0)}, "good", "add levels to find out"),
    ],
)
def test_the_verdict_comes_first_and_in_words(changes, mood, says):
    page = page_of(**changes)
    verdicts = page.all("section", class_=f"panel verdict {mood}")
    assert len(verdicts) == 1
    assert says in verdicts[0][1]
    assert "40,800 electrons" in verdicts[0][1]
    tags = [tag for tag, *_ in page.elements]
    assert tags.index("section") < tags.index("table")
    warnings = [text for attrs, text in page.all("ul", class_="warnings")]
    assert "".join(warnings) == "".join(changes.get("warnings", ()))


def test_more_shot_than_read_noise_is_told_with_its_limit():
    quiet = replace(PROFILE, s_r=1e-3)
    (_, text), *_ = page_of(profile=quiet).all("section")
    assert "Below 4.1 % of full scale the read noise dominates" in text


def test_no_shot_noise_is_told_and_drawn_without_its_limit():
    text = report_html(make_calibration(profile=replace(PROFILE, shot="off", s_ss=0.0)))
    assert "No shot noise was found" in text
    assert "shot noise alone" not in text
    Page(text)


def test_parts_that_a_calibration_lacks_are_left_out():
    text = report_html(
        make_calibration(
            offset=None,
            gain=None,
            read_noise_quantiles=None,
            linearity=(),
            snr=Curve(np.zeros(0), np.zeros(0)),
            estimates={},
            origin={},
            levels=LEVELS[:1],
        )
    )
    titles = [text for _, text in Page(text).all("b")]
    assert titles == ["Photon transfer curve", "Residuals of the fit"]
    assert "Nothing was recorded." in text


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


def test_a_hundred_levels_do_not_bury_the_rest():
    page = page_of(levels=tuple(make_level(k / 100) for k in range(100)))
    assert page.all("summary")[0][1] == "All 100 levels"
    assert sum("series 0.9" in row for row in page.rows()) == 10
    assert not page_of().all("summary")


def test_a_large_array_is_averaged_for_the_map_and_said_so():
    values = np.random.default_rng(0).normal(size=(650, 1300)).astype(np.float32)
    pattern = Pattern(values, values.mean(1, dtype=float), values.mean(0, dtype=float))
    text = report_html(make_calibration(offset=pattern, gain=None))
    assert block_side(values.shape) == 5
    assert "1300 × 650 pixels, averaged in blocks of 5 × 5" in text
    ((attributes, _),) = Page(text).all("img")
    assert decoded(attributes["src"]).size == (260, 130)
    assert len(text) < 1_000_000


def decoded(source):
    return Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,"))))


def test_a_dead_pixel_keeps_its_bar_at_the_end_of_the_histogram():
    values = make_pattern(0.7, 1).values.copy()
    values[5, 5] = 500.0
    pattern = Pattern(values, values.mean(1, dtype=float), values.mean(0, dtype=float))
    drawn = figure(report_html(make_calibration(offset=pattern, gain=None)), "Histogram")
    right = [float(b) for b in re.findall(r"H([\d.]+)V", drawn.split("bars data")[1])]
    assert max(right) == pytest.approx(544.0)  # the right end of the chart


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("variance", [0.0, math.nan])
def test_a_level_without_a_usable_variance_does_not_spoil_the_page(variance):
    empty = replace(make_level(0.3, used=False, why_not="all codes are equal"))
    empty = replace(empty, variance_dn2=variance, variance_error_dn2=0.0)
    page = page_of(levels=(*LEVELS, empty))
    row = next(row for row in page.rows() if "all codes are equal" in row)
    assert ("0 ± 0" if variance == 0 else "– ± 0") in row


PLAIN = page_of(warnings=("x",), levels=(LEVELS[0], LEVELS[-1]), origin={"x": {"file": "x"}})


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=30).filter(lambda text: "\0" not in text and "\r" not in text))
def test_no_text_from_outside_is_ever_markup(text):
    calibration = make_calibration(
        profile=replace(PROFILE, name=text),
        warnings=(text,),
        levels=(replace(LEVELS[0], name=text), replace(LEVELS[-1], why_not=text)),
        origin={text: {"file": text}},
    )
    page = Page(report_html(calibration))
    assert [tag for tag, *_ in page.elements] == [tag for tag, *_ in PLAIN.elements]
    assert next(found for _, found in page.all("li")) == text


def test_the_report_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    write_report(make_calibration(), path)
    assert path.read_text(encoding="utf-8") == report_html(make_calibration())
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(WriteError, match="cannot write"):
        write_report(make_calibration(), tmp_path / "missing" / "report.html")


@given(
    st.floats(-1e7, 1e7).filter(lambda v: v == 0 or abs(v) > 1e-7),
    st.floats(1e-6, 1e7),
)
def test_ticks_are_round_values_on_the_axis(low, width):
    axis = Axis("", low, low + max(width, abs(low) * 1e-3))
    ticks = axis.ticks()
    values = [value for value, _ in ticks]
    assert 3 <= len(ticks) <= 9
    assert values == sorted(values)
    room = 1e-6 * (axis.high - axis.low)
    assert axis.low - room <= values[0]
    assert values[-1] <= axis.high + room
    assert len({text for _, text in ticks}) == len(ticks)


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6))
def test_logarithmic_ticks_lie_on_the_axis(low, factor):
    axis = Axis("", low, low * factor, log=True)
    for value, text in axis.ticks():
        assert -0.01 <= axis.place(value) <= 1.01
        assert text


@given(st.floats(-1e300, 1e300), st.integers(1, 6))
def test_numbers_keep_the_digits_they_are_given(value, digits):
    text = number(value, digits).replace("−", "-").replace(",", "")
    if "·10" in text:
        superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
        mantissa, power = text.split("·10")
        back = float(f"{mantissa}e{power.translate(superscripts)}")
    else:
        back = float(text)
    assert back == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits), abs=5e-324)
