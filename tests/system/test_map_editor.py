"""The map editor as a person uses it, over a fake session."""

import re
import threading

import numpy as np
import pytest

from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.feasibility import Feasibility, Hardware
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.host.errors import BoardLostError
from focalloop.host.live.state import Phase
from tests.support.fake_session import SHAPE, make_picture
from tests.support.preview_page import colours, go, served_page

NO_DIFFERENCE = "as on the board"


@pytest.fixture
def page(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    go(page, "map")
    page.wait_for_selector(f"#difference:has-text('{NO_DIFFERENCE}')")
    return page


def corner(page):
    """Where the drawing begins on its canvas, and the pixels per cell; margins are whole cells."""
    box = page.locator("#easel").bounding_box()
    scale = int(page.inner_text("#zoom-label").rstrip("×"))
    spare = (int(box["width"]) // scale - SHAPE[1], int(box["height"]) // scale - SHAPE[0])
    return *(each // 2 * scale for each in spare), scale


def place(page, x, y):
    """The middle of a cell of the drawing, on the page."""
    box = page.locator("#easel").bounding_box()
    left, top, scale = corner(page)
    return box["x"] + left + (x + 0.5) * scale, box["y"] + top + (y + 0.5) * scale


def stroke(page, *cells):
    """Paint with the mouse, from cell to cell."""
    page.mouse.move(*place(page, *cells[0]))
    page.mouse.down()
    for cell in cells[1:]:
        page.mouse.move(*place(page, *cell))
    page.mouse.up()


def upload(page, session):
    """Upload the drawing; the levels that the board then has."""
    page.click("#send")
    page.wait_for_selector("#send-say.done")
    return session.ratio_map.levels


def test_a_map_is_painted_by_mouse_and_uploaded(page, session):
    wanted = session.ratio_map.levels.copy()
    page.click("#palette button[aria-label='Level 8']")
    page.click("#tool button[data-tool=rectangle]")
    stroke(page, (3, 2), (9, 7))
    wanted[2:8, 3:10] = 8
    page.click("#tool button[data-tool=brush]")
    page.keyboard.press("0")
    page.keyboard.press("]")
    page.keyboard.press("]")
    stroke(page, (14, 10), (20, 10))
    wanted[9:12, 13:22] = 0
    page.click("#tool button[data-tool=fill]")
    page.keyboard.press("1")
    stroke(page, (5, 5))
    wanted[wanted == 8] = 1
    differ = np.count_nonzero(wanted != session.ratio_map.levels)
    page.wait_for_selector(f"#difference:has-text('{differ} pixels differ')")
    shown = page.inner_text("#palette button[aria-label^='Level 0']")
    assert float(re.search(r"([\d.]+) %", shown)[1]) == pytest.approx(
        100 * (wanted == 0).mean(), abs=0.05
    )
    np.testing.assert_array_equal(upload(page, session), wanted)
    page.wait_for_selector(f"#difference:has-text('{NO_DIFFERENCE}')")
    page.click("#undo")  # what was uploaded can still be undone
    page.wait_for_selector("#difference:has-text('pixels differ')")


def test_a_map_is_painted_by_keyboard_alone(page, session):
    wanted = session.ratio_map.levels.copy()
    page.focus("#easel")
    page.keyboard.press("8")
    for key in ("Shift+ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.down(" ")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.up(" ")
    wanted[2, 8:11] = 8
    page.keyboard.press("r")
    page.keyboard.press("0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    wanted[3:5, 10:12] = 0
    assert page.inner_text("#easel-cell") == "x 11, y 4: level 0"
    page.keyboard.press("4")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    wanted[3:5, 10:12] = 4
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    wanted[3:5, 10:12] = 0
    np.testing.assert_array_equal(upload(page, session), wanted)


def test_a_selection_is_stamped_and_covers_the_map(page, session):
    levels = session.ratio_map.levels.copy()
    page.keyboard.press("8")
    stroke(page, (0, 0))
    levels[0, 0] = 8
    page.keyboard.press("s")
    stroke(page, (0, 0), (2, 2))
    page.click("#lift")
    stroke(page, (11, 8))
    levels[7:10, 10:13] = levels[:3, :3]
    np.testing.assert_array_equal(upload(page, session), levels)
    page.click("#cover")
    np.testing.assert_array_equal(upload(page, session), np.tile(levels[:3, :3], (6, 8))[:16, :24])


def test_a_tile_repeats_over_the_map_while_it_is_painted(page, session):
    page.check("#repeats")
    page.keyboard.press("8")
    page.fill("#tile-width", "3")
    stroke(page, (4, 5))
    wanted = session.ratio_map.levels.copy()
    wanted[1::4, 1::3] = 8
    np.testing.assert_array_equal(upload(page, session), wanted)


def test_a_finger_paints_and_two_move_the_map(page, session):
    wanted = session.ratio_map.levels.copy()
    page.keyboard.press("8")
    touch = """([type, ...points]) => {
      const easel = document.getElementById("easel");
      points.forEach(([clientX, clientY], i) => easel.dispatchEvent(new PointerEvent(type, {
        clientX, clientY, pointerId: 7 + i, pointerType: "touch", isPrimary: i === 0, bubbles: true,
      })));
    }"""
    page.evaluate("() => { Element.prototype.setPointerCapture = () => {}; }")  # of no real finger
    page.evaluate(touch, ["pointerdown", place(page, 2, 3)])
    page.evaluate(touch, ["pointermove", place(page, 5, 3)])
    page.evaluate(touch, ["pointerup", place(page, 5, 3)])
    wanted[3, 2:6] = 8
    x, y = place(page, 12, 8)
    scale = page.inner_text("#zoom-label")
    page.evaluate(touch, ["pointerdown", (x - 40, y), (x + 40, y)])
    page.evaluate(touch, ["pointermove", (x - 60, y), (x + 60, y)])
    page.evaluate(touch, ["pointerup", (x - 60, y), (x + 60, y)])
    assert page.inner_text("#zoom-label") != scale
    np.testing.assert_array_equal(upload(page, session), wanted)


def test_what_the_board_has_too_is_faded(page, session):
    page.keyboard.press("8")
    stroke(page, (6, 5))
    page.check("#compare")
    left, top, scale = corner(page)
    picture = colours(page, "easel")[top + 2 :: scale, left + 2 :: scale]  # beside the digits
    assert picture[5, 6].max() > 200  # the yellow of level 8
    assert picture[5, 7].max() < 80


def test_a_drawing_that_measures_nothing_is_refused_before_it_is_sent(page, session):
    page.keyboard.press("0")
    page.keyboard.press("r")
    stroke(page, (0, 0), (23, 15))
    page.wait_for_selector("#send-reason:has-text('measures nothing')")
    assert page.is_disabled("#send")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#send-reason", state="hidden")
    assert not session.uploads


def test_the_demand_is_that_of_the_schedule(page, session):
    page.keyboard.press("8")
    page.keyboard.press("r")
    stroke(page, (0, 0), (9, 9))
    levels = session.ratio_map.levels.copy()
    levels[:10, :10] = 8
    ratio_map = RatioMap(levels)
    page.fill("#rate-of-adc", "10000")
    page.fill("#rate-of-link", "20000")
    hardware = Hardware(240.0, adc_rate_hz=10000, link_rate_bytes_per_s=20000, bits=16)
    planned = Feasibility.of(ratio_map, hardware)
    page.wait_for_selector("#adc-say.bad:has-text('too slow')")
    carried = int(100 * planned.windows_carried)
    page.wait_for_selector(f"#link-say.bad:has-text('carries {carried} % of the windows')")
    reads = ", ".join(str(each) for each in planned.reads_per_slot)
    assert page.get_attribute("#slot-bars", "aria-label").endswith(f": {reads}")
    assert page.inner_text("#ratio") == f"{ratio_map.ratio:.4f}"
    page.fill("#rate-of-adc", str(int(planned.holding_rate_hz) + 1))
    page.wait_for_selector("#adc-say.warn:has-text('where pixels hold')")
    page.fill("#rate-of-adc", str(int(planned.peak_rate_hz)))
    page.wait_for_selector("#adc-say.good")


def test_unsaved_paint_and_the_way_back_survive_a_reload(page, session):
    before = session.ratio_map
    page.keyboard.press("8")
    stroke(page, (6, 5))
    page.reload()
    page.wait_for_selector("#difference:has-text('1 pixel differs')")
    assert upload(page, session)[5, 6] == 8
    page.reload()
    page.click("#go-back")
    page.wait_for_selector("#send-say.done:has-text('the map before again')")
    assert session.ratio_map == before
    page.wait_for_selector("#difference:has-text('1 pixel differs')")  # the paint is still there
    assert upload(page, session)[5, 6] == 8
    page.click("#keep")
    page.wait_for_selector("#decide", state="hidden")
    assert session.before is None
    assert not page.locator("#send-say.error").count()


def test_another_page_is_told_and_overwrites_nothing(page, session):
    page.keyboard.press("8")
    stroke(page, (6, 5))
    other = RatioMap.uniform(4, SHAPE)
    refused = session.upload
    session.upload = lambda ratio_map, based_on: refused(ratio_map, "of the map before")
    page.click("#send")  # the other page was faster by a moment
    page.wait_for_selector("#send-say.error:has-text('nothing is overwritten')")
    session.upload = refused
    session.upload(other)
    page.wait_for_selector("#send-reason:has-text('has got another map since you began')")
    assert session.ratio_map == other
    page.wait_for_selector("#send:has-text('Upload over it')")
    wanted = RatioMap.from_tile(NAMED_TILES["tile-2of16"], SHAPE).levels.copy()
    wanted[5, 6] = 8
    np.testing.assert_array_equal(upload(page, session), wanted)
    page.wait_for_selector("#send-reason", state="hidden")


def test_paint_keeps_the_aperture_that_it_was_begun_on(page, session):
    coded = RatioMap.from_tile([[2, 1], [1, 1]], SHAPE).with_aperture_tile(APERTURE_TILE)
    session.ratio_map = coded
    page.wait_for_selector("#keep-png", state="hidden")
    page.keyboard.press("8")
    stroke(page, (6, 5))
    session.ratio_map = RatioMap.uniform(4, SHAPE)  # from another page
    page.wait_for_selector("#send:has-text('Upload over it')")
    page.reload()
    page.wait_for_selector("#send-reason:has-text('has got another map since you began')")
    assert page.is_hidden("#keep-png")
    wanted = coded.levels.copy()
    wanted[5, 6] = 8
    np.testing.assert_array_equal(upload(page, session), wanted)
    np.testing.assert_array_equal(session.ratio_map.aperture, coded.aperture)


def test_two_pages_that_paint_at_once_overwrite_nothing(page, open_page, session_url, session):
    other = open_page(session_url)
    go(other, "map")
    for each, cell in ((page, (6, 5)), (other, (2, 3))):
        each.keyboard.press("8")
        stroke(each, cell)
    assert upload(other, session)[3, 2] == 8
    page.wait_for_selector("#send-reason:has-text('your paint is kept')")
    assert session.ratio_map.levels[5, 6] != 8
    page.wait_for_selector("#difference:has-text('2 pixels differ')")
    page.click("#discard")
    page.wait_for_selector(f"#difference:has-text('{NO_DIFFERENCE}')")
    page.click("#undo")  # the paint is still there
    page.wait_for_selector("#difference:has-text('2 pixels differ')")


def test_paint_for_a_board_of_another_size_is_kept_and_not_sent(page, session):
    page.keyboard.press("8")
    stroke(page, (6, 5))
    page.wait_for_selector("#difference:has-text('1 pixel differs')")
    session.ratio_map = RatioMap.uniform(2, (8, 8))
    page.reload()
    page.wait_for_selector("#send-reason:has-text('has 8 × 8 pixels and the drawing 24 × 16')")
    assert page.is_disabled("#send")
    with page.expect_download() as saved:
        page.click("#keep-npz")
    with np.load(saved.value.path()) as arrays:
        assert arrays["levels"][5, 6] == 8
    page.click("#discard")
    page.wait_for_selector(f"#difference:has-text('{NO_DIFFERENCE}')")


def test_paint_for_which_the_browser_has_no_room_is_said(page, session):
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    page.keyboard.press("8")
    stroke(page, (6, 5))
    page.wait_for_selector("#send-say.error:has-text('save it before you leave the page')")


def test_a_token_that_expires_costs_no_paint(browser, session):
    session.put(make_picture(1, session.ratio_map))
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    with served_page(session, token="the first") as url:
        page.goto(f"{url}?token=the+first#/map")
        page.wait_for_selector(f"#difference:has-text('{NO_DIFFERENCE}')")
        assert page.url == f"{url}#/map"
        page.keyboard.press("8")
        stroke(page, (6, 5))
        page.wait_for_selector("#difference:has-text('1 pixel differs')")
    page.wait_for_selector(".phase.offline:has-text('no service')")
    page.wait_for_selector("#notice.error:has-text('does not answer. Is focalloop live still')")
    port = int(url.rpartition(":")[2].strip("/"))
    with served_page(session, port, token="the second"):
        page.wait_for_selector("#token-say:has-text('does not know this token')")
        page.fill("#token", "the second")
        page.keyboard.press("Enter")
        page.wait_for_selector("#difference:has-text('1 pixel differs')")
        assert upload(page, session)[5, 6] == 8
        page.close()


def test_a_board_that_goes_away_loses_no_paint(page, session):
    gone = threading.Event()

    def vanish(*_):
        session.phase, session.progress = Phase.UPLOADING, 0.4
        gone.wait(60)
        session.phase, session.progress = Phase.LOST, None
        raise BoardLostError("the board vanished during the upload; it keeps its map")

    upload_then, session.upload = session.upload, vanish
    page.keyboard.press("8")
    stroke(page, (6, 5))
    page.click("#send")
    page.wait_for_selector("#send-say:has-text('Uploading to the board: 40 %')")
    assert page.is_disabled("#send")
    gone.set()
    page.wait_for_selector("#send-say.error:has-text('vanished during the upload')")
    page.wait_for_selector(".phase.lost")
    session.upload, session.phase = upload_then, Phase.STREAMING
    page.wait_for_selector(".phase.streaming")
    assert upload(page, session)[5, 6] == 8


def test_a_file_and_a_named_tile_are_drawn(page, session, tmp_path):
    RatioMap.random((20, 20)).save(tmp_path / "other.npz")
    page.set_input_files("#open-file", tmp_path / "other.npz")
    page.wait_for_selector("#send-say.error:has-text('20x20')")
    drawn = RatioMap.random(SHAPE, seed=5)
    drawn.save(tmp_path / "mine.png")
    page.set_input_files("#open-file", tmp_path / "mine.png")
    page.wait_for_selector("#difference:has-text('pixels differ')")
    with page.expect_download() as saved:
        page.click("#keep-npz")
    assert RatioMap.load(saved.value.path().rename(tmp_path / "saved.npz")) == drawn
    assert not session.uploads
    page.click("#tiles button[title='calm-1of16']")
    page.click("#cover")
    wanted = RatioMap.from_tile(NAMED_TILES["calm-1of16"], SHAPE).levels
    np.testing.assert_array_equal(upload(page, session), wanted)
