"""An adaptive map on the page: the map of each window, and what the panel says of it."""

from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap
from focalloop.firmware_sim.maps.read_plan import ReadPlan
from focalloop.host.live.state import Phase
from tests.support.fake_session import FOLLOWING, SHAPE, make_picture
from tests.support.preview_page import colours, pause_at
from tests.support.waiting import wait_until

TILES = np.array([[[0, 1], [1, 0]], [[1, 1], [1, 1]], [[4, 0], [0, 2]]], np.uint8)
GRID = np.array([[0, 2, 1], [1, 1, 2]], np.uint8)
MAP = AdaptiveMap(RatioMap.from_tile(TILES[1], SHAPE), TILES, 8)


def picture_under(window, grid):
    """A picture of a window under a grid, or at rest."""
    ratio_map = MAP.resting if grid is None else MAP.compose(grid)
    return make_picture(window, ratio_map, grid=grid)


@pytest.fixture
def page(open_page, session_url, session):
    session.adaptive_map, session.ratio_map = MAP, MAP.resting
    session.adaptive = replace(FOLLOWING, choice_ms=2.04)
    session.put(picture_under(1, None))
    return open_page(session_url)


def painted(ratio_map):
    """The picture of a ratio map, (H, W, 3)."""
    table = np.zeros((256, 3), np.uint8)
    for level, colour in LEVEL_COLOURS.items():
        table[level] = colour
    return table[ratio_map.levels]


def values(page):
    lines = page.inner_text("#adaptive-values").splitlines()
    return dict(line.split("\t") for line in lines if "\t" in line)


def test_each_window_is_shown_with_the_map_that_it_was_read_under(page, session):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    wait_until(lambda: np.array_equal(colours(page, "small-map"), painted(MAP.resting)))
    for window, grid in ((2, GRID), (3, GRID[::-1]), (4, None)):
        composed = MAP.resting if grid is None else MAP.compose(grid)
        session.put(picture_under(window, grid))
        wait_until(lambda now=composed: np.array_equal(colours(page, "small-map"), painted(now)))
    assert not [url for url in asked if "api/map" in url]


def test_the_measurements_of_a_window_lie_where_its_grid_reads(page, session):
    picture = picture_under(2, GRID)
    pause_at(page, session, picture)
    levels = MAP.compose(GRID).levels
    share = 100 * (levels > 1).mean()
    page.wait_for_selector("#strip button:nth-child(2)")
    page.click("#strip button:nth-child(2)")
    page.wait_for_selector(f"#reads-note:has-text('{share:.1f} % of the pixels')")
    y, x = np.argwhere(levels == 4)[0]
    planes = ReadPlan.of(MAP.compose(GRID)).planes(picture.readout.astype(np.float32))
    canvas = page.locator("#final")
    box = canvas.bounding_box()
    step = box["width"] / SHAPE[1], box["height"] / SHAPE[0]
    canvas.click(position={"x": (x + 0.5) * step[0], "y": (y + 0.5) * step[1]})
    wait_until(
        lambda: str(int(planes[3, y, x])) in page.inner_text("#pixel-values").replace(",", "")
    )


def test_the_panel_says_what_the_map_reads_and_saves(page, session):
    page.wait_for_selector("#adaptive-note:has-text('The map follows the scene.')")
    shown = values(page)
    assert shown["Budget"] == "384 reads per window, 6.3 % of a full readout"
    assert shown["Reads of the newest window"] == "288, 75.0 % of it"
    assert shown["Saved against a full readout"] == page.inner_text("#saved") == "95.3 %"
    assert shown["Windows not read at rest"] == "40 of 50"
    assert shown["Age of their grids, windows"] == "2: 97.5 %, 3: 2.5 %"
    assert shown["Grids late, refused"] == "1, 0"
    assert shown["One choice"] == "2.0 ms"
    session.put(picture_under(2, GRID))

    def tints():
        """How far each block of the picture is from gray."""
        picture = colours(page, "adaptive-reads").astype(int)
        spread = picture.max(axis=2) - picture.min(axis=2)
        return spread.reshape(2, 8, 3, 8).mean(axis=(1, 3)) if picture.shape[:2] == SHAPE else None

    wait_until(lambda: (shown := tints()) is not None and shown.max() > 0)
    assert len({round(float(tint)) for tint in tints()[GRID == 2]}) == 1  # by the tile alone
    assert tints()[0, 0] != tints()[0, 1]
    session.adaptive = replace(session.adaptive, active=False, activity="It is over.")
    page.wait_for_selector("#adaptive-note:has-text('It is over.')")
    page.click("#adaptive-follow")
    wait_until(lambda: session.adaptive.active)
    page.wait_for_selector("#adaptive-follow", state="hidden")
    session.phase = Phase.LOST
    page.wait_for_selector("#adaptive-note:has-text('these figures are of the last ones')")


def test_a_session_without_an_adaptive_map_shows_no_panel(page, session):
    session.adaptive = None
    wait_until(lambda: page.is_hidden("#adaptive"))
