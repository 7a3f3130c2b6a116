"""The REST routes of the service over a fake session."""

import base64
import re
import socket
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.ratio_map import LEVEL_COLOURS, RatioMap, RatioMapError
from focalloop.firmware_sim.maps.tiles import APERTURE_TILE
from focalloop.firmware_sim.wire import ErrorCode
from focalloop.host.errors import BoardError, BoardLostError
from focalloop.host.reconstruction.bundle import BundleError
from focalloop.host.reconstruction.reconstruct import ReconstructError
from focalloop.host.service.binding import ServiceError, address_of, check_exposure, listen
from focalloop.host.service.bodies import MAX_MAP_BYTES
from tests.support import ROOT
from tests.support.fake_session import SHAPE

WEB = ROOT / "host" / "web"


def map_file(ratio_map, suffix=".npz"):
    return map_files.encode(ratio_map, suffix)


def test_state_board_health_and_metrics_describe_the_session(client):
    state = client.get("/api/state").json()
    assert state["phase"] == "streaming"
    assert state["map"]["mean_level"] == 2.0
    assert state["board"] == client.get("/api/board").json()
    assert client.get("/healthz").json() == {"status": "ok", "phase": "streaming"}
    metrics = client.get("/metrics").text
    assert "focalloop_ratio 0.125" in metrics
    assert "focalloop_windows_received_total 0.0" in metrics


def test_the_map_takes_few_bytes_unless_the_client_cannot_decompress(client, session):
    session.ratio_map = RatioMap.from_tile(NAMED_TILES["tile-2of16"], (256, 256))
    coded, plain = (
        client.get("/api/map", headers={"Accept-Encoding": encoding})
        for encoding in ("gzip", "identity")
    )
    assert coded.json() == plain.json()
    sizes = [int(answer.headers["content-length"]) for answer in (coded, plain)]
    assert sizes[0] < sizes[1] / 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells threads apart")
def test_metrics_have_the_processor_time_of_each_thread(client):
    worked, asked = threading.Event(), threading.Event()
    used_s = []

    def work():
        while time.thread_time() < 0.02:
            pass
        used_s.append(time.thread_time())
        worked.set()
        asked.wait(30)

    thread = threading.Thread(target=work, name="focalloop-worker")
    thread.start()
    assert worked.wait(30)
    before_s = time.process_time()
    text = client.get("/metrics").text
    asked.set()
    thread.join()
    by_thread = {
        name: float(value)
        for name, value in re.findall(r'processor_seconds_total{thread="(.*)"} (\S+)', text)
    }
    assert by_thread["focalloop-worker"] == pytest.approx(used_s[0], abs=0.01)
    assert {"MainThread", "others"} < by_thread.keys()
    assert before_s <= sum(by_thread.values()) <= time.process_time() + 0.01


def test_the_map_comes_with_its_levels_and_the_palette(client, session):
    document = client.get("/api/map").json()
    levels = np.frombuffer(base64.b64decode(document["levels"]), np.uint8).reshape(SHAPE)
    np.testing.assert_array_equal(levels, session.ratio_map.levels)
    assert document["hash"] == session.ratio_map.hash_hex
    assert {int(k): tuple(v) for k, v in document["colours"].items()} == {
        level: LEVEL_COLOURS[level] for level in session.ratio_map.level_set
    }
    assert document["mask"] is None
    shares = document["level_shares"]
    assert (shares["1"], shares["2"], shares["4"]) == (0.5, 0.25, 0.25)


def test_a_coded_aperture_comes_packed_with_its_map(client, session):
    session.ratio_map = session.ratio_map.with_aperture_tile(APERTURE_TILE)
    document = client.get("/api/map").json()
    assert document["aperture"]
    assert base64.b64decode(document["mask"]) == session.ratio_map.pack_aperture()
    assert client.get("/api/map.npz").status_code == 200
    assert client.get("/api/map.png").status_code == 422  # which holds only levels


@pytest.mark.parametrize("suffix", ["npz", "png"])
def test_a_map_is_uploaded_and_downloaded(client, session, suffix):
    ratio_map = RatioMap.random(SHAPE, seed=3)
    answer = client.put("/api/map", content=map_file(ratio_map, f".{suffix}"))
    assert answer.status_code == 200, answer.text
    assert [m.hash() for m in session.uploads] == [ratio_map.hash()]
    assert answer.json()["hash"] == ratio_map.hash_hex
    back = client.get(f"/api/map.{suffix}").content
    assert map_files.decode(back, 16, ratio_map.level_set).hash() == ratio_map.hash()


