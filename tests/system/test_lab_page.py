"""The page of a lab in a browser, over boards whose workers never answer."""

import pytest

from tests.support.running_lab import silent_lab


@pytest.fixture
def url(tmp_path):
    with silent_lab(tmp_path, "secret") as url:
        yield url


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
