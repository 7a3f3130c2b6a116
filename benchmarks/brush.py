"""From the brush to the screen in the map editor: ``python -m benchmarks.brush [--json]``.

The editor of the page runs in headless Chromium without a GPU, on a map of 256x256 and of 1024x1024
pixels, with the frame rate unlimited. The brush is moved; each time is from a movement of the
pointer until the frame after it has been painted. The limits are 16 and 50 ms.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks import report
from benchmarks.report import Row
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

LIMITS_MS = {256: 16.0, 1024: 50.0}
MOVES = 120
BRUSH = 9
_PAGE = "http://page.test/"
_WEB = Path(__file__).parents[1] / "host" / "web"
_PAINT = """async ([side, brush, moves, colours]) => {
  const { Editor } = await import("/web/views/map/editor.js");
  const editor = new Editor(() => {}, () => {});
  const levels = Uint8Array.from({ length: side * side }, (_, at) => [0, 1, 2, 4, 8][(at * 7) % 5]);
  const map = { width: side, height: side, slots: 16, levels, document: { colours },
                colour: (level) => colours[level] ?? [128, 128, 128] };
  editor.show();
  editor.open(map, map);
  editor.resize(brush - 1);
  editor.choose(8);
  const { canvas } = editor.easel;
  const { left, top, width, height } = canvas.getBoundingClientRect();
  canvas.setPointerCapture = () => {};
  const send = (type, share) => canvas.dispatchEvent(new PointerEvent(type, {
    clientX: left + width * (0.3 + 0.4 * share), clientY: top + height * (0.3 + 0.4 * share ** 2),
    pointerId: 1, isPrimary: true, bubbles: true,
  }));
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(0);
  }));
  const before = editor.drawing.counts[8];
  send("pointerdown", 0);
  await painted();
  const times = [];
  for (let move = 1; move <= moves; move += 1) {
    const begun = performance.now();
    send("pointermove", move / moves);
    await painted();
    times.push(performance.now() - begun);
  }
  send("pointerup", 1);
  return [times, editor.drawing.counts[8] - before];
}"""


class NothingPaintedError(Exception):
    """The brush left no trace, so that its times mean nothing."""


def _open(page: Page) -> None:
    """Open the markup of the editor, without a service behind it."""
    view = _WEB / "views" / "map"
    sheets = [_WEB / "style" / "base.css", view / "map.css"]
    style = "".join(sheet.read_text() for sheet in sheets)
    markup = (view / "map.html").read_text()
    body = f"<!doctype html><style>{style}</style><section class='view map'>{markup}</section>"

    def fulfill(route: Route) -> None:
        path = route.request.url.removeprefix(f"{_PAGE}web/")
        route.fulfill(path=_WEB / path)

    page.route(_PAGE, lambda route: route.fulfill(content_type="text/html", body=body))
    page.route(f"{_PAGE}web/**", fulfill)
    page.goto(_PAGE)


def measure() -> list[Row]:
    """Paint on maps of both sizes and return the rows."""
    rows = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-frame-rate-limit"],
        )
        for side, limit_ms in LIMITS_MS.items():
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            _open(page)
            times_ms, cells = page.evaluate(_PAINT, [side, BRUSH, MOVES, LEVEL_COLOURS])
            if cells <= 0:
                raise NothingPaintedError(f"no pixel of {side}x{side} was painted")
            for share in (50, 95):
                name = f"brush to screen, {side}x{side}, p{share}"
                value = float(np.percentile(times_ms, share))
                rows.append(Row.of(name, value, "ms", "limit", limit_ms))
            page.close()
        browser.close()
    return rows


if __name__ == "__main__":
    report.main("The brush of the map editor.", measure)
