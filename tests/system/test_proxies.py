"""The page and its socket through real proxies, with the lines of docs/preview.md as they stand."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess

import pytest
from websockets.sync.client import connect

from tests.support import ROOT
from tests.support.running import Running, fails
from tests.support.served import free_port
from tests.support.waiting import wait_until

NAME, PREFIX = "lab.example", "/sensor/"
PUBLIC = f"https://{NAME}{PREFIX}"
ORIGIN = f"https://{NAME}"


@pytest.fixture(scope="module")
def live():
    """A `live` that is told its public address, and listens on a known port."""
    words = ("live", "--scene", "synthetic", "--size", "32x32", "--bundle", "network-free")
    where = ("--http-port", str(free_port()), "--no-open", "--public-url", PUBLIC)
    with Running(*words, *where) as running:
        running.port = int(where[1])
        yield running


def lines(language):
    """The lines of a proxy's configuration in the documentation."""
    text = (ROOT / "docs" / "preview.md").read_text()
    (block,) = re.findall(rf"```{language}\n(.*?)```", text, re.S)
    assert PREFIX in block
    return block


def nginx(folder, port, upstream):
    """Words that start nginx with the documented location, without TLS."""
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    user = "" if os.getuid() else "user root root; "  # who may enter the folders of this test
    config.write_text(
        f"{user}daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\n"
        f"events {{}}\nhttp {{ access_log off;\n{places}server {{ listen 127.0.0.1:{port};\n"
        + lines("nginx").replace("127.0.0.1:8000", upstream)
        + "}}\n"
    )
    return "nginx", "-p", folder, "-c", config


def caddy(folder, port, upstream):
    """Words that start Caddy with the documented site, without TLS."""
    config = folder / "Caddyfile"
    site = lines("caddy").replace("127.0.0.1:8000", upstream)
    site = site.replace(f"{NAME} {{", f"http://{NAME}:{port} {{\n    bind 127.0.0.1", 1)
    config.write_text("{\n    admin off\n}\n" + site)
    return "caddy", "run", "--config", config, "--adapter", "caddyfile"


def listens(port):
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxy_port(request, live, tmp_path):
    """Port of a proxy in front of `live`."""
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
    if shutil.which(request.param.__name__, path=path) is None:
        pytest.skip(f"there is no {request.param.__name__} on this machine")
    port = free_port()
    command = request.param(tmp_path, port, f"127.0.0.1:{live.port}")
    process = subprocess.Popen(
        command,
        env={"PATH": path, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or listens(port))
        assert process.poll() is None, process.stdout.read()
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=10)


def ask(port, method, path, body=None, *, host=NAME, **headers):
    """Status and body of an answer through the proxy, asked for as a browser does."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    line.request(method, path, body, {"Host": f"{host}:{port}", **headers})
    answer = line.getresponse()
    return answer.status, answer.read()


def token_of(live):
    link, _, token = live.url.partition("?token=")
    assert link == PUBLIC
    assert len(token) >= 16
    return token


def test_the_page_works_through_a_proxy_under_a_path(live, proxy_port):
    status, page = ask(proxy_port, "GET", PREFIX)
    assert status == 200
    for name in re.findall(rb'(?:src|href)="([^"#]+)"', page):  # not the views, which are no files
        assert ask(proxy_port, "GET", PREFIX + name.decode())[0] == 200
    bearer = {"Authorization": f"Bearer {token_of(live)}", "Origin": ORIGIN}
    assert ask(proxy_port, "GET", PREFIX + "api/state")[0] == 401
    assert ask(proxy_port, "GET", PREFIX + "api/state", **bearer)[0] == 200
    choice = json.dumps({"name": "network-free"})
    json_type = {"Content-Type": "application/json"}
    assert ask(proxy_port, "PUT", PREFIX + "api/bundle", choice, **bearer, **json_type)[0] == 200
    foreign = bearer | json_type | {"Origin": "https://evil.example"}
    assert ask(proxy_port, "PUT", PREFIX + "api/bundle", choice, **foreign)[0] == 403


def test_a_map_of_4_mib_passes_a_proxy_and_no_larger_one(live, proxy_port):
    bearer = {"Authorization": f"Bearer {token_of(live)}", "Origin": ORIGIN}
    status, text = ask(proxy_port, "PUT", PREFIX + "api/map", bytes(4 << 20), **bearer)
    assert status == 422
    assert b"neither an .npz nor a .png" in text
    assert ask(proxy_port, "PUT", PREFIX + "api/map", bytes((4 << 20) + 1), **bearer)[0] == 413


def test_the_socket_carries_pictures_through_a_proxy(live, proxy_port):
    line = socket.create_connection(("127.0.0.1", proxy_port), timeout=20)
    address = f"ws://{NAME}:{proxy_port}{PREFIX}ws/preview?token={token_of(live)}"
    with connect(address, sock=line, origin=ORIGIN, proxy=None) as viewer:
        assert json.loads(viewer.recv(20))["phase"] == "streaming"
        viewer.send('{"credit": 1, "step": 4}')
        while isinstance(picture := viewer.recv(20), str):
            pass
        assert picture[:2] == b"\1\1"


def test_a_foreign_page_gets_no_socket_through_a_proxy(live, proxy_port):
    status, _ = ask(
        proxy_port,
        "GET",
        f"{PREFIX}ws/preview?token={token_of(live)}",
        Origin="https://evil.example",
        Connection="Upgrade",
        Upgrade="websocket",
        **{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
    )
    assert status == 403


def test_the_local_address_is_printed_beside_the_public_one(live):
    assert f"in front of http://127.0.0.1:{live.port}/" in live.complaints
    assert ask(live.port, "GET", "/healthz", host="127.0.0.1")[0] == 200
    assert ask(live.port, "GET", "/healthz", host="evil.example")[0] == 421


@pytest.mark.parametrize("url", ["lab.example", "ftp://lab.example", "https://a/?token=x"])
def test_a_public_url_that_is_no_address_is_wrong_usage(url):
    code, out, errors = fails("live", "--no-open", "--public-url", url)
    assert (code, out) == (2, "")
    assert "--public-url" in errors
    assert "Traceback" not in errors
