"""The radio link on the page, over a fake session."""

from dataclasses import replace

import pytest

from focalloop.host.live.radio_state import RadioChoice
from focalloop.host.live.state import ScoreState
from tests.support.fake_session import FakeRadio, make_picture
from tests.support.preview_page import colours
from tests.support.waiting import wait_until


@pytest.fixture
def radio(session):
    session.radio = FakeRadio(
        payload_symbols=70,
        rate_map_symbols=3,
        header_symbols=4,
        windows_sent=1234,
        link_ms=41.6,
        rate_map=("017", "710"),
    )
    return session.radio


@pytest.fixture
def page(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    return open_page(session_url)


def slide(page, name, value):
    page.evaluate(
        """([name, value]) => {
          const slider = document.getElementById(name);
          slider.value = String(value);
          slider.dispatchEvent(new Event("input"));
        }""",
        [name, value],
    )


def values(page):
    lines = page.inner_text("#radio-values").splitlines()
    return dict(line.split("\t") for line in lines if "\t" in line)


def test_a_session_without_a_link_shows_no_panel(page):
    page.wait_for_selector("#saved:has-text('%')")
    assert page.is_hidden("#radio")


def test_the_link_and_its_newest_window_are_shown(radio, page):
    page.wait_for_selector("#radio")
    page.wait_for_selector("#radio-values")
    wait_until(lambda: values(page).get("Symbols per window") == "77")
    shown = values(page)
    assert shown["of data"] == "70"
    assert shown["of rate map, of header"] == "3, 4"
    assert shown["Windows sent, lost"] == "1,234, 0"
    assert shown["Both ends of the link"] == "42 ms"
    assert page.inner_text("#radio-snr-label") == "10.0 dB"
    assert page.inner_text("#radio-symbols-label") == "77"
    picture = colours(page, "radio-rates").astype(int).sum(axis=2)
    assert picture.shape == (2, 3)
    assert picture[0, 2] == picture[1, 0] > picture[0, 1] == picture[1, 1] > picture[0, 0]


def test_sliders_and_lists_choose_and_the_newest_choice_counts(radio, page):
    page.wait_for_selector("#radio")
    wait_until(lambda: page.inner_text("#radio-symbols-label") == "77")
    slide(page, "radio-snr", 4.5)
    wait_until(lambda: radio.chosen)
    assert radio.chosen[-1] == RadioChoice("semcom", "awgn", 4.5, 77)
    for symbols in (80, 90, 100):
        slide(page, "radio-symbols", symbols)
    wait_until(lambda: radio.chosen[-1].symbols == 100)
    assert page.inner_text("#radio-symbols-label") == "100"
    page.select_option("#radio-method", "compr-ldpc")
    page.select_option("#radio-channel", "rayleigh")
    wait_until(lambda: radio.chosen[-1] == RadioChoice("compr-ldpc", "rayleigh", 4.5, 100))


def test_a_choice_made_elsewhere_is_followed(radio, page):
    page.wait_for_selector("#radio")
    radio.now = replace(radio.now, choice=RadioChoice("compr-ldpc", "awgn", -2.5, 50))
    wait_until(lambda: page.inner_text("#radio-snr-label") == "-2.5 dB")
    assert page.input_value("#radio-method") == "compr-ldpc"


def test_a_lost_window_and_a_problem_are_said(radio, page):
    page.wait_for_selector("#radio")
    radio.now = replace(radio.now, lost=True, windows_lost=5, rate_map=(), problem="It is far.")
    page.wait_for_selector("#radio-note:has-text('window lost')")
    page.wait_for_selector("#radio-rates-empty:has-text('The newest window was lost.')")
    page.wait_for_selector("#radio-say:has-text('It is far.')")
    assert values(page)["Windows sent, lost"] == "1,234, 5"


def test_every_snr_that_was_tried_leaves_a_dot_until_the_symbols_change(radio, page, session):
    def dots():
        picture = colours(page, "radio-curve").astype(int)
        final = abs(picture - (0x4F, 0xC3, 0xD9)).sum(axis=2) < 30
        measured = abs(picture - (0xF2, 0xB8, 0x4B)).sum(axis=2) < 30
        return final.sum(), measured.sum()

    def score(psnr, choice):
        session.scores = ScoreState(1, 1, 20.0, psnr, 0.7, 0.9, choice)

    page.wait_for_selector("#radio")
    score(25.0, RadioChoice("semcom", "awgn", 10.0, 77))
    wait_until(lambda: dots()[0] > 0)
    one = dots()[0]
    score(22.0, RadioChoice("semcom", "awgn", 4.0, 77))
    wait_until(lambda: dots()[0] > 1.5 * one)
    score(12.0, RadioChoice("compr-ldpc", "awgn", 4.0, 77))
    wait_until(lambda: dots()[1] > 0)
    assert values(page)["PSNR"] == "12.00 dB"
    score(26.0, RadioChoice("semcom", "awgn", 10.0, 100))
    wait_until(lambda: dots()[1] == 0 and dots()[0] < 1.5 * one)
