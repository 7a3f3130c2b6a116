"""The page in states that an emulated board never has, over a fake session."""

from dataclasses import replace

import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState
from focalloop.host.live.state import LinkState, Message, Phase, ScoreState, SpeedState
from focalloop.host.recording.recorder import RecorderState
from tests.support.fake_session import SHAPE, make_picture
from tests.support.preview_page import go, pause_at, served_page
from tests.support.waiting import wait_until


def test_without_a_reference_two_pictures_take_the_whole_row(open_page, session_url, session):
    session.board = replace(session.board, gives_scene=False, simulated=False)
    session.put(make_picture(1, session.ratio_map, truth=False))
    page = open_page(session_url)
    page.wait_for_selector("#badge:has-text('REAL')")
    page.wait_for_selector("#no-reference:has-text('No reference')")
    session.put(make_picture(2, session.ratio_map, truth=False))
    page.wait_for_selector(".unreferenced")
    assert page.is_hidden("#truth")
    assert page.is_hidden("#error")
    assert page.is_hidden("#psnr-final")
    row = page.locator(".pictures").bounding_box()
    last = page.locator(".of-final").bounding_box()
    assert last["x"] + last["width"] == pytest.approx(row["x"] + row["width"])
    assert last["width"] > 0.45 * row["width"]


def test_a_scene_that_has_not_arrived_is_said_to_be_missing(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map, truth=False))
    page = open_page(session_url)
    session.put(make_picture(2, session.ratio_map, truth=False))
    for name in ("truth", "error"):
        page.wait_for_selector(f"#{name}-empty:has-text('has not arrived')")
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


def test_the_link_is_described_by_the_last_minute_and_in_full(open_page, session_url, session):
    session.speed, session.link = SpeedState(windows_lost=3), LinkState(bad_frames=7, resends=55)
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.wait_for_selector("#link-note:has-text('nothing lost in the last')")
    session.speed, session.link = SpeedState(windows_lost=4), LinkState(bad_frames=9, resends=56)
    says = "1 window lost, 2 frames damaged, asked again 1 time in the last"
    page.wait_for_selector(f"#link-note.bad:has-text('{says}')")
    go(page, "boards")
    total = "4 windows lost, 9 frames damaged, asked again 56 times"
    page.wait_for_selector(f"#link-values:has-text('{total}')")


def test_a_slow_host_is_said_to_be_slow(open_page, session_url, session):
    session.speed = SpeedState(reconstructed_per_s=12.0)
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.wait_for_selector("#windows.slow:has-text('12.0')")
    assert page.inner_text("#windows-unit") == "of 15 /s"
    page.wait_for_selector(".phase.slow:has-text('slow: 12 of 15, every 8th slot')")
    session.speed = SpeedState(reconstructed_per_s=14.9)
    page.wait_for_function("() => !document.getElementById('phase').textContent.includes('of 15')")
    page.click("#pause")
    page.wait_for_selector(".phase.instead:has-text('paused')")


