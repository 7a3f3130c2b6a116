"""The calibration wizard in headless Chromium, over boards that light themselves and not."""

import json
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.firmware_sim.virtual_board import sensor
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.firmware_sim.wire import Feature
from focalloop.host.cli import board_memory
from focalloop.host.errors import BoardLostError
from focalloop.host.live import session as live_session
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.calibration_state import (
    CalibrationPhase,
    CalibrationState,
    MarkState,
    fit_state,
)
from focalloop.host.live.calibrator import CalibratorError
from focalloop.host.live.session import LiveSession
from tests.support.fake_session import make_picture
from tests.support.lamp import Lamp
from tests.support.made_calibration import PROFILE, make_calibration
from tests.support.preview_page import go, served_page
from tests.support.served import free_port, on_tcp
from tests.support.waiting import wait_until

TRUTH = replace(PROFILE, prnu=0.01, bend=-0.05)
SHAPE = (48, 64)
MAP = RatioMap.uniform(2, SHAPE)
PLOTS = ("curve", "residuals", "response", "response-residuals")


class Bench:
    """A board on a cable, with its lamp, and the page of its session.

    Attributes
    ----------
    lamp, session, url : Lamp, LiveSession, str
    """

    def __init__(self, stack, serial):
        self._stack, self._port, self.lamp = stack, free_port(), Lamp(SHAPE)
        self._board = VirtualBoard(
            self.lamp, BoardSettings(profile=TRUTH, slot_rate_hz=160.0, serial=serial)
        )
        self._board.warm_up()
        self.connect()
        self.session = stack.enter_context(
            LiveSession(
                BoardAt(f"socket://127.0.0.1:{self._port}"),
                bundle="network-free",
                ratio_map=MAP,
                board_memory=board_memory,
            )
        )
        wait_until(lambda: self.session.picture() is not None, 60)
        self.url = stack.enter_context(served_page(self.session))

    def connect(self):
        """Plug the cable in."""
        self._cable = self._stack.enter_context(ExitStack())
        self._cable.enter_context(on_tcp(self._board, port=self._port))

    def disconnect(self):
        """Pull it out."""
        self._cable.close()


@contextmanager
def bench(tmp_path_factory, serial, features=sensor.ALL_FEATURES):
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setattr(sensor, "ALL_FEATURES", features)
        patch.setattr(live_session, "RECONNECT_TIMEOUT_S", 0.3)
        yield Bench(stack, serial)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    with bench(tmp_path_factory, "42") as made:
        yield made


@pytest.fixture
def by_hand(tmp_path_factory):
    """A board without a light of its own."""
    with bench(tmp_path_factory, "virtual", Feature.APERTURE) as made:
        yield made


@pytest.fixture
def page(open_page, emulated):
    page = open_page(emulated.url)
    go(page, "calibrate")
    return page


def goes_on(session):
    """Whether windows come under the map that the board had before."""
    window = session.picture().window
    wait_until(lambda: session.picture().window > window + 1, 60)
    return session.picture().map_hash == MAP.hash()


def current(page):
    """Which step the page is at."""
    return page.inner_text("#calibration-stages [aria-current=step]").strip()


def inked(page, *names):
    """Whether something is drawn on each of these plots."""
    return page.evaluate(
        """(names) => names.map((name) => {
          const canvas = document.getElementById(`calibration-${name}`);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some((value) => value > 0);
        })""",
        names,
    )