def test_a_periodic_map_is_tiled_to_the_board(client, session):
    wanted = RatioMap.from_tile([[4, 0], [0, 4]], SHAPE)
    answer = client.put("/api/map", content=map_file(RatioMap.from_tile([[4, 0], [0, 4]], (8, 8))))
    assert answer.status_code == 200
    assert session.ratio_map.hash() == wanted.hash()


def damaged(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "neither an .npz nor a .png"),
        (b"GIF89a", "neither an .npz nor a .png"),
        (damaged(map_file(RatioMap.random(SHAPE))), "not a readable zip"),
        (damaged(map_file(RatioMap.random(SHAPE), ".png")), "truncated or damaged"),
        (map_file(RatioMap.random((20, 20))), "20x20"),
        (map_file(RatioMap.uniform(0, SHAPE)), "measures nothing"),
    ],
)
def test_an_invalid_map_is_refused_with_a_sentence_and_changes_nothing(client, session, body, says):
    before = session.ratio_map
    answer = client.put("/api/map", content=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert answer.json()["detail"].endswith(".")
    assert session.ratio_map is before
    assert not session.uploads


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RatioMapError("the board runs T = 16, not 9"), 422),
        (BoardError("UPLOAD_BEGIN", ErrorCode.TOO_LARGE, "too long"), 422),
        (BoardLostError("the board vanished"), 503),
    ],
)
def test_a_refusal_by_the_board_is_passed_on(client, session, error, status):
    def refuse(*_):
        raise error

    session.upload = refuse
    answer = client.put("/api/map", content=map_file(RatioMap.random(SHAPE)))
    assert answer.status_code == status
    assert str(error)[1:] in answer.json()["detail"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: b"\x89PNG\r\n\x1a\n" + b))
def test_an_upload_of_garbage_is_refused_with_a_sentence(client, session, body):
    answer = client.put("/api/map", content=body)
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)
    assert not session.uploads


def test_a_body_without_length_is_cut_off_at_the_limit(client, session):
    answer = client.put("/api/map", content=(bytes(1 << 20) for _ in range(64)))
    assert answer.status_code == 413
    assert "at most 4 MiB" in answer.json()["detail"]
    assert not session.uploads


def test_no_answer_waits_for_the_acknowledgement_of_its_head():
    with (
        listen("127.0.0.1", 0) as sock,
        socket.create_connection(sock.getsockname(), timeout=10),
        sock.accept()[0] as served,
    ):
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_gigabyte_is_refused_before_it_is_sent(connect, session):
    with connect() as line:
        head = f"PUT /api/map HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n\r\n"
        line.sendall(head.encode() + bytes(MAX_MAP_BYTES // 2))
        answer = b""
        while b"}" not in answer and (data := line.recv(4096)):
            answer += data
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"the board keeps its map" in answer
    assert not session.uploads


def test_without_a_board_every_request_is_refused(client, session):
    session.board = session.ratio_map = None
    for answer in (
        client.get("/api/board"),
        client.get("/api/map"),
        client.get("/api/map.png"),
        client.put("/api/map", content=map_file(RatioMap.random(SHAPE))),
    ):
        assert answer.status_code == 503
        assert "board" in answer.json()["detail"]


def test_bundles_are_listed_and_selected(client, session):
    assert client.get("/api/bundles").json() == {
        "bundles": [
            {
                "name": "edge",
                "title": "edge",
                "ratio": 0.125,
                "aperture": True,
                "any_map": False,
                "psnr_db": 30.0,
                "suits": True,
            },
            {
                "name": "other",
                "title": "other",
                "ratio": 0.25,
                "aperture": False,
                "any_map": False,
                "psnr_db": None,
                "suits": False,
            },
            {
                "name": "network-free",
                "title": "no network",
                "ratio": None,
                "aperture": False,
                "any_map": False,
                "psnr_db": None,
                "suits": True,
            },
        ],
        "active": "network-free",
    }
    assert client.put("/api/bundle", json={"name": "edge"}).json()["active"] == "edge"
    assert session.selected == ["edge"]


def test_a_second_bundle_is_chosen_and_given_up(client, session):
    assert client.put("/api/comparison", json={"name": "edge"}).status_code == 204
    assert client.get("/api/state").json()["comparison"]["bundle"] == "edge"
    assert client.put("/api/comparison", json={"name": ""}).status_code == 422
    assert client.delete("/api/comparison").status_code == 204
    assert client.get("/api/state").json()["comparison"] is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BundleError("there is no bundle 'x' here"), 422),
        (ReconstructError("the network is of another kind"), 422),
        (RatioMapError("the ratio map is for windows of 8 slots"), 422),
        (BoardLostError("the board vanished"), 503),
    ],
)
def test_a_bundle_that_cannot_run_is_refused_with_a_sentence(client, session, error, status):
    def refuse(name):
        raise error

    session.select = refuse
    answer = client.put("/api/bundle", json={"name": "x"})
    assert answer.status_code == status
    assert str(error)[1:] in answer.json()["detail"]
    assert client.get("/api/bundles").json()["active"] == "network-free"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 3}, [], "x"])
