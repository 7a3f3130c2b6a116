"""A real headless Chromium, with the page of a running `focalloop live` in it."""

import re
import shutil

import pytest

from tests.support import ROOT
from tests.support.fake_session import FakeSession
from tests.support.preview_page import served_page

# The headless shell has no windows of its own to draw, and opens a page for a third of the work.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000

BROWSERS_OWN_REMARKS = r"status of (4|503)"
"""On a refused upload."""


# For one file: while its driver runs, asyncio has a loop in this thread, and takes no other.
@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open the page of a `focalloop live`; what any console complains of fails the test."""
    pages, complaints = [], []

    def open_page(url):
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
        pages.append(page)
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda line: complaints.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.wait_for_function(
            "() => /\\d/.test(document.getElementById('window-label')?.textContent)"
        )
        return page

    yield open_page
    assert [line for line in complaints if not re.search(BROWSERS_OWN_REMARKS, line)] == []
    for page in pages:
        page.close()


@pytest.fixture
def page(open_page, live):
    """The page of the module's `live`."""
    return open_page(live.url)


@pytest.fixture(scope="module")
def modules(browser):
    """A page without a service, from which the modules of `host/web` can be imported."""
    host = "http://page.test"

    def file(route):
        route.fulfill(path=ROOT / "host" / route.request.url.removeprefix(f"{host}/"))

    page = browser.new_page()
    page.route(f"{host}/", lambda route: route.fulfill(content_type="text/html", body=""))
    page.route(f"{host}/web/**", file)
    page.goto(f"{host}/")
    yield page
    page.close()


@pytest.fixture
def session():
    """A fake session, whose states and pictures the test makes."""
    return FakeSession()


@pytest.fixture
def session_url(session):
    """Where the page of the fake session is."""
    with served_page(session) as url:
        yield url
