"""The page in states that an emulated board never has, over a fake session."""

from dataclasses import replace

import pytest

from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState
from focalloop.host.live.state import LinkState, ScoreState, SpeedState
from tests.support.fake_session import make_picture
from tests.support.preview_page import go, pause_at
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("gives_scene", "says"),
    [
        (False, "This board does not know its scene."),
        (True, "The scene of this window has not arrived."),
    ],
)
def test_without_a_scene_the_page_says_why(open_page, session_url, session, gives_scene, says):
    session.board = replace(session.board, gives_scene=gives_scene)
    session.put(make_picture(1, session.ratio_map, truth=False))
    page = open_page(session_url)
    page.wait_for_selector("#badge:has-text('SIMULATED')")
    session.put(make_picture(2, session.ratio_map, truth=False))
    for name in ("truth", "error"):
        page.wait_for_selector(f"#{name}-empty:has-text('{says}')")
    session.put(make_picture(3, session.ratio_map))
    for name in ("truth", "error"):
        page.wait_for_selector(f"#{name}-empty", state="hidden")


def figures(page):
    names = ("psnr-initial", "psnr-final", "ssim-initial", "ssim-final", "windows", "latency")
    return [page.inner_text(f"#{name}").removesuffix(" →") for name in names]


def test_figures_of_another_network_are_neither_shown_nor_claimed_by_the_new_one(
    open_page, session_url, session
):
    session.bundle = "edge"
    session.scores = ScoreState(1, 1, 20.1, 30.2, 0.7, 0.9)
    session.speed = SpeedState(
        reconstructed_per_s=15.0, reconstruct_ms=20.0, latency_p50_ms=50.0, latency_p95_ms=60.0
    )
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.wait_for_selector("#psnr-final:has-text('30.2')")
    session.put(make_picture(2, session.ratio_map))
    page.wait_for_selector("#final-note:has-text('by edge')")
    assert figures(page) == ["20.1", "30.2", "0.700", "0.900", "15.0", "50"]

    session.bundle, session.setup = "network-free", 2  # the map stays
    session.scores, session.speed = None, SpeedState()
    page.wait_for_selector("#psnr-final:has-text('–')")
    session.put(make_picture(3, session.ratio_map, setup=1))  # was under way
    page.wait_for_selector("#window-label:has-text('window 3')")
    assert page.inner_text("#final-note") == "by edge"
    assert figures(page) == ["–"] * 6

    session.put(make_picture(4, session.ratio_map, setup=2))
    page.wait_for_selector("#final-note:has-text('by network-free')")


def test_a_pause_holds_no_window_of_the_network_before(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    pause_at(page, session, make_picture(2, session.ratio_map))
    session.bundle, session.setup = "edge", 2
    wait_until(lambda: list(session.wants.values()) == [1])  # asks for a window of the new one
    session.put(make_picture(3, session.ratio_map, setup=1))
    wait_until(lambda: list(session.wants.values()) == [1])
    session.put(make_picture(4, session.ratio_map, setup=2))
    page.wait_for_selector("#window-label:has-text('window 4, held')")
    assert page.inner_text("#final-note") == "by edge"


@pytest.mark.parametrize(
    ("speed", "link", "says"),
    [
        (SpeedState(), LinkState(), "nothing lost"),
        (SpeedState(), LinkState(resends=55), "nothing lost, asked again 55 times"),
        (
            SpeedState(windows_lost=1),
            LinkState(bad_frames=2, resends=1),
            "1 window lost, 2 frames damaged, asked again 1 time",
        ),
    ],
)
def test_the_link_is_described_once_and_the_same_everywhere(
    open_page, session_url, session, speed, link, says
):
    session.speed, session.link = speed, link
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    wait_until(lambda: page.inner_text("#link-note") == says)
    go(page, "boards")
    page.wait_for_selector("#link-values tr")
    assert f"On the line\t{says}" in page.inner_text("#link-values")


def test_a_calibration_that_waits_for_light_continues_on_request(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    session.calibrator.now = CalibrationState(
        CalibrationPhase.LIGHT, "cover the sensor so that no light reaches it", windows_total=8
    )
    page = open_page(session_url)
    go(page, "calibrate")
    page.wait_for_selector("#calibration-say:has-text('Cover the sensor')")
    assert page.inner_text("#calibration-say").endswith("Then press Continue.")
    page.click("button:text('Continue')")
    wait_until(lambda: ("proceed",) in session.calibrator.asked)
