"""The preview socket: credit, the newest first, and the binary layout of docs/preview.md."""

import struct
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import files

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.scenes.clips import load_clips
from focalloop.host.service import preview
from focalloop.host.service.api import create_app
from focalloop.host.service.packets import pack_picture
from tests.support.fake_session import SHAPE, FakeSession, make_picture
from tests.support.waiting import wait_until


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def socket(session):
    with TestClient(create_app(session)).websocket_connect("/ws/preview") as socket:
        yield socket


def receive_binary(socket):
    """Next binary message; states before it are ignored."""
    while (message := socket.receive()).get("bytes") is None:
        assert message["type"] == "websocket.send", message
    return message["bytes"]


def receive_to_the_end(socket):
    while True:
        socket.receive_json()


def parse_picture(data):
    """Parse a picture message as docs/preview.md describes it."""
    kind, version, first, step, count, flags = data[:6]
    height, width, setup, window = struct.unpack_from("<HHHI", data, 6)
    assert (kind, version, setup) == (1, 1, 1)
    planes = np.frombuffer(data, np.uint8, offset=24)
    stacks = planes.reshape(-1, count, height, width)
    assert len(stacks) == (3 if flags & 1 else 2)
    return window, data[16:24], range(first, 16, step), stacks


def test_nothing_is_sent_without_credit(session, socket):
    session.put(make_picture(1, session.ratio_map))
    states = [socket.receive_json() for _ in range(3)]
    assert all(state["phase"] == "streaming" for state in states)


def test_one_credit_is_worth_the_newest_window(session, socket):
    for window in (1, 2, 3):
        session.put(make_picture(window, session.ratio_map))
    socket.send_json({"credit": 1, "step": 4})
    data = receive_binary(socket)
    window, map_hash, slots, stacks = parse_picture(data)
    expected = make_picture(3, session.ratio_map)
    assert (window, slots) == (3, range(0, 16, 4))
    assert map_hash == session.ratio_map.hash()[:8]
    planes = (expected.truth, expected.initial, expected.final)
    for stack, whole in zip(stacks, planes, strict=True):
        np.testing.assert_array_equal(stack, whole[::4])
    session.put(make_picture(4, session.ratio_map))  # no credit is left for it
    assert socket.receive_json()["phase"] == "streaming"
    assert socket.receive_json()["phase"] == "streaming"


def test_a_window_is_sent_once_and_credit_waits_for_the_next(session, socket):
    session.put(make_picture(7, session.ratio_map))
    for window in (7, 8):
        socket.send_json({"credit": 1, "step": 4})
        if window == 8:
            assert socket.receive_json()["phase"] == "streaming"
            session.put(make_picture(8, session.ratio_map))
        assert parse_picture(receive_binary(socket))[0] == window


def test_a_viewer_gets_the_slots_it_asked_for_or_waits(session, socket):
    session.put(make_picture(1, session.ratio_map, step=4))
    socket.send_json({"credit": 1, "step": 1})
    wait_until(lambda: 1 in session.wants.values())
    assert socket.receive_json()["phase"] == "streaming"  # every fourth slot is not enough
    session.put(make_picture(2, session.ratio_map, step=1))
    window, _, slots, stacks = parse_picture(receive_binary(socket))
    assert (window, slots) == (2, range(16))
    assert list(session.wants.values()) == [None]  # a request is for one window
    np.testing.assert_array_equal(stacks[2], make_picture(2, session.ratio_map).final)


def parse_jpeg_picture(data):
    """Parse a picture message whose planes are JPEG as docs/preview.md describes it."""
    assert data[0] == 3
    count, height, width = data[4], *struct.unpack_from("<HH", data, 6)
    stacks, at = [], 24
    for _ in range(3 if data[5] & 1 else 2):
        (length,) = struct.unpack_from("<I", data, at)
        code = np.frombuffer(data, np.uint8, length, at + 4)
        stacks.append(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE).reshape(count, height, width))
        at += 4 + length
    return stacks, data[at:]


def test_pictures_as_jpeg_are_small_and_close_to_the_raw_planes(session, socket):
    box = files("focalloop.host") / "clips" / "box.mp4"
    frames = np.ascontiguousarray(load_clips(box, 16).clips[0][:, :256, :256])
    smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), 1) for frame in frames])  # as if rebuilt
    grainy = frames + np.random.default_rng(0).normal(0, 6, frames.shape)
    initial = np.clip(grainy, 0, 255).astype(np.uint8)
    planes = {"truth": frames, "initial": initial, "final": smooth}
    grid = np.arange(4, dtype=np.uint8).reshape(2, 2)
    picture = make_picture(5, session.ratio_map, grid=grid)
    session.put(replace(picture, **planes))
    socket.send_json({"credit": 1, "step": 8, "jpeg": True})
    data = receive_binary(socket)
    stacks, rest = parse_jpeg_picture(data)
    assert rest == grid.tobytes()
    raw = sum(plane[::8].size for plane in planes.values())
    assert len(data) < 3e6 / 15
    assert len(data) < raw / 2
    for stack, plane in zip(stacks, planes.values(), strict=True):
        error = np.square(stack.astype(float) - plane[::8]).mean()
        assert 10 * np.log10(255**2 / error) > 45