def test_a_choice_without_a_name_is_refused(client, session, body):
    answer = client.put("/api/bundle", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(".")
    assert not session.selected


def test_every_refusal_is_in_the_openapi_document(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/api/state",
        "/api/board",
        "/api/map",
        "/api/map.{suffix}",
        "/api/map/schedule",
        "/api/map/tiles",
        "/api/map/read",
        "/api/map/back",
        "/api/map/keep",
        "/api/bundles",
        "/api/bundle",
        "/api/comparison",
        "/api/calibration",
        "/api/calibration/proceed",
        "/api/calibration/plan",
        "/api/calibration/light",
        "/api/calibration/apply",
        "/api/calibration/undo",
        "/api/calibration/discard",
        "/api/calibration/profile.json",
        "/api/calibration/correction.npz",
        "/api/calibration/report.html",
        "/api/adaptive",
        "/api/radio",
        "/api/recordings",
        "/api/recordings/stop",
        "/api/recordings/notes",
        "/api/recordings/{id}",
        "/api/recordings/{id}/note",
        "/api/recordings/{id}/pin",
        "/api/recordings/{id}/restore",
        "/api/recordings/{id}/timeline",
        "/api/recordings/{id}/file",
        "/api/recordings/{id}/video.mp4",
        "/api/recordings/{id}/windows/{index}",
        "/api/recordings/{id}/windows/{index}/map",
        "/api/recordings/{id}/windows/{index}/picture",
        "/api/recordings/{id}/windows/{index}/readout",
        "/api/recordings/{id}/windows/{index}/reads.npz",
        "/api/video.mp4",
        "/healthz",
        "/metrics",
    }
    put_map = paths["/api/map"]["put"]
    assert {"200", "409", "413", "422", "503"} <= set(put_map["responses"])
    assert set(put_map["requestBody"]["content"]) == {"application/x-npz", "image/png"}


def test_the_page_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(f"/{name}").status_code == 200
    files = [file for suffix in ("js", "css", "html", "svg") for file in WEB.rglob(f"*.{suffix}")]
    assert len(files) > 40
    for file in files:
        assert not re.search(r"https?://(?!www\.w3\.org)", file.read_text()), file.name


def test_every_module_of_the_page_is_served_and_short(client):
    modules = list(WEB.rglob("*.js"))
    for module in modules:
        text = module.read_text()
        assert text.count("\n") < 250, module
        for path in re.findall(r'from "(\.[^"]+)"', text):
            assert (module.parent / path).is_file(), f"{module} imports {path}"
            served = (module.parent / path).resolve().relative_to(WEB)
            assert client.get(f"/web/{served.as_posix()}").status_code == 200


def typedefs():
    """Properties of each document that the page's modules declare, by its name."""
    text = "".join(path.read_text() for path in (WEB / "net").glob("*types.js"))
    return {
        name: set(re.findall(r"@property \{.+?\} (\w+)", body))
        for name, body in re.findall(r"@typedef \{object\} (\w+)(.*?)(?=@typedef|\*/)", text, re.S)
    }


def test_the_types_of_the_page_match_the_openapi_document(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    declared = typedefs()
    assert "LiveState" in declared
    for name, properties in declared.items():
        assert properties == set(schemas[name]["properties"]), name


def test_the_next_port_is_used_if_one_is_taken_unless_it_was_given():
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert address_of(first) != address_of(second)
        port = first.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"127\.0\.0\.1:{port}.*--http-port 0"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_serving_beyond_loopback_needs_a_token(host):
    with pytest.raises(ServiceError, match="--token"):
        check_exposure(host, None)
    check_exposure(host, "secret")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_serving_on_loopback_needs_no_token(host):
    check_exposure(host, None)
