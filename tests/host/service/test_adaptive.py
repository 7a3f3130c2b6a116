"""What the service shows of an adaptive map: state, metrics, palette, and the grid of a picture."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.host.service.packets import pack_picture
from tests.support.fake_session import FOLLOWING, SHAPE, make_picture

TILES = np.array([[[0, 1], [1, 0]], [[1, 1], [1, 1]], [[4, 0], [0, 2]]], np.uint8)
GRID = np.array([[0, 2, 1], [1, 1, 2]], np.uint8)


@pytest.fixture
def session(session):
    session.adaptive_map = AdaptiveMap(RatioMap.from_tile(TILES[1], SHAPE), TILES, 8)
    session.adaptive = FOLLOWING
    return session


def test_the_state_has_the_adaptive_map(client, session):
    state = client.get("/api/state").json()
    assert state["map"]["hash"] == session.adaptive_map.hash_hex
    assert state["adaptive"]["delays"] == {"2": 39, "3": 1}
    session.adaptive = None
    assert client.get("/api/state").json()["adaptive"] is None


def test_the_map_comes_with_its_palette_once(client, session):
    document = client.get("/api/map").json()
    palette = document["palette"]
    assert (palette["block"], palette["tile_height"], palette["tile_width"]) == (8, 2, 2)
    assert base64.b64decode(palette["tiles"]) == TILES.tobytes()
    levels = np.frombuffer(base64.b64decode(document["levels"]), np.uint8)
    np.testing.assert_array_equal(levels.reshape(SHAPE), session.adaptive_map.resting.levels)
    session.adaptive_map = None
    assert client.get("/api/map").json()["palette"] is None


def test_a_picture_under_a_grid_ends_with_it(session):
    without = pack_picture(make_picture(1, session.ratio_map), 4)
    data = pack_picture(make_picture(1, session.ratio_map, grid=GRID), 4)
    assert (without[5], data[5]) == (1, 3)
    assert data[24:] == without[24:] + GRID.tobytes()


def test_the_map_is_saved_as_an_adaptive_map(client, session, tmp_path):
    (tmp_path / "map.npz").write_bytes(client.get("/api/map.npz").content)
    assert AdaptiveMap.load(tmp_path / "map.npz").hash() == session.adaptive_map.hash()
    refused = client.get("/api/map.png")
    assert refused.status_code == 422
    assert "saved as .npz" in refused.json()["detail"]


def test_the_map_follows_again_when_asked(client, session):
    session.adaptive = replace(session.adaptive, active=False)
    answer = client.post("/api/adaptive")
    assert answer.status_code == 200
    assert answer.json()["hash"] == session.adaptive_map.hash_hex
    assert session.adaptive.active
    session.adaptive = None
    refused = client.post("/api/adaptive")
    assert refused.status_code == 409
    assert "no adaptive map" in refused.json()["detail"]


def test_metrics_count_what_the_map_does(client, session):
    lines = client.get("/metrics").text.splitlines()
    for line in (
        "focalloop_adaptive_windows_under_grid_total 40.0",
        "focalloop_adaptive_windows_over_budget_total 0.0",
        "focalloop_adaptive_grids_late_total 1.0",
        'focalloop_adaptive_delay_windows_total{windows="2"} 39.0',
        "focalloop_adaptive_budget_used 0.75",
        "focalloop_adaptive_choice_seconds 0.002",
    ):
        assert line in lines
    session.adaptive = None
    assert "adaptive" not in client.get("/metrics").text