@pytest.mark.timeout(300)
def test_a_calibration_is_run_read_saved_and_applied(browser, page, emulated, tmp_path):
    session = emulated.session
    assert current(page) == "Board and light"
    assert page.inner_text("#calibration-kind") == "SIMULATED"
    assert page.is_visible("#calibration-emulated")
    page.wait_for_selector("#calibration-sum:has-text('20 windows, about')")
    assert page.locator("#calibration-plan tbody tr").count() == 9
    page.fill("#calibration-reads", "8")
    page.wait_for_selector("#calibration-sum:has-text('38 windows, about')")
    page.press("#calibration-reads", "Enter")
    wait_until(lambda: session.calibrator.state().phase is CalibrationPhase.DONE, 200)
    page.wait_for_selector("#calibration-result:visible")
    assert current(page) == "Result"

    fit = session.state().calibration.fit
    for name, truth in (("s_ss", TRUTH.s_ss), ("s_r", TRUTH.s_r), ("prnu", TRUTH.prnu)):
        estimate = fit.estimates[name]
        # Not within the interval itself, which one run in twenty misses.
        assert abs(estimate.value - truth) < 1.5 * (estimate.high - estimate.low)
    assert fit.estimates["s_ss"].text in page.inner_text("#calibration-figures")
    prnu = fit.estimates["prnu"]
    shown = page.inner_text("#calibration-fixed tr[data-name=prnu]").split("\t")
    assert shown == [prnu.title, prnu.text, prnu.interval]
    bend = fit.estimates["response_bend"]
    assert abs(bend.value + 0.05) < 1.5 * (bend.high - bend.low)
    shown = page.inner_text("#calibration-values tr[data-name=response_bend]")
    assert shown.endswith(bend.interval)
    for kind, count in fit.defects.items():
        assert str(count) in page.inner_text(f"#calibration-fixed tr[data-name={kind}]")
    assert page.inner_text("#calibration-headline") == fit.headline
    assert page.inner_text("#calibration-sentences") == " ".join(fit.sentences)
    warnings = page.locator("#calibration-warnings li").all_inner_texts()
    assert tuple(warnings) == fit.warnings
    assert inked(page, *PLOTS) == [True] * 4

    saved = {}
    for kind, name in (
        ("profile", "profile.json"),
        ("correction", "correction.npz"),
        ("report", "report.html"),
    ):
        with page.expect_download() as kept:
            page.click(f"#calibration-{kind}")
        saved[kind] = tmp_path / name
        kept.value.save_as(saved[kind])
    NoiseProfile.load(saved["profile"])
    document = json.loads(saved["profile"].read_text())
    assert document["estimates"].keys() == fit.estimates.keys()
    assert FixedPattern.load(saved["correction"]).shape == SHAPE
    report = browser.new_page(viewport={"width": 1440, "height": 900})
    report.goto(saved["report"].as_uri())
    assert "Photon transfer curve" in report.inner_text("main")
    assert fit.headline in report.inner_text("main")
    assert report.locator("svg circle.dot.data").count() > 5
    assert report.evaluate("() => document.documentElement.scrollWidth") <= 1440
    report.close()

    assert goes_on(session)
    assert session.state().corrected_by == ""  # until it is applied
    assert "are kept for the board 42" in page.inner_text("#calibration-effects")
    page.focus("#calibration-apply")
    page.keyboard.press("Enter")
    page.wait_for_selector("#calibration-in-use:has-text('in use')")
    assert current(page) == "Apply"
    assert page.is_hidden("#calibration-discard")
    assert "It is kept for the board 42" in page.inner_text("#calibration-effects")
    wait_until(lambda: session.state().corrected_by == "the calibration of this session")
    known = board_memory.recall(session._board.info)
    assert known.profile == session.calibrator.result.profile
    assert goes_on(session)

    # One click takes all of it back, and another one applies it again.
    assert page.evaluate("() => document.activeElement.id") == "calibration-undo"
    page.keyboard.press("Enter")
    page.wait_for_selector("#calibration-apply:enabled")
    assert current(page) == "Result"
    wait_until(lambda: session.state().corrected_by == "")
    assert board_memory.recall(session._board.info) is None
    assert goes_on(session)
    page.click("#calibration-apply")
    page.wait_for_selector("#calibration-undo:visible")
    wait_until(lambda: session.state().corrected_by == "the calibration of this session")

    page.reload()
    page.wait_for_selector("#calibration-in-use:has-text('in use')")
    page.click("#calibration-again")
    page.wait_for_selector("#calibration-board:visible")
    assert page.url.endswith("#/calibrate/start")
    assert "the calibration of this session" in page.inner_text("#calibration-identity")
    page.go_back()
    page.wait_for_selector("#calibration-result:visible")


def test_an_invalid_number_of_reads_cannot_be_started(page):
    page.evaluate("() => { location.hash = '#/calibrate/start'; }")
    for wrong in ("1", "33", ""):
        page.fill("#calibration-reads", wrong)
        page.wait_for_selector("#calibration-sum.error")
        assert page.inner_text("#calibration-sum") == (
            "Reads per level are a whole number from 2 to 32."
        )
        assert page.is_disabled("#calibration-start")
    page.fill("#calibration-reads", "2")
    page.wait_for_selector("#calibration-start:enabled")


