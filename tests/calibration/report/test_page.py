"""The page of the report: complete, self-contained, and no text from outside is markup."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.calibration import Estimate
from focalloop.calibration.report.page import report_html, write_report
from focalloop.calibration.result import Curve
from focalloop.firmware_sim.files import WriteError
from tests.support.made_calibration import (
    LEVELS,
    PROFILE,
    make_calibration,
    make_level,
)
from tests.support.parsed_report import Page, page_of


def test_every_estimate_is_listed_with_its_interval_and_unit():
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


def test_an_unknown_estimate_is_listed_by_its_name():
    estimates = {"blinking": Estimate(0.556, (0.55, 0.562), "")}
    assert any("blinking0.5560" in row for row in page_of(estimates=estimates).rows())


def test_the_page_is_self_contained():
    text = report_html(make_calibration())
    assert not re.search(r"https?:", text)
    assert not re.search(r"url\(|@import|javascript:", text)
    page = Page(text)
    for tag, attributes, _ in page.elements:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "data", "xlink:href"):
            assert attributes.get(name, "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)


def test_the_heading_names_the_board_or_else_the_profile():
    assert page_of().all("h1")[0][1] == "Calibration of bench camera"
    assert page_of(origin={}).all("h1")[0][1] == "Calibration of bench"


def test_every_drawing_has_a_description_for_readers_who_cannot_see_it():
    page = page_of()
    assert len(page.all("svg")) == 14
    assert all(len(attrs["aria-label"]) > 10 for attrs, _ in page.all("svg", role="img"))
    assert all(len(attrs["alt"]) > 10 for attrs, _ in page.all("img"))


def test_colours_follow_the_choice_of_light_or_dark():
    text = report_html(make_calibration())
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r'(fill|stroke)="#', text)


def test_figures_without_data_are_left_out():
    text = report_html(
        make_calibration(
            offset=None,
            gain=None,
            read_noise_quantiles=None,
            linearity=(),
            response=None,
            snr=Curve(np.zeros(0), np.zeros(0)),
            estimates={},
            origin={},
            levels=LEVELS[:1],
        )
    )
    titles = [text for _, text in Page(text).all("b")]
    assert titles == ["Photon transfer curve", "Residuals of the fit"]
    assert "Nothing was recorded." in text


def test_a_table_of_a_hundred_levels_is_folded():
    page = page_of(levels=tuple(make_level(k / 100) for k in range(100)))
    assert page.all("summary")[0][1] == "All 100 levels"
    assert sum("series 0.9" in row for row in page.rows()) == 10
    assert not page_of().all("summary")


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
