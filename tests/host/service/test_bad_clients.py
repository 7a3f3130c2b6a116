"""Clients that send too much, too slowly or nonsense, or that leave."""

import asyncio
import json
import socket
import time

import pytest

from focalloop.host.service import bodies, server
from focalloop.host.service.api import create_app
from focalloop.host.service.bodies import MAX_BODY_BYTES, MAX_MAP_BYTES
from tests.support.fake_session import FakeSession
from tests.support.waiting import wait_until

SHORT_S = 0.5


@pytest.fixture
def impatient(monkeypatch):
    """Time limits that a test can wait for."""
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", SHORT_S)
    monkeypatch.setattr(server, "_REST_TIMEOUT_S", 2 * SHORT_S)


DOCUMENT = create_app(FakeSession()).openapi()
REQUESTS = [
    (method.upper(), path.format(suffix="npz", id="x", index=0), operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
JSON = {"Content-Type": "application/json"}
BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"name": "\xff"}',
    "another type": b"[1, 2]",
    "wrong fields": b'{"name": 7, "reads": "many"}',
    "null": b"null",
    "NaN": b'{"reads": NaN, "name": NaN}',
    "huge number": b'{"reads": 1' + b"0" * 5000 + b"}",
    "nested": b"[" * 30_000,
    "nested fields": b'{"a":' * 12_000,
    "a bundle that there is not": b'{"name": "a\\u0000\\ud800"}',
    "too much": b" " * (MAX_BODY_BYTES + 1),
    "far too much": b" " * (MAX_MAP_BYTES + 1),
}


@pytest.mark.parametrize(("method", "path", "operation"), REQUESTS)
def test_every_answer_to_a_wrong_body_is_documented(client, method, path, operation):
    for name, body in BODIES.items():
        for headers in (JSON, {}, {"Content-Type": "text/plain"}, {"Content-Type": "\x01/;;"}):
            answer = client.request(method, path, content=body, headers=headers)
            assert str(answer.status_code) in operation["responses"], (name, answer.text)
            if answer.status_code >= 400:
                assert answer.json()["detail"].endswith("."), name


@pytest.mark.parametrize(("method", "path", "operation"), REQUESTS)
def test_every_refusal_is_documented_as_a_sentence(method, path, operation):
    refusals = {status for status in operation["responses"] if int(status) >= 400}
    assert {"401", "403", "408", "413", "421"} <= refusals
    for status in refusals:
        content = operation["responses"][status]["content"]
        assert content["application/json"]["schema"]["$ref"].endswith("/Refusal"), status


