"""Ways to look at one window: wipe, zoom, crosshair, single slots, histogram, and files of it.

The session is a fake one, so that every picture is known.
"""

import io
import zipfile
from dataclasses import replace

import av
import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from tests.support.fake_session import SHAPE, FakeSession, make_picture
from tests.support.preview_page import canvas, colours, pause_at, served_page
from tests.support.waiting import wait_until

HEIGHT, WIDTH = SHAPE


@pytest.fixture(scope="module")
def session():
    """One for all tests of this module, each of which puts a window of its own."""
    session = FakeSession()
    session.ratio_map = RatioMap.random(SHAPE, seed=3)
    session.put(make_picture(1, session.ratio_map))
    return session


@pytest.fixture(scope="module")
def url(session):
    with served_page(session) as url:
        yield url


@pytest.fixture
def page(open_page, url):
    return open_page(url)


@pytest.fixture
def picture(page, session):
    """The window that is held on the page."""
    session.wants.clear()
    picture = make_picture(7, session.ratio_map)
    pause_at(page, session, picture)
    return picture


def slot(page):
    return int(page.inner_text("#slot-label").split()[0]) - 1


def test_the_first_view_is_small(page):
    sizes = page.evaluate(
        """() => performance.getEntriesByType("resource")
          .filter(({ name }) => name.includes("/web/"))
          .map(({ name, encodedBodySize }) => [name, encodedBodySize])"""
    )
    assert len(sizes) > 20
    assert sum(size for _, size in sizes) < 200_000


def test_reads_are_asked_for_where_they_are_seen(page, session):
    asked = []

    def take(text):
        if '"credit":1' in text:
            asked.append('"reads":true' in text)

    page.on("websocket", lambda line: line.on("framesent", take))
    page.set_viewport_size({"width": 390, "height": 360})
    page.reload()

    windows = iter(range(10, 1000))

    def play(until):
        """Give windows to the page for as long as it takes."""
        while not until():
            count = len(asked)
            session.put(make_picture(next(windows), session.ratio_map))
            wait_until(lambda count=count: page.evaluate("0") is not None and len(asked) > count)

    page.wait_for_selector("#window-label:not(:empty)")
    begun_ms = page.evaluate("performance.now()")
    play(lambda: page.evaluate("performance.now()") > begun_ms + 1500)
    assert sum(asked) <= 1  # the first one, before the page knows what is seen
    asked.clear()
    page.locator(".panels").scroll_into_view_if_needed()
    play(lambda: any(asked))


