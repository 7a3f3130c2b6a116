"""Photographs every view of the page, in both sizes and both themes, for a person to look at.

``python -m scripts.page_pictures FOLDER`` starts `focalloop live` and records some seconds of it;
``--url URL`` takes a page that is there already. Chromium has to be installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.request import Request, urlopen

from playwright.sync_api import sync_playwright

from focalloop.models.zoo import DEFAULT_BUNDLE

VIEWS = ("live", "map", "calibrate", "recordings", "boards")
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
SETTLED_MS = 2500


RECORDED_S = 6.0


@contextmanager
def live_page() -> Iterator[str]:
    """Run `focalloop live` with one recording; yield the address of its page."""
    command = [sys.executable, "-m", "focalloop", "live", "--no-open", "--http-port=0", "--json"]
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            [*command, f"--recordings={folder}"], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line.rstrip() == "}":
                break
        url = str(json.loads(text)["url"])
        _record(url)
        yield url
        process.terminate()


def _record(url: str) -> None:
    """Make a recording with a note and a change of the map, for the view of recordings."""
    _ask(url, "POST", "api/recordings", {"note": "Lens 2, f/4, lamp at 40 %"})
    time.sleep(RECORDED_S / 2)
    _ask(url, "POST", "api/recordings/notes", {"text": "lamp moved to the left"})
    _ask(url, "PUT", "api/bundle", {"name": "edge-learned-4of16"})
    time.sleep(RECORDED_S / 2)
    _ask(url, "POST", "api/recordings/stop", {})
    _ask(url, "PUT", "api/bundle", {"name": DEFAULT_BUNDLE})


def _ask(url: str, method: str, path: str, body: dict[str, str]) -> None:
    headers = {"Content-Type": "application/json"}
    request = Request(url + path, json.dumps(body).encode(), headers, method=method)
    with urlopen(request) as answer:
        answer.read()


def main() -> None:
    """Write ``VIEW-SIZE-THEME.png`` for each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--only", default="", help="a part of the names of the pictures to take")
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    if words.url:
        _photograph(words.url, words.folder, words.only)
    else:
        with live_page() as url:
            _photograph(url, words.folder, words.only)


def _photograph(url: str, folder: Path, only: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for size, (width, height) in SIZES.items():
            for theme in THEMES:
                names = {view: f"{view}-{size}-{theme}.png" for view in VIEWS}
                wanted = {view: name for view, name in names.items() if only in name}
                if not wanted:
                    continue
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=theme
                )
                page.on("console", lambda line: print(f"{line.type}: {line.text}"))
                page.on("pageerror", lambda error: print(error))
                page.goto(url)
                for view, name in wanted.items():
                    page.goto(f"{url}#/{view}")
                    if view == "recordings":
                        page.locator("#rec-list a").first.click()
                        page.wait_for_selector("#rec-pictures:not(.waiting)")
                    page.wait_for_timeout(SETTLED_MS)
                    page.screenshot(path=folder / name, full_page=size == "phone")
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
