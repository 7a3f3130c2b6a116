"""Reads and operates the preview page as a person does."""

import base64
import io
import re
import threading
from contextlib import contextmanager

import numpy as np
from PIL import Image

from focalloop.host.reconstruction.bundle import Bundle
from focalloop.host.service.api import create_app
from focalloop.host.service.binding import address_of, listen
from focalloop.host.service.server import Service
from focalloop.models.zoo import DEFAULT_BUNDLE
from tests.support.waiting import wait_until

DEFAULT_MAP = Bundle.load(DEFAULT_BUNDLE).ratio_map.tiled_to(256, 256)


@contextmanager
def served_page(session, port=0, **options):
    """Serve the page of a fake session, with options of `create_app`; gives its address."""
    with listen("127.0.0.1", port) as sock:
        service = Service(create_app(session, **options), sock)
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            yield address_of(sock)
        finally:
            service.stop()
            thread.join(10)


def canvas(page, name):
    """Brightness of a canvas, (H, W) uint8, as it is on the screen."""
    return colours(page, name)[..., 0]


def colours(page, name):
    """Pixels of a canvas, (H, W, 3) uint8, as they are on the screen."""
    address = page.evaluate("(name) => document.getElementById(name).toDataURL()", name)
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB")).copy()


def go(page, view):
    """Show a view by its link."""
    page.click(f'#nav a[href="#/{view}"]')
    page.wait_for_selector(f".view.{view}")


def choose(page, bundle):
    page.wait_for_selector("#bundle:enabled option", state="attached")
    page.select_option("#bundle", bundle)


def drawn_window(page):
    page.wait_for_selector("#window-label:not(:empty)")
    return int(re.sub(r"\D", "", page.inner_text("#window-label")))


def pause(page):
    """Stop at one window, with all its slots and measurements."""
    page.click("#pause")
    page.wait_for_function("() => /held/.test(document.getElementById('window-label').innerText)")


def pause_at(page, session, picture):
    """Stop at a picture of a fake session."""
    page.click("#pause")
    wait_until(lambda: [step for step in session.wants.values() if step] == [1])  # all of its slots
    session.put(picture)
    page.wait_for_selector(f"#window-label:has-text('window {picture.window}, held')")


def saved_by(ratio_map):
    """Text of the measurements saved by a map."""
    return f"{100 * (1 - ratio_map.ratio):.1f} %"


def await_map(page, ratio_map):
    """Wait until the page shows the figures of a map."""
    go(page, "live")
    page.wait_for_function(
        "(saved) => document.getElementById('saved').textContent === saved",
        arg=saved_by(ratio_map),
    )


def upload(page, path):
    go(page, "map")
    page.set_input_files("#map-file", path)
