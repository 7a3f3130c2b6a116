"""The recordings over REST: what a page and a script do with them, and what is refused."""

from __future__ import annotations

import io
from types import SimpleNamespace

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import preset
from focalloop.host.board.stats import LinkStats
from focalloop.host.live.board_correction import BoardCorrection
from focalloop.host.live.recording_desk import RecordingDesk
from focalloop.host.reconstruction.correction import Correction
from focalloop.host.reconstruction.reconstruct import NetworkFree
from focalloop.host.recording import messages
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.store import RecordingStore
from focalloop.host.service.packets import HEADER
from tests.support.made_windows import BOARD, make_window, write_recording
from tests.support.served import SHAPE, make_map

WRONG_IDS = ("20260131T120000Z-0a1b2c", "..", "%2e%2e%2fx", "x")


@pytest.fixture
def session(session, tmp_path):
    session.said = []
    session.recordings = RecordingDesk(
        RecordingStore(tmp_path / "recordings"), lambda text, level: session.said.append(text)
    )
    yield session
    session.recordings.close()


@pytest.fixture
def client(app, session):
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def kept(session):
    """Id of a finished recording of three windows."""
    path = session.recordings.store.new()
    write_recording(path)
    return path.stem


def attach(session, correction=None, noise=None):
    stats = LinkStats.__new__(LinkStats)
    for name in LinkStats.__dataclass_fields__:
        object.__setattr__(stats, name, 0)
    board = SimpleNamespace(info=BOARD, stats=stats)
    session.recordings.attach(board, correction or BoardCorrection(), noise)


def test_a_recording_is_pinned_and_the_quota_is_told(client, kept, session):
    for method, pinned in (("put", True), ("delete", False)):
        assert client.request(method, f"/api/recordings/{kept}/pin").status_code == 204
        (entry,) = client.get("/api/recordings").json()["recordings"]
        assert entry["pinned"] is pinned
    assert client.put("/api/recordings/20260131T120000Z-0a1b2c/pin").status_code == 404
    assert client.get("/api/recordings").json()["quota_bytes"] is None
    session.recordings.store.quota_bytes = 10
    session.recordings.store.pin(kept)
    attach(session)
    refused = client.post("/api/recordings", json={})
    assert refused.status_code == 422
    assert "of a quota of 10" in refused.text
    client.delete(f"/api/recordings/{kept}/pin")
    assert client.post("/api/recordings", json={}).status_code == 201
    assert "A recording was removed" in session.said[0]


def test_a_recording_is_started_noted_and_stopped(client, session):
    assert client.post("/api/recordings", json={}).status_code == 503
    attach(session)
    started = client.post("/api/recordings", json={"note": "lens 2", "pictures": True})
    assert started.status_code == 201
    assert started.json()["recording"] is True
    assert client.post("/api/recordings", json={}).status_code == 409
    for number in range(3):
        session.recordings.window(make_window(number, make_map()))
    assert client.post("/api/recordings/notes", json={"text": "darker"}).status_code == 200
    assert client.get("/api/recordings").json()["recordings"] == []
    session.recordings.event("the board is back", "warning", messages.ANYTHING)
    stopped = client.post("/api/recordings/stop").json()
    assert (stopped["windows"], stopped["recording"]) == (3, False)
    assert client.post("/api/recordings/stop").status_code == 409
    assert client.post("/api/recordings/notes", json={"text": "late"}).status_code == 409
    listed = client.get("/api/recordings").json()
    (entry,) = listed["recordings"]
    assert entry["id"] == started.json()["name"]
    assert (entry["windows"], entry["notes"]) == (3, ["lens 2", "darker"])
    assert listed["free_bytes"] > 0
    timeline = client.get(f"/api/recordings/{entry['id']}/timeline").json()
    assert sum(timeline["windows"]) == 3
    assert [mark["kind"] for mark in timeline["marks"]] == ["note", "note", "event"]


def test_a_stream_that_begins_anew_leaves_no_gap(session):
    attach(session)
    session.recordings.start()
    session.recordings.window(make_window(3, make_map()))
    attach(session)
    session.recordings.window(make_window(90, make_map()))
    assert session.recordings.stop().gaps == 0


def test_a_window_is_shown_and_downloaded(client, kept):
    window = make_window(1, make_map())
    place = f"/api/recordings/{kept}/windows/1"
    document = client.get(place).json()
    assert document["number"] == 1
    assert document["map_hash"] == make_map().hash_hex
    assert document["reads"] == window.plan.count
    assert client.get(f"{place}/map").json()["hash"] == make_map().hash_hex
    packet = client.get(f"{place}/picture", params={"step": 8}).content
    kind, _, _, step, slots, flags, height, width, *_ = HEADER.unpack_from(packet)
    assert (kind, step, slots, flags, (height, width)) == (1, 8, 2, 0, SHAPE)
    planes = np.frombuffer(packet, np.uint8, offset=HEADER.size).reshape(2, 2, *SHAPE)
    expected = NetworkFree()(window.reads, make_map())[::8]
    np.testing.assert_array_equal(planes[0], np.rint(np.clip(expected, 0, 1) * 255))
    readout = client.get(f"{place}/readout").content
    assert readout[HEADER.size :] == window.codes.tobytes()
    file = client.get(f"/api/recordings/{kept}/file")
    assert file.content.startswith(b"\x89MCAP")
    assert f'filename="{kept}.mcap"' in file.headers["content-disposition"]


