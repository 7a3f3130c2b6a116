"""The verdict: a mood, and sentences that say what was found."""

from dataclasses import replace

import pytest

from focalloop.calibration.result import Fit
from tests.support.made_calibration import PROFILE, make_level, make_response
from tests.support.parsed_report import page_of

LIGHTS = (0.0, 0.1, 0.2, 0.4, 0.8)


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


def test_the_signal_above_which_shot_noise_dominates_is_stated():
    quiet = replace(PROFILE, s_r=1e-3)
    (_, text), *_ = page_of(profile=quiet).all("section")
    assert "Below 4.1 % of full scale the read noise dominates" in text


def test_a_response_without_a_bend_is_said_to_be_straight_with_its_interval():
    (_, text), *_ = page_of().all("section")
    assert "No bend shows in the response" in text
    assert "(95 % interval −0.20 to 0.20 %)" in text


def test_a_bend_is_stated_with_its_size():
    bent = {"profile": replace(PROFILE, bend=-0.04), "response": make_response(bent=True)}
    (_, text), *_ = page_of(**bent).all("section")
    assert "it lies 4.00 % below its initial straight line (95 % interval −4.2 to −3.8 %)" in text
    assert "lie on the line of the bent response" in text


def test_of_a_response_that_is_not_known_nothing_is_said():
    (_, text), *_ = page_of(response=None).all("section")
    assert "response" not in text
