"""One pixel in every view: the page names the same element of the array wherever one points."""

import numpy as np
import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from tests.support.fake_session import SHAPE, make_picture
from tests.support.preview_page import colours, pause_at

HEIGHT, WIDTH = SHAPE  # not square
PIXELS = [(0, 2), (17, 5), (WIDTH - 1, 9), (2, HEIGHT - 1)]
"""At each edge, but not in the corners of the panels, which are round."""
ZOOMED = 12
"""Pixels along each side of the enlarged part."""

SCALES = {"as it is": "", "narrow": "width: 617px", "zoomed": "zoom: 1.37"}


@pytest.fixture
def page(open_page, session_url, session):
    session.ratio_map = RatioMap.random(SHAPE, seed=3)
    session.put(make_picture(1, session.ratio_map))
    page = open_page(session_url)
    page.set_viewport_size({"width": 1440, "height": 2400})  # what is not seen is not drawn
    pause_at(page, session, make_picture(2, session.ratio_map))
    page.wait_for_selector("#pixel-values:has-text('Reads, DN')")
    return page


def aim(page, canvas, x, y, columns, rows, *, click=False, off=0.5):
    """Point into cell (x, y) of a canvas that shows so many columns and rows."""
    page.locator(canvas).scroll_into_view_if_needed()
    box = page.locator(canvas).bounding_box()
    left = box["x"] + box["width"] * (x + off) / columns
    top = box["y"] + box["height"] * (y + off) / rows
    (page.mouse.click if click else page.mouse.move)(left, top)


def assert_named(page, session, pixel):
    """Check that probe and zoom name this pixel and its level, once the browser has moved on."""
    x, y = pixel
    level = session.ratio_map.levels[y, x]
    page.wait_for_function(
        "(pixel) => document.getElementById('pixel-values').innerText.includes(pixel)",
        arg=f"Pixel\tx {x}, y {y}\nLevel\t{level}",
    )
    label = page.get_attribute("#small-map-zoom", "aria-label")
    assert label == f"The ratio map around pixel x {x}, y {y}, of level {level}"


def marked(page):
    """Column and row of the marked cell of the zoom, by its white frame."""
    zoom = colours(page, "small-map-zoom").min(axis=-1)
    cell = len(zoom) // ZOOMED
    cells = zoom.reshape(ZOOMED, cell, ZOOMED, cell).swapaxes(1, 2)
    frames = (cells[:, :, 0, 2:-2] == 255).all(axis=-1) & (cells[:, :, 2:-2, 0] == 255).all(axis=-1)
    ((y, x),) = np.argwhere(frames)
    return x, y


def corner(pixel):
    """First pixel of the part that is enlarged around a pixel."""
    return tuple(
        min(max(0, at - ZOOMED // 2), limit - ZOOMED)
        for at, limit in zip(pixel, (WIDTH, HEIGHT), strict=True)
    )


def test_probe_and_zoom_begin_with_the_same_pixel(page, session):
    assert_named(page, session, (WIDTH // 2, HEIGHT // 2))


@pytest.mark.parametrize("style", SCALES.values(), ids=SCALES)
def test_every_view_points_at_the_same_element(page, session, style):
    page.evaluate("(style) => { document.body.style.cssText = style; }", style)
    for view in ("#small-map", "#truth", "#final", "#reads"):
        for pixel, off in zip(PIXELS, (0.1, 0.5, 0.9, 0.9), strict=True):
            aim(page, view, *pixel, WIDTH, HEIGHT, off=off)
            assert_named(page, session, pixel)
            left, top = corner(pixel)
            assert marked(page) == (pixel[0] - left, pixel[1] - top)


def test_the_zoom_points_at_what_it_shows_and_stays_still_meanwhile(page, session):
    aim(page, "#small-map", 17, 5, WIDTH, HEIGHT)
    left, top = corner((17, 5))
    for cell in [(0, 0), (11, 11), (3, 8)]:
        aim(page, "#small-map-zoom", *cell, ZOOMED, ZOOMED)
        assert_named(page, session, (left + cell[0], top + cell[1]))
        assert marked(page) == cell


def test_a_click_holds_the_pixel_under_the_pointer(page, session):
    aim(page, "#final", 17, 5, WIDTH, HEIGHT, click=True, off=0.01)
    aim(page, "#small-map", 3, 3, WIDTH, HEIGHT)
    assert_named(page, session, (17, 5))
    aim(page, "#small-map", 17, 5, WIDTH, HEIGHT, click=True)  # once more: released
    aim(page, "#small-map", 3, 3, WIDTH, HEIGHT)
    assert_named(page, session, (3, 3))