def test_windows_are_rebuilt_as_a_video(client, kept, tmp_path):
    video = client.get(f"/api/recordings/{kept}/video.mp4", params={"count": 2})
    assert video.status_code == 200, video.text
    with av.open(io.BytesIO(video.content)) as made:
        frames = [frame.to_ndarray(format="gray") for frame in made.decode(video=0)]
    assert np.shape(frames) == (2 * 16, *SHAPE)
    beyond = client.get(f"/api/recordings/{kept}/video.mp4", params={"first": 3})
    assert beyond.status_code == 422


def test_reads_are_corrected_as_they_were_when_they_were_recorded(client, session):
    pattern = FixedPattern(
        offset=np.full(SHAPE, 0.1, np.float32),
        gain=np.ones(SHAPE, np.float32),
        defects=np.zeros(SHAPE, np.uint8),
    )
    noise = preset("paper")
    correction = Correction(pattern, noise)
    attach(session, BoardCorrection(correction, "the pattern given", "", noise), noise)
    session.recordings.start()
    window = make_window(0, make_map())
    session.recordings.window(window)
    name = session.recordings.stop().name
    packet = client.get(f"/api/recordings/{name}/windows/0/picture", params={"step": 16}).content
    planes = np.frombuffer(packet, np.uint8, offset=HEADER.size).reshape(2, 1, *SHAPE)
    reads, ratio_map = correction(window.reads, make_map())
    expected = NetworkFree()(reads, ratio_map)[::16]
    np.testing.assert_array_equal(planes[0], np.rint(np.clip(expected, 0, 1) * 255))


def test_a_picture_says_what_made_it_and_a_window_what_suits_it(client, kept):
    place = f"/api/recordings/{kept}/windows/0"
    bundles = client.get(place).json()["bundles"]
    for asked, by in {"network-free": "network-free", "own": (*bundles, "network-free")[0]}.items():
        answer = client.get(f"{place}/picture", params={"bundle": asked, "step": 16})
        assert answer.headers["Reconstructed-By"] == by


def test_a_recording_is_noted_on_afterwards(client, kept):
    assert client.get("/api/recordings").json()["recordings"][0]["note"] == "made by hand"
    for text in ("ä <b>", ""):
        assert client.put(f"/api/recordings/{kept}/note", json={"text": text}).status_code == 204
        (entry,) = client.get("/api/recordings").json()["recordings"]
        assert (entry["note"], entry["notes"]) == (text, ["made by hand"])
    too_long = client.put(f"/api/recordings/{kept}/note", json={"text": "a" * 2001})
    assert too_long.status_code == 422
    client.delete(f"/api/recordings/{kept}")
    assert client.put(f"/api/recordings/{kept}/note", json={"text": "gone"}).status_code == 404


def test_a_deleted_recording_comes_back(client, kept):
    assert client.delete(f"/api/recordings/{kept}").status_code == 204
    assert client.get(f"/api/recordings/{kept}/timeline").status_code == 404
    (entry,) = client.get("/api/recordings").json()["recordings"]
    assert entry["deleted_unix_s"] > 0
    assert client.post(f"/api/recordings/{kept}/restore").status_code == 204
    assert client.get(f"/api/recordings/{kept}/timeline").status_code == 200


@pytest.mark.parametrize("id_", WRONG_IDS)
def test_what_is_no_recording_is_refused(client, kept, id_):
    for path in ("timeline", "file", "windows/0", "windows/0/picture", "video.mp4"):
        assert client.get(f"/api/recordings/{id_}/{path}").status_code in (404, 405), path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("windows/3", 422),
        ("windows/-1", 422),
        ("windows/x", 422),
        ("windows/0/picture?bundle=/etc/passwd", 422),
        ("windows/0/picture?step=0", 422),
        ("video.mp4?count=100000", 422),
    ],
)
def test_what_a_recording_does_not_have_is_refused(client, kept, path, status):
    answer = client.get(f"/api/recordings/{kept}/{path}")
    assert answer.status_code == status
    assert answer.json()["detail"].endswith(".")


def test_a_service_without_recordings_says_so(client, session):
    desk, session.recordings = session.recordings, None
    assert client.get("/api/recordings").status_code == 404
    session.recordings = desk


def test_a_damaged_window_is_refused(client, session, kept):
    path = session.recordings.store.path(kept)
    data = bytearray(path.read_bytes())
    with Recording(path) as recording:
        (chunk,) = recording._structure.chunks
    data[chunk.offset + chunk.length // 2] ^= 1
    path.write_bytes(data)
    answer = client.get(f"/api/recordings/{kept}/windows/0/picture")
    assert answer.status_code == 422
    assert "damaged" in answer.json()["detail"]
