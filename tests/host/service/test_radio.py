"""The REST route of the radio link over a fake session."""

import pytest

from focalloop.firmware_sim.radio.errors import RadioError
from focalloop.host.live.radio_state import RadioChoice
from tests.support.fake_session import FakeRadio

WHOLE = {"method": "compr-ldpc", "channel": "rayleigh", "snr_db": 7.5, "symbols": 9000}


@pytest.fixture
def session(session):
    session.radio = FakeRadio(rate_map=("012", "765"))
    return session


def test_the_link_is_part_of_the_state(client, session):
    radio = client.get("/api/state").json()["radio"]
    assert radio["choice"] == {
        "method": "semcom", "channel": "awgn", "snr_db": 10.0, "symbols": 77
    }  # fmt: skip
    assert radio["rate_map"] == ["012", "765"]
    session.radio = None
    assert client.get("/api/state").json()["radio"] is None


def test_a_choice_is_handed_on_and_answered_with_the_state(client, session):
    answer = client.put("/api/radio", json=WHOLE)
    assert answer.status_code == 200
    assert answer.json()["choice"] == WHOLE
    assert session.radio.chosen == [RadioChoice(**WHOLE)]


@pytest.mark.parametrize(
    "change",
    [
        {"snr_db": 40.1},
        {"snr_db": -11},
        {"snr_db": "ten"},
        {"snr_db": None},
        {"symbols": 0},
        {"symbols": 7.5},
        {"channel": "copper"},
        {"method": ""},
        {"power": 2},
    ],
)
def test_a_choice_that_makes_no_sense_changes_nothing(client, session, change):
    answer = client.put("/api/radio", json=WHOLE | change)
    assert answer.status_code == 422
    assert next(iter(change)) in answer.json()["detail"]
    assert session.radio.chosen == []


def test_nan_and_infinity_are_no_snr(client, session):
    for value in ("NaN", "Infinity", "1e999"):
        body = f'{{"method": "semcom", "channel": "awgn", "snr_db": {value}, "symbols": 9}}'
        answer = client.put(
            "/api/radio", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422)
    assert session.radio.chosen == []


def test_what_the_link_refuses_is_answered_with_its_sentence(client, session):
    def refuse(choice):
        raise RadioError("a live link sends by semcom or compr-ldpc, not by 'morse'")

    session.radio.choose = refuse
    answer = client.put("/api/radio", json=WHOLE | {"method": "morse"})
    assert answer.status_code == 422
    assert "not by 'morse'" in answer.json()["detail"]


def test_a_session_without_a_link_says_how_to_start_one(client, session):
    session.radio = None
    answer = client.put("/api/radio", json=WHOLE)
    assert answer.status_code == 409
    assert "--radio semcom" in answer.json()["detail"]
