"""The page in states that an emulated board never has, over a fake session."""

import threading

import pytest

from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState
from focalloop.host.service.api import create_app
from focalloop.host.service.binding import address_of, listen
from focalloop.host.service.server import Service
from tests.support.fake_session import FakeSession, make_picture
from tests.support.waiting import wait_until


@pytest.fixture
def session():
    """The fake session, with one picture of a board that does not know its scene."""
    session = FakeSession()
    session.put(make_picture(1, session.ratio_map, truth=False))
    return session


@pytest.fixture
def url(session):
    with listen("127.0.0.1", 0) as sock:
        service = Service(create_app(session), sock)
        thread = threading.Thread(target=service.run)
        thread.start()
        yield address_of(sock)
        service.stop()
        thread.join(10)


def test_a_board_without_a_scene_has_no_truth_and_no_error(open_page, url):
    page = open_page(url)
    for name in ("truth", "error"):
        assert page.inner_text(f"#{name}-empty") == "This board does not know its scene."


def test_a_calibration_that_waits_for_light_continues_on_request(open_page, url, session):
    session.calibrator.now = CalibrationState(
        CalibrationPhase.LIGHT, "cover the sensor so that no light reaches it", windows_total=8
    )
    page = open_page(url)
    page.wait_for_selector("#calibration-say:has-text('Cover the sensor')")
    assert page.inner_text("#calibration-say").endswith("Then press Continue.")
    page.click("button:text('Continue')")
    wait_until(lambda: ("proceed",) in session.calibrator.asked)
