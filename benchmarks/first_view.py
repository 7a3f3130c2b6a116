"""The first view of the page in Chromium, nothing cached: its bytes, and when it can be used."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from playwright.sync_api import sync_playwright

from benchmarks.report import Row

VIEWS = 7
BYTES_LIMIT_KB = 200.0
USABLE_LIMIT_S = 1.0

_WATCH = """(() => {
  const seen = window.firstView = {};
  const look = () => {
    const pause = document.getElementById("pause");
    const state = pause?.getAttribute("aria-pressed");
    pause?.click();
    if (pause && pause.getAttribute("aria-pressed") !== state) {
      seen.usableMs = performance.now();
      pause.click();
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""

_BYTES = """() => ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
  .reduce((sum, { transferSize }) => sum + transferSize, 0)"""


def first_view(url: str, chromium: str) -> Iterator[Row]:
    """Open the page `VIEWS` times, and press *Pause* with each frame until it answers.

    The bytes are those of all requests until a picture is drawn, with their headers; pictures come
    by the socket.
    """
    usable_s, sizes = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(VIEWS):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(_WATCH)
            page.goto(url)
            page.wait_for_function("() => firstView.usableMs")
            usable_s.append(page.evaluate("() => firstView.usableMs") / 1000)
            page.wait_for_selector("#window-label:not(:empty)")
            sizes.append(page.evaluate(_BYTES) / 1000)
            page.context.close()
        browser.close()
    yield Row.of("first view, bytes", max(sizes), "kB", "limit", BYTES_LIMIT_KB)
    yield Row.of(
        "first view, usable after", statistics.median(usable_s), "s", "limit", USABLE_LIMIT_S
    )
