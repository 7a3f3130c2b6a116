"""The page of a lab in a browser, over boards whose workers never answer."""

import sys
import threading

import pytest

from focalloop.host.lab.gateway import create_gateway
from focalloop.host.lab.lab import Lab
from focalloop.host.lab.settings import BoardSettings, LabSettings
from focalloop.host.service.binding import address_of, host_names, listen
from focalloop.host.service.server import Service

SILENT = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


@pytest.fixture
def url(tmp_path):
    """The page of a lab of two boards, which wants the token ``secret``."""
    boards = {name: BoardSettings(name, port=name) for name in ("north", "south")}
    lab = Lab(lambda: LabSettings(boards), tmp_path, lambda _: SILENT)
    app = create_gateway(lab, token="secret", host_names=host_names("127.0.0.1"))
    with listen("127.0.0.1", 0) as sock:
        service = Service(app, sock)
        thread = threading.Thread(target=service.run)
        thread.start()
        yield address_of(sock)
        service.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_a_board_is_leased_and_given_back_on_the_page(browser, url):
    page = browser.new_page()
    page.goto(f"{url}?token=secret")
    assert page.url == url
    page.fill("#who", "ada")
    page.click("tr[data-name=north] button:text('Lease')")
    page.wait_for_selector("tr[data-name=north]:has-text('you, ')")
    cookies = page.context.cookies(f"{url}boards/north/api/state")
    assert [cookie["path"] for cookie in cookies if cookie["name"] == "focalloop-lease"] == [
        "/boards/north/"
    ]
    other = browser.new_page()
    other.goto(url)
    other.wait_for_selector("#token-say:has-text('needs its token')")
    other.fill("#token", "secret")
    other.keyboard.press("Enter")
    other.wait_for_selector("tr[data-name=north]:has-text('ada, ')")
    assert other.is_disabled("tr[data-name=north] button")
    assert other.is_enabled("tr[data-name=south] button")
    page.reload()
    page.click("tr[data-name=north] button:text('Give back')")
    other.wait_for_selector("tr[data-name=north]:has-text('free')")
    other.close()
    page.close()
