"""The page while the service stops and comes back, and while bundles are changed.

Each test has a service of its own, and nothing else runs beside it.
"""

import re

import numpy as np

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.models.zoo import DEFAULT_BUNDLE
from tests.support.preview_page import (
    DEFAULT_MAP,
    await_map,
    canvas,
    choose,
    drawn_window,
    pause,
    saved_by,
)
from tests.support.running import Running
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle
from tests.support.waiting import wait_until

FIGURES = """() => {
  window.seen = [];
  const text = (id) => document.getElementById(id).textContent;
  const look = () => window.seen.push([text("saved"), text("psnr-final")]);
  look();
  new MutationObserver(look).observe(document.querySelector(".strip"), {
    childList: true, characterData: true, subtree: true,
  });
}"""
"""Keeps what the tiles show together after each change."""


def test_the_page_reconnects_to_a_service_that_comes_back(browser, tmp_path):
    words = ("live", "--bundle", "network-free", "--scene", "synthetic", "--size", "64x64")
    words += ("--no-open",)
    running = Running(*words, "--http-port", "0")
    page = browser.new_page()
    page.goto(running.url)
    page.wait_for_selector(".phase.streaming")
    running.stop()
    page.wait_for_selector(".phase.offline")
    port = running.url.rpartition(":")[2].strip("/")
    with Running(*words, "--http-port", port):
        page.wait_for_selector(".phase.streaming")
    page.close()


def is_black_and_white(picture):
    """Whether it is, but for a read below black, which makes white a little darker."""
    gray = (picture > 0) & (picture < 250)
    return picture.min() == 0 and picture.max() == 255 and not gray.any()


def test_bundles_are_changed_while_it_streams(open_page, tmp_path):
    coded = RatioMap.from_tile([[2, 0], [0, 1]], (32, 32)).with_aperture_tile(APERTURE_TILE)
    own = write_tiny_bundle(tmp_path / "own", coded, network=tiny_network(aperture=True))
    coded = coded.tiled_to(256, 256)
    words = ("live", "--http-port", "0", "--no-open", "--slot-rate", "80", "--bundle", str(own))
    with Running(*words) as running:
        first, second = open_page(running.url), open_page(running.url)

        await_map(first, coded)
        assert "coded aperture" in first.inner_text("#small-map-note")
        wait_until(lambda: canvas(first, "final").any())
        # The tiny network gives white where a measured pixel is open, and black elsewhere.
        assert is_black_and_white(canvas(first, "final"))
        pause(first)
        first.wait_for_function(
            "() => /\\d/.test(document.getElementById('reads-note').textContent)"
        )
        first.click("#pause")

        wait_until(lambda: re.search(r"\d", first.inner_text("#psnr-final")))
        first.evaluate(FIGURES)
        choose(first, DEFAULT_BUNDLE)
        for page in (first, second):
            await_map(page, DEFAULT_MAP)
            page.wait_for_function(
                "(name) => document.getElementById('bundle').value === name", arg=DEFAULT_BUNDLE
            )
        assert running.state()["map"]["hash"] == DEFAULT_MAP.hash_hex
        wait_until(lambda: len(np.unique(canvas(first, "final"))) > 50)  # a picture of the clip
        wait_until(lambda: "–" not in first.evaluate("() => window.seen.at(-1)[1]"))
        psnr_db = {DEFAULT_MAP: set(), coded: set()}
        for saved, psnr in first.evaluate("() => window.seen"):
            (ratio_map,) = (each for each in psnr_db if saved_by(each) == saved)
            psnr_db[ratio_map].update([] if psnr == "–" else [float(psnr)])
        assert max(psnr_db[coded]) < 12 < 20 < min(psnr_db[DEFAULT_MAP])  # none beside another map
        option = first.eval_on_selector("#bundle", "(e) => e.selectedOptions[0].text")
        assert option.startswith(f"{DEFAULT_BUNDLE} · r {DEFAULT_MAP.ratio:g}")
        assert option.endswith(" dB")
        window = drawn_window(first)
        wait_until(lambda: drawn_window(first) > window + 3)

        choose(second, str(own))
        await_map(first, coded)
        wait_until(lambda: is_black_and_white(canvas(first, "final")))

        first.route(
            "**/api/bundle",
            lambda route: route.fulfill(status=422, json={"detail": "The board has no room."}),
        )
        choose(first, DEFAULT_BUNDLE)
        first.wait_for_selector("#notice.error:has-text('The board has no room.')")
        first.wait_for_function(
            "(name) => document.getElementById('bundle').value === name", arg=str(own)
        )
        assert running.state()["reconstructed_by"] == str(own)
        first.close()
        second.close()
    assert "Traceback" not in running.complaints
