"""The routes of the map editor over a fake session: schedule, tiles, files, and the way back."""

import pytest

from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.maps.defaults import NAMED_TILES
from focalloop.firmware_sim.maps.feasibility import Feasibility, Hardware
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from tests.support.fake_session import SHAPE


def pixels_of(ratio_map):
    return {str(level): int((ratio_map.levels == level).sum()) for level in ratio_map.level_set}


@pytest.mark.parametrize("seed", range(3))
def test_a_drawing_has_the_schedule_of_its_map(client, session, seed):
    ratio_map = RatioMap.random(SHAPE, seed=seed)
    rates = {"adc_rate_hz": 3e5, "link_rate_bytes_per_s": 3e4}
    answer = client.post("/api/map/schedule", json={"pixels": pixels_of(ratio_map), **rates})
    planned = Feasibility.of(ratio_map, Hardware(slot_rate_hz=240.0, bits=16, **rates))
    schedule = answer.json()
    assert schedule.pop("reads_per_slot") == planned.reads_per_slot.tolist()
    assert schedule == {name: getattr(planned, name) for name in schedule}
    without = client.post("/api/map/schedule", json={"pixels": pixels_of(ratio_map)}).json()
    assert without["fits_adc"] is without["fits_link"] is None
    assert not session.uploads


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"pixels": {"0": 384}}, "measures nothing"),
        ({"pixels": {"2": 380}}, "not 380"),
        ({"pixels": {"3": 384}}, "level 3"),
        ({"pixels": {"2": -1, "1": 385}}, "greater than or equal to 0"),
        ({"pixels": {"2": 384}, "adc_rate_hz": 0}, "greater than 0"),
    ],
)
def test_a_drawing_that_the_board_cannot_have_is_refused(client, body, says):
    answer = client.post("/api/map/schedule", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_the_named_tiles_are_those_of_the_level_set(client, session):
    assert client.get("/api/map/tiles").json() == {
        name: [list(row) for row in tile] for name, tile in NAMED_TILES.items()
    }
    session.ratio_map = RatioMap.uniform(2, SHAPE, 16, (0, 1, 2))
    few = client.get("/api/map/tiles").json()
    assert {"fixed-1of16", "fixed-2of16", "calm-1of16"} == set(few)


def test_a_file_is_read_and_nothing_is_uploaded(client, session):
    ratio_map = RatioMap.from_tile([[4, 0], [0, 4]], (8, 8))
    answer = client.post("/api/map/read", content=map_files.encode(ratio_map, ".png"))
    assert answer.json()["hash"] == ratio_map.tiled_to(*SHAPE).hash_hex
    other = client.post(
        "/api/map/read", content=map_files.encode(RatioMap.random((20, 20)), ".npz")
    )
    assert other.status_code == 422
    assert "20x20" in other.json()["detail"]
    assert not session.uploads


def test_a_map_that_is_based_on_another_one_overwrites_nothing(client, session):
    based_on = session.ratio_map.hash_hex
    first, second = RatioMap.random(SHAPE, seed=1), RatioMap.random(SHAPE, seed=2)
    for ratio_map, status in ((first, 200), (second, 409)):
        body = map_files.encode(ratio_map, ".npz")
        answer = client.put("/api/map", params={"based_on": based_on}, content=body)
        assert answer.status_code == status
    assert "nothing is overwritten" in answer.json()["detail"]
    assert session.ratio_map == first


def test_an_uploaded_map_is_kept_or_given_back(client, session):
    before, after = session.ratio_map, RatioMap.random(SHAPE, seed=1)
    assert client.post("/api/map/back").status_code == 409
    client.put("/api/map", content=map_files.encode(after, ".npz"))
    assert client.get("/api/state").json()["can_go_back"]
    assert client.post("/api/map/back").json()["hash"] == before.hash_hex
    assert not client.get("/api/state").json()["can_go_back"]
    client.put("/api/map", content=map_files.encode(after, ".npz"))
    assert client.post("/api/map/keep").status_code == 204
    assert not client.get("/api/state").json()["can_go_back"]
    assert session.ratio_map == after


def test_without_a_board_every_request_is_refused(client, session):
    session.board = session.ratio_map = None
    for answer in (
        client.get("/api/map/tiles"),
        client.post("/api/map/schedule", json={"pixels": {"1": 384}}),
        client.post("/api/map/read", content=map_files.encode(RatioMap.random(SHAPE), ".npz")),
    ):
        assert answer.status_code == 503
        assert "board" in answer.json()["detail"]