def test_the_second_bundle_follows_for_those_who_ask_for_it(session, socket):
    grid = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = make_picture(4, session.ratio_map, beside_setup=515, grid=grid)
    session.put(picture)
    socket.send_json({"credit": 1, "step": 4})
    plain = receive_binary(socket)
    assert plain[5] & 4 == 0  # a viewer that knows nothing of it gets what it always got
    assert len(plain) == 24 + 3 * 4 * SHAPE[0] * SHAPE[1] + grid.size
    for jpeg in (False, True):
        session.put(replace(picture))
        socket.send_json({"credit": 1, "step": 4, "beside": True, "jpeg": jpeg})
        data = receive_binary(socket)
        assert data[5] & 4
        setup = (515).to_bytes(2, "little")
        assert data.endswith(setup + grid.tobytes())
        if jpeg:
            continue
        planes = np.frombuffer(data, np.uint8, 4 * 4 * SHAPE[0] * SHAPE[1], offset=24)
        stacks = planes.reshape(4, 4, *SHAPE)
        np.testing.assert_array_equal(stacks[2], picture.final[::4])
        np.testing.assert_array_equal(stacks[3], picture.beside[::4])


def test_a_viewer_waits_for_the_second_bundle_and_only_where_one_is_chosen(session, socket):
    unwatched = replace(make_picture(1, session.ratio_map), beside_setup=2)
    session.put(unwatched)
    socket.send_json({"credit": 1, "step": 4, "beside": True})
    wait_until(lambda: session.beside)
    assert socket.receive_json()["phase"] == "streaming"
    session.put(make_picture(2, session.ratio_map, beside_setup=2))
    data = receive_binary(socket)
    assert struct.unpack_from("<I", data, 12) == (2,)
    session.put(make_picture(3, session.ratio_map))  # it was given up meanwhile
    socket.send_json({"credit": 1, "step": 4, "beside": True})
    assert receive_binary(socket)[5] & 4 == 0


def test_viewers_are_sent_what_was_built_once(session, monkeypatch):
    built = {"states": 0, "pictures": 0}

    def count(name, call):
        def counted(*given, **more):
            built[name] += 1
            return call(*given, **more)

        return counted

    monkeypatch.setattr(session, "state", count("states", session.state))
    monkeypatch.setattr(preview, "pack_picture", count("pictures", preview.pack_picture))
    session.put(make_picture(3, session.ratio_map))
    with ExitStack() as stack:
        client = stack.enter_context(TestClient(create_app(session)))
        viewers = [stack.enter_context(client.websocket_connect("/ws/preview")) for _ in range(8)]
        for viewer in viewers:
            viewer.send_json({"credit": 1, "step": 4})
        messages = {receive_binary(viewer) for viewer in viewers}
        for viewer in viewers:
            for _ in range(4):
                while "text" not in viewer.receive():
                    pass
    assert len(messages) == 1
    assert built["pictures"] == 1
    assert built["states"] < 8 * 4


def test_a_real_board_has_no_truth(session, socket):
    session.put(make_picture(5, session.ratio_map, truth=False))
    socket.send_json({"credit": 1, "step": 8})
    _, _, _, stacks = parse_picture(receive_binary(socket))
    np.testing.assert_array_equal(stacks[0], make_picture(5, session.ratio_map).initial[::8])


def test_the_measurements_follow_their_picture_if_they_are_wanted(session, socket):
    picture = make_picture(9, session.ratio_map)
    session.put(picture)
    socket.send_json({"credit": 1, "step": 16, "reads": True})
    assert parse_picture(receive_binary(socket))[0] == 9
    data = receive_binary(socket)
    assert (data[0], data[1], data[4]) == (2, 1, 2)
    assert struct.unpack_from("<I", data, 12) == (9,)
    np.testing.assert_array_equal(np.frombuffer(data, "<u2", offset=24), picture.readout)


def test_8_bit_measurements_travel_as_bytes(session, socket):
    ratio_map = RatioMap.uniform(1, SHAPE)
    picture = make_picture(3, ratio_map)
    narrow = picture.readout.astype(np.uint8)
    object.__setattr__(picture, "readout", narrow)
    session.put(picture)
    socket.send_json({"credit": 1, "step": 16, "reads": True})
    receive_binary(socket)
    data = receive_binary(socket)
    assert data[4] == 1
    assert data[24:] == narrow.tobytes()


def test_a_drawn_window_is_reported_to_the_session(session, socket):
    socket.send_json({"drawn": 12})
    wait_until(lambda: session.seen == [12])


def test_a_viewer_that_leaves_wants_nothing_more(session):
    with TestClient(create_app(session)).websocket_connect("/ws/preview") as socket:
        socket.send_json({"credit": 1, "step": 1})
        wait_until(lambda: list(session.wants.values()) == [1])
        assert len(session.subscribers) == 1
    wait_until(lambda: list(session.wants.values()) == [None])
    assert not session.subscribers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"credit": 2, "step": 4}',
        '{"credit": 1}',
        '{"credit": 1, "step": 3}',
        '{"credit": 1, "step": 0}',
        '{"credit": 1, "step": 32}',
        '{"credit": 1, "step": "4"}',
        '{"drawn": -1}',
        '{"drawn": 4294967296}',
        '{"drawn": 0.5}',
    ],
)
def test_an_invalid_message_closes_the_socket(session, socket, text):
    socket.send_text(text)
    with pytest.raises(WebSocketDisconnect) as refusal:
        receive_to_the_end(socket)
    assert refusal.value.code == 1003
    assert not session.seen


def test_a_binary_message_closes_the_socket(socket):
    socket.send_bytes(b"\x00")
    with pytest.raises(WebSocketDisconnect):
        receive_to_the_end(socket)


def test_packing_takes_no_more_than_the_planes_and_their_header():
    ratio_map = RatioMap.uniform(2, SHAPE)
    for step in (1, 2, 4, 8, 16):
        data = pack_picture(make_picture(0, ratio_map), step)
        assert len(data) == 24 + 3 * (16 // step) * SHAPE[0] * SHAPE[1]