def test_every_step_fits_its_window(page):
    for address in ("#/calibrate", "#/calibrate/start"):
        page.evaluate("(address) => { location.hash = address; }", address)
        for width, height in ((1440, 900), (1000, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width
            for box in page.locator(
                ".calibrate .stage:visible > *:visible, .calibrate .stage:visible table:visible"
            ).all():
                place = box.bounding_box()
                assert 0 <= place["x"] <= place["x"] + place["width"] <= width


def test_a_board_by_hand_says_how_its_light_is(browser, open_page, by_hand):
    page, lamp = open_page(by_hand.url), by_hand.lamp
    go(page, "calibrate")
    assert page.inner_text("#calibration-kind") == "REAL"
    page.wait_for_selector("#calibration-hand:has-text('Too dark')")
    lamp.level = 0.3
    page.wait_for_selector("#calibration-hand:has-text('Dim')")
    lamp.level = 0.85
    page.wait_for_selector("#calibration-hand:has-text('The longest span gets')")
    page.click("#calibration-start")
    page.wait_for_selector("#calibration-asked:has-text('Cover the sensor')")
    page.wait_for_selector("#calibration-ask:has-text('Light still reaches the sensor')")
    assert page.evaluate("() => document.activeElement.id") == "calibration-proceed"

    # A second page, and the first one after a reload, are at the same step; either can end it.
    page.reload()
    page.wait_for_selector("#calibration-asked:has-text('Cover the sensor')")
    other = browser.new_page()
    other.goto(page.url)
    other.wait_for_selector("#calibration-asked:has-text('Cover the sensor')")
    other.click("#calibration-cancel")
    for each in (page, other):
        each.wait_for_selector("#calibration-last:has-text('cancelled; nothing has changed')")
        assert current(each) == "Board and light"
    other.close()
    assert goes_on(by_hand.session)


def test_a_board_that_is_lost_in_the_middle_goes_on(open_page, by_hand):
    page, lamp, session = open_page(by_hand.url), by_hand.lamp, by_hand.session
    go(page, "calibrate")
    page.click("#calibration-start")
    page.wait_for_selector("#calibration-ask:has-text('Dark: ')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#calibration-asked:has-text('Illuminate')")
    assert page.inner_text("#calibration-left") == "4 of 8 windows"

    by_hand.disconnect()
    page.wait_for_selector("#calibration-asked:has-text('The board is lost')")
    assert "The 4 windows so far are kept" in page.inner_text("#calibration-asked")
    assert page.is_disabled("#calibration-proceed")
    page.reload()
    page.wait_for_selector("#calibration-asked:has-text('The board is lost')")
    by_hand.connect()
    page.wait_for_selector("#calibration-asked:has-text('The board is back')")
    page.click("#calibration-proceed")
    page.wait_for_selector("#calibration-asked:has-text('Illuminate')")
    lamp.level = 0.85
    page.wait_for_selector("#calibration-ask:has-text('The longest span gets')")
    page.click("#calibration-proceed")
    page.wait_for_selector("#calibration-result:visible")
    assert page.evaluate("() => document.activeElement.id") == "calibration-headline"
    assert session.state().calibration.windows == 8
    assert "does not tell this board from others" in page.inner_text("#calibration-effects")
    page.click("#calibration-discard")
    page.wait_for_selector("#calibration-board:visible")
    assert goes_on(session)


def test_the_fit_so_far_is_shown_beside_what_is_left(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    mark = {name: MarkState(0.005, 0.0049, 0.0051) for name in ("s_ss", "s_r")}
    session.calibrator.now = CalibrationState(
        CalibrationPhase.RUNNING,
        activity="fitting",
        steps=session.calibrator.planned.steps,
        step=4,
        windows=11,
        windows_total=14,
        seconds_left=2.6,
        fit=fit_state(make_calibration(), 11),
        trail=(mark,),
    )
    page = open_page(session_url)
    go(page, "calibrate")
    page.wait_for_selector("#calibration-so-far:visible")
    assert current(page) == "Captures"
    assert page.inner_text("#calibration-left") == "11 of 14 windows, about 3 s left"
    taken = page.locator("#calibration-taken li")
    assert taken.count() == 6
    assert page.locator("#calibration-taken li.done").count() == 4
    assert taken.nth(4).inner_text().startswith("Even light, 90 %, 2 reads per window")
    assert page.is_hidden("#calibration-ask")
    assert inked(page, "growing", "trail-s-ss", "trail-s-r") == [True] * 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CalibratorError("the calibration has gone on meanwhile"), "has gone on meanwhile"),
        (BoardLostError("no board is connected: try again in a moment"), "try again"),
    ],
)
def test_a_request_that_comes_too_late_is_told(open_page, session_url, session, error, said):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    go(page, "calibrate")
    page.wait_for_selector("#calibration-start:enabled")
    session.calibrator.error = error
    page.click("#calibration-start")
    page.wait_for_selector(f"#calibration-say:has-text('{said}')")
    assert page.inner_text("#calibration-say").endswith(".")
    session.calibrator.error = None
    page.click("#calibration-start")
    page.wait_for_selector("#calibration-say:not(:visible)", state="attached")
    assert session.calibrator.asked[-1] == ("start", 4, 0)


def test_what_stops_the_captures_and_what_is_forgotten_is_said(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    halted = CalibrationState(
        CalibrationPhase.HALTED,
        turn=9,
        error="Cannot write step-3: No space left on device.",
        windows=5,
        windows_total=14,
    )
    session.calibrator.now = halted
    go(page, "calibrate")
    page.wait_for_selector("#calibration-asked:has-text('No space left on device.')")
    said = "The 5 windows so far are kept. Continue once there is room."
    assert page.inner_text("#calibration-asked").endswith(said)
    page.click("#calibration-proceed")
    wait_until(lambda: session.calibrator.asked[-1:] == [("proceed", 9)])
    session.calibrator.now = CalibrationState()  # that of another service
    page.wait_for_selector("#calibration-say:has-text('was started again meanwhile')")
    assert current(page) == "Board and light"
    session.calibrator.now = replace(halted, phase=CalibrationPhase.CANCELLED)
    page.wait_for_selector("#calibration-last:has-text('cancelled')")