def test_any_two_pictures_are_compared_behind_a_line(page, picture):
    page.keyboard.press("w")
    page.select_option("#wipe-left", "truth")
    page.select_option("#wipe-right", "initial")
    page.focus("#wipe-at")
    for key, edge in ((None, WIDTH // 2), ("Home", 0), ("End", WIDTH)):
        if key:
            page.keyboard.press(key)
        shown = canvas(page, "wiped")
        now = slot(page)
        np.testing.assert_array_equal(shown[:, :edge][:, :-1], picture.truth[now][:, :edge][:, :-1])
        np.testing.assert_array_equal(shown[:, edge + 1 :], picture.initial[now][:, edge + 1 :])
    box = page.locator("#wiped").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 5, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, middle)
    page.mouse.up()
    assert float(page.input_value("#wipe-at")) == pytest.approx(25, abs=2)
    drag = """(shares) => shares.forEach((share, i) => {
      const wiped = document.getElementById("wiped");
      const { left, top, width } = wiped.getBoundingClientRect();
      wiped.setPointerCapture = () => {};  // there is no real finger
      const type = ["pointerdown", "pointermove", "pointerup"][i];
      wiped.dispatchEvent(new PointerEvent(type, { pointerType: "touch", pointerId: 9,
        clientX: left + share * width, clientY: top + 9, bubbles: true }));
    })"""
    page.evaluate(drag, [0.25, 0.75, 0.75])
    assert float(page.input_value("#wipe-at")) == pytest.approx(75, abs=2)
    page.locator(".of-wiped .screen").focus()
    page.keyboard.press("Alt+ArrowLeft")
    assert float(page.input_value("#wipe-at")) == pytest.approx(73, abs=2)
    page.click("#wipe")
    assert page.is_hidden("#wiped")
    np.testing.assert_array_equal(canvas(page, "final"), picture.final[now])


def test_zoom_shows_whole_pixels_of_the_same_part_in_every_picture(page, picture):
    page.locator(".of-final .screen").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    for _ in range(8):
        page.keyboard.press("+")
    assert page.inner_text("#zoom-fit") == "16 ×"
    now = slot(page)
    shown = {name: canvas(page, name) for name in ("truth", "final")}
    rows, columns = shown["final"].shape
    assert (rows, columns) < SHAPE
    box = page.locator("#final").bounding_box()
    assert (box["width"], box["height"]) == (16 * columns, 16 * rows)
    # The crosshair is at (15, 8), in the middle of the part as far as the edges allow.
    left = min(max(0, WIDTH // 2 + 3 - columns // 2), WIDTH - columns)
    top = min(max(0, HEIGHT // 2 - rows // 2), HEIGHT - rows)
    for name, plane in {"truth": picture.truth, "final": picture.final}.items():
        part = plane[now][top : top + rows, left : left + columns]
        np.testing.assert_array_equal(shown[name], part)
    page.locator(".of-final .screen").evaluate("(e) => e.blur()")
    page.keyboard.press("0")
    assert canvas(page, "final").shape == SHAPE


def test_keys_move_the_crosshair_and_hold_its_pixel(page, picture):
    page.locator(".of-truth .screen").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    wait_until(
        lambda: f"x {WIDTH // 2 - 10}, y {HEIGHT // 2 + 1}" in page.inner_text("#pixel-values")
    )
    page.keyboard.press("Enter")
    page.wait_for_selector("#pixel-note:has-text('held')")


def test_single_slots_by_keys_and_buttons(page, picture):
    first = slot(page)
    page.keyboard.press("ArrowRight")
    page.click("#step-on")
    assert slot(page) == (first + 2) % 16
    np.testing.assert_array_equal(canvas(page, "final"), picture.final[slot(page)])
    page.click("#step-back")
    assert slot(page) == (first + 1) % 16


def test_the_histogram_counts_the_ends_of_the_converter(page, session, picture):
    readout = picture.readout
    page.wait_for_selector(f"#histogram-note:has-text('{readout.size:,} reads')")
    values = page.inner_text("#histogram-values")
    for words, share in {
        "at 65,535 DN": (readout == 65535).mean(),
        "at 0 DN": (readout == 0).mean(),
        "under 4,096 DN": (readout < 4096).mean(),
    }.items():
        assert f"{100 * share:.2f} % {words}" in values
    assert len(np.unique(colours(page, "histogram").reshape(-1, 3), axis=0)) > 2


def test_a_calibrated_board_has_its_reads_in_electrons(page, session, picture):
    level_one = np.argwhere(session.ratio_map.levels > 0)[0]
    assert "electrons" not in page.inner_text("#pixel-values")
    session.electrons = 40_000.0
    box = page.locator("#final").bounding_box()
    y, x = level_one
    page.mouse.move(
        box["x"] + box["width"] * (x + 0.5) / WIDTH, box["y"] + box["height"] * (y + 0.5) / HEIGHT
    )
    wait_until(lambda: "Reads, electrons" in page.inner_text("#pixel-values"))
    rows = dict(line.split("\t") for line in page.inner_text("#pixel-values").splitlines())
    signals = [float(text) for text in rows["Reads, signal"].split()]
    electrons = [float(text) for text in rows["Reads, electrons"].split()]
    assert electrons == pytest.approx([signal * 40_000 for signal in signals], abs=3)


def saved(page, kind):
    page.click("#save summary")
    with page.expect_download() as kept:
        page.click(f"#save-window-{kind}")
    assert kept.value.suggested_filename == f"window-7.{kind}"
    return kept.value.path()


def test_a_window_is_saved_as_arrays(page, session, picture):
    path = saved(page, "npz")
    assert zipfile.ZipFile(path).testzip() is None
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["slots"], np.arange(16))
        np.testing.assert_array_equal(arrays["truth"], picture.truth)
        np.testing.assert_array_equal(arrays["final"], picture.final)
        np.testing.assert_array_equal(arrays["codes"], picture.readout)
        np.testing.assert_array_equal(arrays["levels"], session.ratio_map.levels)


def test_a_window_is_saved_as_a_video_of_its_pictures_side_by_side(page, picture):
    with av.open(io.BytesIO(saved(page, "mp4").read_bytes())) as video:
        frames = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    assert len(frames) == 16
    expected = np.concatenate([picture.truth, picture.initial, picture.final], axis=2)
    assert np.shape(frames) == expected.shape
    assert np.abs(np.asarray(frames, float) - expected).mean() < 8  # lossy, of noise


def test_the_pictures_of_a_slot_are_saved(page, picture):
    assert saved(page, "png").read_bytes().startswith(b"\x89PNG")


def test_what_made_a_saved_picture_stands_below_it(page, session, picture, monkeypatch):
    told = session.state
    monkeypatch.setattr(session, "state", lambda: replace(told(), bundle="one for another map"))
    page.wait_for_selector("#notice:has-text('was trained for another map')")
    page.evaluate(
        """() => {
          const write = CanvasRenderingContext2D.prototype.fillText;
          window.written = [];
          CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
            window.written.push(text);
            write.call(this, text, ...at);
          };
        }"""
    )
    saved(page, "png")
    reads = f"{session.ratio_map.levels.mean():.2f} reads per pixel"
    assert f" · {session.bundle} · {reads}" in page.evaluate("written.at(-1)")
