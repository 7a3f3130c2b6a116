"""Films the page in use: a map is painted and uploaded, what the board sees is recorded and played.

``python -m scripts.page_clip docs/images/page.mp4`` starts `focalloop live`, or takes the page at
``--url``, and does all of that by mouse in headless Chromium. The clip has ten pictures of the page
per second, which are taken one by one, so it runs evenly on a machine that cannot film as fast.
"""

from __future__ import annotations

import argparse
import io
import math
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from focalloop.firmware_sim.files import written_whole
from scripts.page_pictures import live_page

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from playwright.sync_api import Page

PICTURES_PER_S = 10
WIDTH, HEIGHT = 1180, 760
PATIENCE_MS = 120_000
CRF = 27
"""Of x264: as low, and so as good, as 3 MB allow."""

_POINTER = """() => {
  const pointer = Object.assign(document.createElement("div"), { ariaHidden: "true" });
  Object.assign(pointer.style, {
    position: "fixed", left: "-14px", top: "-14px", width: "22px", height: "22px", zIndex: 99,
    border: "3px solid #ffc24a", borderRadius: "50%", pointerEvents: "none",
  });
  addEventListener("pointermove", ({ clientX, clientY }) => {
    pointer.style.transform = `translate(${clientX}px, ${clientY}px)`;
  }, true);
  document.body.append(pointer);
}"""


class _Film:
    """Pictures of a page, on their way into a file."""

    def __init__(self, page: Page, file: OutputContainer, stream: VideoStream) -> None:
        self._page, self._file, self._stream = page, file, stream
        self._at = (WIDTH / 2, HEIGHT / 2)

    def run(self, seconds: float) -> None:
        """Film for a while."""
        for _ in range(round(PICTURES_PER_S * seconds)):
            self._page.wait_for_timeout(1000 / PICTURES_PER_S)
            self._take()

    def move(self, selector: str, seconds: float = 0.5, x: float = 0.5, y: float = 0.5) -> None:
        """Move the pointer to a place in an element, from (0, 0) to (1, 1), and film that."""
        box = self._page.locator(selector).first.bounding_box()
        assert box is not None, f"{selector} is not on the page"
        goal = (box["x"] + x * box["width"], box["y"] + y * box["height"])
        start, count = self._at, max(1, round(PICTURES_PER_S * seconds))
        for step in range(1, count + 1):
            eased = (1 - math.cos(math.pi * step / count)) / 2
            self._at = (
                start[0] + eased * (goal[0] - start[0]),
                start[1] + eased * (goal[1] - start[1]),
            )
            self._page.mouse.move(*self._at)
            self._take()

    def click(self, selector: str, seconds: float = 0.5) -> None:
        """Move to an element and click it."""
        self.move(selector, seconds)
        self._page.click(selector)  # wherever it is by now
        self._take()

    def _take(self) -> None:
        with Image.open(io.BytesIO(self._page.screenshot())) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        self._file.mux(self._stream.encode(frame))


def _play(page: Page, film: _Film) -> None:
    film.run(2.5)
    film.click('#nav a[href="#/map"]')
    page.wait_for_selector("#easel")
    page.keyboard.press("8")
    page.fill("#brush-size", "14")
    for turn in range(24):
        angle = 2 * math.pi * turn / 22
        place = 0.5 + 0.22 * math.cos(angle), 0.5 + 0.3 * math.sin(angle)
        film.move("#easel", 0.1 if turn else 0.6, *place)
        if not turn:
            page.mouse.down()
    page.mouse.up()
    film.run(0.7)
    film.click("#send")
    page.wait_for_selector("#go-back")
    film.run(1.0)
    film.click('#nav a[href="#/live"]')
    film.run(2.0)
    film.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    film.run(2.0)
    film.click("#record")
    page.wait_for_selector("#record[aria-pressed=false]")
    film.click('#nav a[href="#/recordings"]')
    page.wait_for_selector("#rec-list a")
    film.click("#rec-list a")
    page.wait_for_selector("#rec-pictures:not(.waiting)")
    film.move("#rec-track", 0.5, 0.1)
    page.mouse.down()
    film.move("#rec-track", 1.5, 0.8)
    page.mouse.up()
    film.click("#rec-play")
    film.run(2.0)


def main() -> None:
    """Write the clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--url", help="of a page that is there already")
    words = parser.parse_args()
    with (
        nullcontext(words.url) if words.url else live_page() as url,
        sync_playwright() as driver,
        written_whole(words.output) as path,
    ):
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        page.wait_for_selector("#psnr-final:has-text('.')")
        page.evaluate(_POINTER)
        with av.open(path, "w", format="mp4") as file:
            stream = file.add_stream("libx264", rate=PICTURES_PER_S)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.options = {"crf": str(CRF), "preset": "slow"}
            _play(page, _Film(page, file, stream))
            file.mux(stream.encode())
        browser.close()


if __name__ == "__main__":
    main()