@pytest.mark.parametrize("path", ["/nothing", "/web/%00", "/web/" + "a" * 5000, "/web/../../api"])
def test_an_address_where_nothing_is_is_told_so(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith(".")


def test_a_method_that_an_address_does_not_take_is_told_so(client):
    answer = client.post("/api/state")
    assert answer.status_code == 405
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(("method", "path", "operation"), REQUESTS)
def test_no_body_is_read_beyond_its_limit(client, method, path, operation):
    sent = 0

    def chunks():
        nonlocal sent
        for _ in range(64):
            sent += 1 << 20
            yield bytes(1 << 20)

    answer = client.request(method, path, content=chunks(), headers=JSON)
    assert answer.status_code == 413
    assert "at most" in answer.json()["detail"]
    announced = client.request(method, path, headers=JSON | {"Content-Length": "9" * 30})
    assert announced.status_code == 413


def test_bodies_that_wait_are_bounded_together_and_small_ones_never_lack_room(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_WAITING_BYTES", 1 << 20)

    async def status_of(length, answered=None):
        async def app(scope, receive, send):
            assert len((await receive())["body"]) == length
            if answered is not None:
                busy.set()
                await answered.wait()
            await send({"type": "http.response.start", "status": 200})

        async def receive():
            return {"type": "http.request", "body": bytes(length)}

        async def send(message):
            statuses.append(message.get("status"))

        statuses = []
        service._app = app
        await service({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
        return statuses[0]

    async def all_of_it():
        answered = asyncio.Event()
        first = asyncio.create_task(status_of(1 << 20, answered))
        await busy.wait()
        assert await status_of(1 << 20) == 503
        assert await status_of(MAX_BODY_BYTES) == 200
        answered.set()
        assert await first == 200
        assert await status_of(1 << 20) == 200

    busy = asyncio.Event()
    service = bodies.RequestBodies(None, limit=2 << 20)
    asyncio.run(all_of_it())


ORIGINS = [
    "http://[",
    "http://[::1",
    "//",
    "",
    "http://a:b:c",
    "http://\xff",
    "[",
    "http://[v.x]:1",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_that_is_no_address_is_refused(client, origin):
    headers = {"Origin": origin.encode("latin-1")}
    answer = client.put("/api/bundle", json={"name": "edge"}, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["detail"].endswith(".")


def closed_within(line, seconds):
    """Whether the service ends a connection in this time; and what it has said."""
    line.settimeout(seconds)
    said = b""
    try:
        while data := line.recv(4096):
            said += data
    except TimeoutError:
        return False, said
    except ConnectionError:
        pass
    return True, said


HALVES = {
    "nothing": b"",
    "half a line": b"GET /api/st",
    "half a head": b"PUT /api/bundle HTTP/1.1\r\nHost: x\r\nContent-",
    "half a body": b"PUT /api/bundle HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
    "half a map": b"PUT /api/map HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nPK",
    "a chunk": b"PUT /api/map HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nPK",
    "half a second request": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal",
    "half a body of a refused request": (
        b"PUT /api/map HTTP/1.1\r\nHost: x\r\nOrigin: http://[\r\nContent-Length: 99\r\n\r\n{"
    ),
}


@pytest.mark.parametrize("half", HALVES)
def test_half_a_request_is_not_held_for_ever(impatient, connect, half):
    with connect() as line:
        line.sendall(HALVES[half])
        closed, said = closed_within(line, 8 * SHORT_S)
        assert closed
        if half in ("half a body", "half a map", "a chunk"):
            assert said.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("half", ["half a head", "half a map"])
def test_a_byte_now_and_then_does_not_keep_a_request_alive(impatient, connect, half):
    with connect() as line:
        line.sendall(HALVES[half])
        until_s = time.monotonic() + 8 * SHORT_S
        with pytest.raises(ConnectionError):  # noqa: PT012 - it may break at any byte
            while time.monotonic() < until_s:
                line.sendall(b"a")
                time.sleep(SHORT_S / 5)
                if b"408" in (said := peek(line)) or said == b"":
                    raise ConnectionResetError


def peek(line):
    """What has arrived so far; empty at the end, and a word where nothing has."""
    line.setblocking(False)
    try:
        return line.recv(4096)
    except BlockingIOError:
        return b"nothing yet"
    finally:
        line.setblocking(True)


def test_hundreds_of_half_sent_requests_end_and_others_are_answered(impatient, connect):
    lines = [connect() for _ in range(200)]
    try:
        for line, half in zip(lines, [*HALVES.values()] * len(lines), strict=False):
            line.sendall(half)
        with connect() as good:
            good.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert closed_within(good, 5)[1].startswith(b"HTTP/1.1 200 ")
        assert all(closed_within(line, 8 * SHORT_S)[0] for line in lines)
    finally:
        for line in lines:
            line.close()


def test_a_slow_request_that_is_in_time_is_answered(impatient, connect, session):
    with connect() as line:
        request = (
            b"PUT /api/bundle HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 16\r\n\r\n{"name": "edge"}'
        )
        for start in range(0, len(request), 40):
            line.sendall(request[start : start + 40])
            time.sleep(SHORT_S / 16)
        assert line.recv(100).startswith(b"HTTP/1.1 200 ")
        assert session.selected == ["edge"]
        closed, _ = closed_within(line, 3 * SHORT_S)
        assert not closed  # between requests, uvicorn's own limit of 5 s holds


def test_a_socket_outlives_the_limits_of_requests(impatient, connect):
    upgrade = (
        b"GET /ws/preview HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with connect() as line:
        line.sendall(upgrade)
        closed, said = closed_within(line, 0.1)
        until_s = time.monotonic() + 4 * SHORT_S
        while not closed and time.monotonic() < until_s:
            closed, said = closed_within(line, 0.1)
        assert not closed, said


@pytest.mark.parametrize("half", ["half a body", "half a map", "a chunk"])
def test_a_client_that_leaves_in_mid_upload_leaves_no_trace(connect, session, capfd, half):
    for _ in range(5):
        with connect() as line:
            line.sendall(HALVES[half])
            time.sleep(0.05)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    with connect() as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert closed_within(line, 5)[1].startswith(b"HTTP/1.1 200 ")
    out, errors = capfd.readouterr()
    assert (out, errors) == ("", "")
    assert not session.uploads
    assert not session.selected


def receive_to_the_end(socket):
    while (message := socket.receive())["type"] != "websocket.close":
        pass
    return message["code"], message["reason"]


NOT_FINITE = "Out of range float values are not JSON compliant"


def test_a_sender_that_fails_closes_its_socket_with_the_reason(client, session, caplog):
    whole = session.state
    with client.websocket_connect("/ws/preview") as socket:
        assert json.loads(socket.receive()["text"])["phase"] == "streaming"

        def broken():
            state = whole()
            object.__setattr__(state, "profile", float("nan"))
            return state

        session.state = broken
        code, reason = receive_to_the_end(socket)
    assert code == 1011
    assert NOT_FINITE in reason
    assert NOT_FINITE in caplog.text
    wait_until(lambda: not session.subscribers)


def test_a_failure_while_a_message_is_handled_closes_the_socket_with_the_reason(client, session):
    def broken(window):
        raise OSError("the disk is full of \N{SNOWMAN} " * 10)

    session.drawn = broken
    with client.websocket_connect("/ws/preview") as socket:
        socket.send_text('{"drawn": 1}')
        code, reason = receive_to_the_end(socket)
    assert code == 1011
    assert "the disk is full" in reason
    assert len(reason.encode()) <= 123


@pytest.mark.parametrize("bomb", ["[" * 4000, '{"a":' * 800, "[" * 2000 + "]" * 2000, "9" * 4090])
def test_a_json_bomb_closes_the_socket_as_any_invalid_message(client, bomb):
    with client.websocket_connect("/ws/preview") as socket:
        socket.send_text(bomb)
        assert receive_to_the_end(socket)[0] == 1003
