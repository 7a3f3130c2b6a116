"""What the page spares a machine: nothing is drawn unseen, and no more slots than come in time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from tests.support.fake_session import FOLLOWING, SHAPE, make_picture
from tests.support.preview_page import canvas, go, pause_at
from tests.support.waiting import wait_until

COUNT_DRAWS = """() => {
  window.drawn = {};
  for (const name of ["putImageData", "fillRect", "strokeRect", "stroke"]) {
    const draw = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function counted(...given) {
      const { canvas } = this;
      const id = canvas.id || canvas.closest("[id]")?.id;
      window.drawn[id] = (window.drawn[id] ?? 0) + 1;
      return draw.apply(this, given);
    };
  }
}"""

PICTURES = {"truth", "initial", "final", "error"}
PANELS = {"reads", "strip", "pixel-plot", "histogram", "small-map", "small-map-zoom"}

WITH_GPU = """
const getContext = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function get(kind, ...given) {
  return kind === "webgl" ? { getExtension: () => null } : getContext.call(this, kind, ...given);
};
"""

SECONDS = """async (seconds) => {
  const { Pace } = await import("/web/views/live/pace.js");
  const pace = new Pace();
  return seconds.map(([share, slow]) => {
    if (share === null) pace.rest();
    else pace.second(share, slow);
    return pace.reduced;
  });
}"""


def drawn_since(page):
    """Canvases that were drawn on since this was asked last."""
    return set(page.evaluate("() => { const all = window.drawn; window.drawn = {}; return all; }"))


@pytest.fixture
def moving(session):
    """A session under an adaptive map, whose panel is the lowest."""
    session.adaptive = FOLLOWING
    session.put(make_picture(1, session.ratio_map))
    return session


def test_nothing_is_drawn_that_is_not_seen(open_page, session_url, moving):
    page = open_page(session_url)
    page.set_viewport_size({"width": 390, "height": 700})
    page.wait_for_selector("#strip canvas", state="attached")
    page.evaluate(COUNT_DRAWS)
    windows = iter(range(2, 10_000))

    def play():
        """What is drawn while some windows pass, once the browser knows what is seen."""
        for count in range(10):
            window = next(windows)
            moving.put(make_picture(window, moving.ratio_map))
            wait_until(lambda window=window: moving.seen[-1:] == [window])
            if count == 2:
                drawn_since(page)
        return drawn_since(page)

    page.locator("#truth").scroll_into_view_if_needed()
    drawn = play()
    assert "truth" in drawn
    assert not drawn & (PANELS | {"adaptive-reads"})
    page.evaluate("document.getElementById('adaptive-reads').scrollIntoView({ block: 'end' })")
    drawn = play()
    assert "adaptive-reads" in drawn
    assert not drawn & PICTURES


def test_what_comes_into_sight_is_drawn_as_it_is_now(open_page, session_url, moving):
    page = open_page(session_url)
    pause_at(page, moving, make_picture(2, moving.ratio_map))
    page.wait_for_selector("#reads-note:has-text('%')")
    page.set_viewport_size({"width": 390, "height": 500})
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => setTimeout(seen, 50)))")
    page.evaluate(COUNT_DRAWS)
    picture = make_picture(3, RatioMap.uniform(2, SHAPE), setup=2)
    moving.ratio_map, moving.setup = RatioMap.uniform(2, SHAPE), 2
    page.wait_for_function("() => document.getElementById('reads-note').textContent === ''")
    wait_until(lambda: list(moving.wants.values()) == [1])
    moving.put(picture)
    page.wait_for_selector("#window-label:has-text('window 3, held')", state="attached")
    assert not drawn_since(page) & (PICTURES | {"small-map", "histogram"})
    page.locator("#final").scroll_into_view_if_needed()
    slot = int(page.input_value("#slot"))
    wait_until(lambda: np.array_equal(canvas(page, "final"), picture.final[slot]))
    drawn = set()
    for name in ("histogram", "small-map", "reads"):
        page.locator(f"#{name}").scroll_into_view_if_needed()
        wait_until(lambda name=name: drawn.update(drawn_since(page)) or name in drawn)


def test_a_picture_that_is_out_of_sight_is_saved_as_it_is_now(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.set_viewport_size({"width": 390, "height": 500})
    page.locator("#record").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => setTimeout(seen, 50)))")
    page.keyboard.press(" ")
    wait_until(lambda: [step for step in session.wants.values() if step] == [1])
    picture = make_picture(2, session.ratio_map)
    session.put(picture)
    page.wait_for_selector("#window-label:has-text('window 2, held')", state="attached")
    slot = int(page.input_value("#slot"))
    assert not np.array_equal(canvas(page, "truth"), picture.truth[slot])
    with page.expect_download():
        page.evaluate("document.getElementById('save-window-png').click()")
    np.testing.assert_array_equal(canvas(page, "truth"), picture.truth[slot])


def test_fewer_slots_are_drawn_while_they_come_late_and_all_again_afterwards(modules):
    def reduced(*seconds):
        states = modules.evaluate(SECONDS, [list(each) for each in seconds])
        changes = enumerate(itertools.pairwise([False, *states]))
        return [second for second, (before, after) in changes if before != after]

    late, timely, host = (0.5, False), (1.0, False), (1.0, True)
    assert reduced(*[late] * 4, timely, *[late] * 4, timely) == []  # not for long enough
    assert reduced(*[late] * 5, *[timely] * 9, late, *[timely] * 10) == [4, 24]
    assert reduced(*[late] * 5, *[host] * 100) == [4]  # the host is too slow still
    assert reduced(*[late] * 5, *[timely] * 9, (None, False), *[timely] * 10) == [4, 24]
    # A try that fails makes the next one wait twice as long, but not without end.
    world = [late] * 5 + [timely] * 10
    assert reduced(*world, *[late] * 5, *[timely] * 20) == [4, 14, 19, 39]
    long = reduced(*[late if (second + 1) % 325 < 5 else timely for second in range(9000)])
    assert len(long) > 10
    # After a minute that was in time, it begins anew.
    assert reduced(*world, *[timely] * 60, *[late] * 5, *[timely] * 10) == [4, 14, 79, 89]


def test_the_page_draws_all_slots_again_once_host_and_browser_keep_up(
    browser, session_url, session
):
    session.board = replace(session.board, slot_rate_hz=16.0)  # a window per second
    page = browser.new_page()
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.add_init_script(WITH_GPU)
    page.goto(session_url)
    page.wait_for_selector(".view.live", state="attached")
    windows = iter(range(1, 1000))

    def play(seconds):
        """Let time pass, with a window in each second."""
        for _ in range(seconds):
            window = next(windows)
            session.wants.clear()
            session.put(make_picture(window, session.ratio_map, step=4))
            wait_until(lambda: any(session.wants.values()))  # it has arrived: one more is wanted
            page.clock.run_for(1000)
            wait_until(lambda window=window: session.seen[-1:] == [window])

    def assert_every(slots, *, fewer):
        assert page.inner_text("#draws-note") == f"every {slots}th slot, real time"
        wait_until(lambda: ("every 8th slot" in page.inner_text("#phase")) == fewer)

    play(3)
    assert_every(4, fewer=False)
    page.clock.run_for(7000)
    assert_every(8, fewer=True)
    play(8)
    assert_every(8, fewer=True)
    play(5)
    assert_every(4, fewer=False)
    page.close()


def test_a_service_without_recordings_is_not_asked_for_them(open_page, session_url, session):
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    go(page, "recordings")
    page.wait_for_selector("#rec-unable:has-text('--recordings FOLDER')")
    page.clock.run_for(60_000)
    assert not [url for url in asked if "api/recordings" in url]
