"""Access control by Host, Origin and token, for requests and sockets alike."""

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from focalloop.host.service.api import create_app
from focalloop.host.service.binding import host_names
from focalloop.host.service.public_url import PublicUrl
from tests.support.fake_session import FakeSession

LOOPBACK = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def local_app():
    return create_app(FakeSession(), host_names=host_names("127.0.0.1"))


@pytest.fixture
def local(local_app):
    """The service as it is on loopback."""
    return TestClient(local_app, base_url=LOOPBACK)


@pytest.fixture(scope="module")
def public_app():
    return create_app(FakeSession(), token="a secret", host_names=host_names("0.0.0.0"))


@pytest.fixture
def public(public_app):
    """The service as it is on any other address."""
    return TestClient(public_app, base_url="http://lab.example:8000")


def accepts_socket(client, path="/ws/preview", **headers):
    """Whether the preview socket opens and sends a state; a refusal has the code 1008."""
    headers = {"Host": client.base_url.netloc.decode()} | headers
    code = None
    try:
        with client.websocket_connect(path, headers=headers) as socket:
            return socket.receive_json()["phase"] == "streaming"
    except WebSocketDisconnect as refusal:
        code = refusal.code
    assert code == 1008
    return False


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:9", "LOCALHOST"])
def test_loopback_answers_to_its_own_names(local, host):
    assert local.get("/api/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "", "localhost."])
def test_loopback_answers_to_no_other_name(local, host):
    for path in ("/", "/api/state", "/healthz"):
        answer = local.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.json()["detail"].endswith(".")
    assert not accepts_socket(local, Host=host)


def test_a_foreign_page_changes_nothing_and_sees_nothing(local):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8000"):
        foreign = {"Origin": origin}
        choice = local.put("/api/bundle", json={"name": "edge"}, headers=foreign)
        assert choice.status_code == 403
        assert local.put("/api/map", content=b"PK", headers=foreign).status_code == 403
        assert not accepts_socket(local, **foreign)
    own = {"Origin": LOOPBACK}
    assert local.put("/api/bundle", json={"name": "edge"}, headers=own).status_code == 200
    assert accepts_socket(local, **own)
    assert accepts_socket(local)  # a program, which sends no Origin


CLOSED = ["/api/state", "/api/map", "/api/bundles", "/api/board", "/metrics", "/openapi.json"]


@pytest.mark.parametrize("path", CLOSED)
def test_beyond_loopback_a_token_is_needed(public, path):
    refused = public.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    for wrong in ("a secre", "a secret ", "A SECRET", ""):
        assert public.get(path, params={"token": wrong}).status_code == 401
    assert public.get(path, headers={"Authorization": "Basic a secret"}).status_code == 401
    assert public.get(path, headers={"Authorization": "Bearer a secret"}).status_code == 200
    assert public.get(path, params={"token": "a secret"}).status_code == 200


def test_the_page_takes_the_token_out_of_its_address_and_keeps_it_as_a_cookie(public):
    opened = public.get("/?token=a%20secret&more=1", follow_redirects=False)
    assert opened.status_code == 303
    assert opened.headers["location"] == "./?more=1"
    given = opened.headers["set-cookie"]
    assert "HttpOnly" in given
    assert "SameSite=strict" in given
    assert "path" not in given.lower()
    public.cookies.clear()
    cookie = given.partition(";")[0]
    assert public.get("/api/state", headers={"Cookie": f"other=1; {cookie}"}).status_code == 200
    assert public.get("/api/state", headers={"Cookie": f"{cookie}s"}).status_code == 401
    assert accepts_socket(public, Cookie=cookie)
    assert not accepts_socket(public, Cookie=cookie, Origin="http://evil.example")
    assert public.get("/?token=wrong", follow_redirects=False).status_code == 200


def test_a_cookie_of_a_page_behind_https_goes_over_https_alone():
    public_url = PublicUrl.parse("https://lab.example/sensor/")
    app = create_app(FakeSession(), token="secret", host_names=None, public_url=public_url)
    answer = TestClient(app).get("/?token=secret", follow_redirects=False)
    assert answer.headers["location"] == "./"
    assert "Secure" in answer.headers["set-cookie"]


def test_beyond_loopback_the_socket_needs_the_token_too(public):
    assert not accepts_socket(public)
    assert not accepts_socket(public, "/ws/preview?token=wrong")
    assert accepts_socket(public, "/ws/preview?token=a%20secret")
    assert accepts_socket(public, Authorization="Bearer a secret")
    assert not accepts_socket(public, "/ws/preview?token=a%20secret", Origin="http://evil.example")


def test_the_page_itself_holds_no_secret(public):
    assert public.get("/").status_code == 200
    assert public.get("/web/main.js").status_code == 200
    assert public.get("/healthz").status_code == 200
    assert public.get("/web/../api/state").status_code in (401, 404)


def test_every_answer_carries_the_protective_headers(public):
    for answer in (public.get("/"), public.get("/api/state"), public.get("/nothing")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
