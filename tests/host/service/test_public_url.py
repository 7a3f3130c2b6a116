"""The address behind a proxy: how it is read, and what it lets through."""

import pytest
from fastapi.testclient import TestClient

from focalloop.host.service.api import create_app
from focalloop.host.service.binding import ServiceError, host_names
from focalloop.host.service.public_url import PublicUrl
from tests.support.fake_session import FakeSession


@pytest.mark.parametrize(
    ("text", "url", "origin", "host_name"),
    [
        (
            "https://lab.example",
            "https://lab.example/",
            ("https", "lab.example", 443),
            "lab.example",
        ),
        ("http://Lab.example:80/a", "http://Lab.example:80/a/", ("http", "lab.example", 80), None),
        (
            "HTTPS://lab.example/a/b/",
            "HTTPS://lab.example/a/b/",
            ("https", "lab.example", 443),
            None,
        ),
        ("http://[::1]:9/", "http://[::1]:9/", ("http", "::1", 9), "[::1]"),
        ("https://b\u00fcro.example", "https://b\u00fcro.example/", None, "xn--bro-hoa.example"),
    ],
)
def test_an_address_is_read_as_browsers_read_it(text, url, origin, host_name):
    public = PublicUrl.parse(text)
    assert public.url == url
    assert origin in (None, public.origin)
    assert host_name in (None, public.host_name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lab.example/sensor",
        "ftp://lab.example",
        "https://",
        "https:///path",
        "https://lab.example:port",
        "https://lab.example:99999",
        "https://[::1",
        "https://lab.example/?token=x",
        "https://lab.example/#top",
        "https://me:secret@lab.example/",
        "https://lab .example/",
        "https://" + "\u00fc" * 80 + ".example",
    ],
)
def test_what_is_no_address_of_a_page_is_refused_with_an_example(text):
    with pytest.raises(ServiceError, match=r"give an address such as https://lab\.example/sensor/"):
        PublicUrl.parse(text)


@pytest.fixture(scope="module")
def app():
    return create_app(
        FakeSession(),
        host_names=host_names("127.0.0.1"),
        public_url=PublicUrl.parse("https://lab.example/sensor/"),
    )


@pytest.fixture(params=["lab.example", "127.0.0.1:8000"], ids=["host kept", "host replaced"])
def proxied(request, app):
    """The service on loopback behind a proxy, which passes the browser's Host header on or not."""
    return TestClient(app, base_url=f"http://{request.param}")


@pytest.mark.parametrize("origin", ["https://lab.example", "https://lab.example:443"])
def test_the_page_at_the_public_address_may_change_things(proxied, origin):
    headers = {"Origin": origin, "Host": proxied.base_url.netloc.decode()}
    assert proxied.put("/api/bundle", json={"name": "edge"}, headers=headers).status_code == 200
    with proxied.websocket_connect("/ws/preview", headers=headers) as socket:
        assert socket.receive_json()["phase"] == "streaming"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://lab.example.evil.example",
        "https://lab.example:8443",
        "null",
        "https://[",
        "https://lab.example:x",
    ],
)
def test_other_pages_may_not(proxied, origin):
    headers = {"Origin": origin}
    assert proxied.put("/api/bundle", json={"name": "edge"}, headers=headers).status_code == 403


def test_other_names_are_still_refused_and_told_of_the_option(proxied):
    answer = proxied.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "--public-url" in answer.json()["detail"]


def test_without_a_public_address_the_page_of_a_proxy_is_refused_and_told_of_the_option():
    app = create_app(FakeSession(), host_names=host_names("127.0.0.1"))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    headers = {"Origin": "https://lab.example"}
    answer = client.put("/api/bundle", json={"name": "edge"}, headers=headers)
    assert answer.status_code == 403
    assert "--public-url" in answer.json()["detail"]