def test_the_page_writes_only_what_has_changed(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    session.compare("network-free")
    page = open_page(session_url)
    page.wait_for_selector("#draws-note:has-text('slot')")
    written = page.evaluate(
        """() => new Promise((resolve) => {
          const written = [];
          const nameOf = ({ target }) =>
            (target.closest ? target : target.parentElement).closest("[id]")?.id;
          const observer = new MutationObserver((all) => written.push(...all.map(nameOf)));
          observer.observe(document.body, {
            childList: true, characterData: true, attributes: true, subtree: true,
          });
          setTimeout(() => resolve(written), 1000);
        })"""
    )
    by_the_second = {"link-note", "draws", "draws-note"}
    assert set(written) <= by_the_second | {"phase"}
    assert len(written) < 10


def test_a_page_without_any_window_yet_says_so(browser, session, session_url):
    page = browser.new_page()
    page.goto(session_url)
    page.wait_for_selector(".live.waiting")
    said = "getComputedStyle(document.querySelector('.of-final .screen'), '::after').content"
    assert "waiting for the first window" in page.evaluate(f"() => {said}")
    assert page.is_hidden("#final")
    session.put(make_picture(1, session.ratio_map))
    page.wait_for_selector("#final")
    assert page.evaluate(f"() => {said}") == "none"
    page.close()


def test_what_the_session_does_before_it_streams_is_said_and_for_how_long(
    open_page, session_url, session
):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    session.phase, session.activity = Phase.CONNECTING, "opening /dev/pts/9"
    page.wait_for_selector("#notice.info:has-text('Opening /dev/pts/9, for 2 s so far')")
    assert page.inner_text("#phase") == "connecting"
    session.phase, session.activity = Phase.UPLOADING, "uploading the ratio map"
    page.wait_for_selector("#notice.info:has-text('Uploading the ratio map')")
    colour = "(name) => getComputedStyle(document.getElementById(name)).color"
    stale = page.evaluate(colour, "saved")
    assert stale != page.evaluate(colour, "bundle")
    session.phase = Phase.STOPPED
    session.messages = (Message(0.0, "error", "The pattern is of another board."),)
    page.wait_for_selector("#notice.error:has-text('another board. Start focalloop again')")
    assert page.inner_text("#phase") == "stopped"


def test_windows_that_were_recorded_earlier_are_a_replay(open_page, session_url, session):
    session.board = replace(session.board, replay=True, simulated=False)
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.wait_for_selector("#badge.replay:has-text('REPLAY')")


def test_what_was_measured_under_the_map_before_is_cleared(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    pause_at(page, session, make_picture(2, session.ratio_map))
    page.wait_for_selector("#reads-note:has-text('%')")
    page.wait_for_selector("#histogram-note:has-text('reads')")
    session.ratio_map, session.setup = RatioMap.uniform(2, SHAPE), 2
    page.wait_for_selector("#saved:has-text('87.5 %')")
    page.wait_for_selector("#reads-note", state="hidden")
    assert page.inner_text("#histogram-note") == ""
    assert set(page.locator("#pixel-values td").all_inner_texts()) == {"–"}
    session.put(make_picture(3, session.ratio_map, setup=2))
    page.wait_for_selector("#reads-note:has-text('%')")


def test_a_recording_that_a_full_disk_has_ended_is_said(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    session.recording = RecorderState("now", True, 60, 0, 16_000_000, 4.0, 0, "")
    page.wait_for_selector("#record[aria-pressed=true]:has-text('Stop · 4 s · 16.0 MB')")
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("recording", "phase"):  # there is room for both on a phone
        box = page.locator(f"#{name}").bounding_box()
        assert box["width"] > 30
        assert box["x"] + box["width"] <= 390
    why = "The recording now ended, as less than 512 MiB of the disk are free: make room."
    session.recording = replace(session.recording, recording=False, problem=why)
    page.wait_for_selector(f"#notice.error:has-text('{why}')")
    page.wait_for_selector("#record[aria-pressed=false]")


def test_a_lost_board_dims_its_pictures_and_counts_the_seconds(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    board = session.board = replace(session.board, simulated=False)
    page = open_page(session_url)
    page.wait_for_selector("#badge:has-text('REAL')")
    session.phase, session.board = Phase.LOST, None
    page.wait_for_selector(".phase.lost:has-text('board lost')")
    page.wait_for_selector("#notice.error:has-text('Check its cable and its power. (2 s)')")
    assert page.inner_text("#badge") == "REAL"
    dimmed = "() => Number(getComputedStyle(document.getElementById('final')).opacity) < 1"
    page.wait_for_function(dimmed)
    page.click("#save summary")
    page.wait_for_selector("#save-unable:has-text('No window comes from the board now')")
    assert page.is_disabled("#save-window-npz")
    assert page.is_enabled("#save-window-png")
    assert page.get_attribute("#pause", "aria-pressed") == "false"
    session.phase, session.board = Phase.STREAMING, board
    page.wait_for_selector(".phase.streaming")
    page.wait_for_selector("#notice", state="hidden")
    assert not page.evaluate(dimmed)
    page.wait_for_selector("#save-window-npz:enabled")


def test_a_service_that_wants_a_token_asks_for_it(browser, session):
    session.put(make_picture(1, session.ratio_map))
    with served_page(session, token="open sesame") as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("#token-say:has-text('needs its token')")
        assert page.is_hidden("#views")
        page.fill("#token", "abracadabra")
        page.keyboard.press("Enter")
        page.wait_for_selector("#token-say:has-text('does not know this token')")
        page.fill("#token", "open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector(".view.live")
        page.reload()  # a cookie has it now
        page.wait_for_selector("#saved:has-text('%')")
        page.context.clear_cookies()
        page.reload()
        page.wait_for_selector("#token-say:has-text('needs its token')")
        uncaught = []
        page.on("pageerror", lambda error: uncaught.append(error))
        page.context.set_offline(True)
        page.fill("#token", "open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("#token-say:has-text('does not answer')")
        assert not uncaught
        page.context.set_offline(False)
        page.keyboard.press("Enter")  # what was typed is still there
        page.wait_for_selector(".view.live")
        page.close()


@pytest.mark.parametrize("missing", ["live.html", "player.js"])
def test_a_view_whose_loading_was_cut_off_appears_once_the_service_answers(
    browser, session, session_url, missing
):
    session.put(make_picture(1, session.ratio_map))
    page = browser.new_page()
    page.route(f"**/live/{missing}", lambda request: request.abort())
    page.goto(session_url)
    page.wait_for_selector("#notice.error:has-text('could not be loaded')")
    page.unroute_all()
    page.wait_for_selector(".view.live")
    page.wait_for_selector("#notice", state="hidden")
    page.close()


def test_a_calibration_that_waits_for_light_continues_on_request(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    session.calibrator.now = CalibrationState(
        CalibrationPhase.LIGHT,
        turn=7,
        activity="cover the sensor so that no light reaches it",
        windows_total=8,
    )
    page = open_page(session_url)
    go(page, "calibrate")
    page.wait_for_selector("#calibration-asked:has-text('Cover the sensor')")
    page.click("button:text('Continue')")
    wait_until(lambda: ("proceed", 7) in session.calibrator.asked)


def test_a_token_that_expires_costs_no_step(browser, session):
    session.put(make_picture(1, session.ratio_map))
    session.calibrator.now = CalibrationState(
        CalibrationPhase.LIGHT, turn=5, activity="cover the sensor", windows=4, windows_total=8
    )
    page = browser.new_page()
    with served_page(session, token="the first") as url:
        page.goto(f"{url}?token=the+first#/calibrate")
        page.wait_for_selector("#calibration-proceed:enabled")
        page.context.clear_cookies()
        page.click("#calibration-proceed")
        page.wait_for_selector("#calibration-say:has-text('token')")
        assert session.calibrator.asked == []
    with served_page(session, int(url.rpartition(":")[2].strip("/")), token="the second"):
        page.wait_for_selector("#token-say:has-text('does not know this token')")
        page.fill("#token", "the second")
        page.keyboard.press("Enter")
        page.wait_for_selector("#calibration-asked:has-text('Cover the sensor')")
        page.click("#calibration-proceed")
        wait_until(lambda: session.calibrator.asked[-1:] == [("proceed", 5)])
        page.close()
