"""The calibration over REST and in the state: requests, refusals, files, and figures as JSON."""

import json
import math
import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings, strategies as st
from starlette.websockets import WebSocketDisconnect

from focalloop.calibration import CalibrationError, Estimate
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.errors import BoardLostError, CaptureError
from focalloop.host.live.calibration_state import CalibrationPhase, CalibrationState, fit_state
from focalloop.host.live.calibrator import MAX_READS, CalibratorError
from focalloop.host.service.api import create_app
from focalloop.host.service.binding import host_names
from tests.support.fake_session import FakeSession
from tests.support.made_calibration import LEVELS, S_SS, make_calibration


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def client(session):
    return TestClient(create_app(session))


def test_a_calibration_is_started_and_controlled(client, session):
    assert client.post("/api/calibration", json={"reads": 8}).status_code == 202
    assert client.post("/api/calibration", json={}).status_code == 202
    assert client.post("/api/calibration/proceed").status_code == 200
    assert client.post("/api/calibration/apply").status_code == 200
    assert client.delete("/api/calibration").json()["phase"] == "idle"
    assert session.calibrator.asked == [
        ("start", 8),
        ("start", 4),
        ("proceed",),
        ("apply",),
        ("cancel",),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"4",
        b'{"reads": 1}',
        b'{"reads": 0}',
        b'{"reads": -4}',
        b'{"reads": "4"}',
        b'{"reads": 4.5}',
        b'{"reads": true}',
        b'{"reads": null}',
        b'{"reads": 1e9}',
        b'{"reads": NaN}',
        json.dumps({"reads": MAX_READS + 1}).encode(),
        b'{"reads": 4, "path": "/etc/passwd"}',
    ],
)
def test_an_invalid_request_is_refused_with_a_sentence(client, session, body):
    answer = client.post("/api/calibration", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(".")
    assert not session.calibrator.asked


@settings(max_examples=25, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_accepted_or_refused_with_a_sentence(value):
    session = FakeSession()
    answer = TestClient(create_app(session)).post("/api/calibration", json={"reads": value})
    if type(value) is int and 2 <= value <= MAX_READS:
        assert answer.status_code == 202
    else:
        assert answer.status_code == 422
        assert isinstance(answer.json()["detail"], str)
        assert not session.calibrator.asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CalibratorError("a calibration runs already: wait for it, or cancel it"), 409),
        (CaptureError("1 read a level tells nothing of temporal noise"), 422),
        (BoardLostError("no board is connected: try again in a moment"), 503),
    ],
)
def test_an_error_is_answered_with_a_sentence(client, session, error, status):
    session.calibrator.error = error
    for path, body in (("", {"reads": 4}), ("/proceed", None), ("/apply", None)):
        answer = client.post(f"/api/calibration{path}", json=body)
        assert answer.status_code == status
        assert str(error)[1:] in answer.json()["detail"]


def test_without_a_result_there_is_nothing_to_save(client):
    for name in ("profile.json", "correction.npz", "report.html"):
        answer = client.get(f"/api/calibration/{name}")
        assert answer.status_code == 404
        assert answer.json()["detail"] == "There is no calibration yet: run one first."


def test_the_result_is_saved_as_profile_and_report(client, session):
    session.calibrator.result = make_calibration()
    profile = client.get("/api/calibration/profile.json")
    assert profile.headers["content-disposition"] == 'attachment; filename="profile.json"'
    assert NoiseProfile.from_dict(profile.json()) == make_calibration().profile
    assert profile.json()["estimates"]["s_ss"]["value"] == S_SS
    report = client.get("/api/calibration/report.html")
    assert report.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert report.headers["content-type"].startswith("text/html")
    assert "Photon transfer curve" in report.text


def test_the_correction_is_saved_or_it_is_said_why_there_is_none(client, session, tmp_path):
    session.calibrator.result = made = make_calibration()
    saved = client.get("/api/calibration/correction.npz")
    assert saved.headers["content-disposition"] == 'attachment; filename="correction.npz"'
    (tmp_path / "correction.npz").write_bytes(saved.content)
    loaded = FixedPattern.load(tmp_path / "correction.npz")
    np.testing.assert_array_equal(loaded.gain, made.pattern.gain)
    session.calibrator.result = make_calibration(pattern=CalibrationError("too many defects"))
    refused = client.get("/api/calibration/correction.npz")
    assert refused.status_code == 404
    assert refused.json()["detail"] == "There is no correction: too many defects."


def test_the_state_shows_the_fit_so_far(client, session):
    fit = fit_state(make_calibration(warnings=("Row noise.",)), windows=20)
    session.calibrator.now = CalibrationState(
        CalibrationPhase.RUNNING,
        "fitting",
        20,
        24,
        fit=fit,
        trail=({"s_ss": fit.estimates["s_ss"]},),
    )
    state = client.get("/api/state").json()["calibration"]
    assert (state["phase"], state["windows"], state["windows_total"]) == ("running", 20, 24)
    assert [point["signal"] for point in state["fit"]["points"]] == [at.signal for at in LEVELS]
    assert [point["used"] for point in state["fit"]["points"]] == [True] * 6 + [False]
    assert state["fit"]["estimates"]["s_ss"] == {
        "title": "Shot noise, s_ss",
        "value": S_SS,
        "low": 4.90e-3,
        "high": 5.00e-3,
        "unit": "",
    }
    assert state["trail"] == [{"s_ss": state["fit"]["estimates"]["s_ss"]}]
    assert state["fit"]["warnings"] == ["Row noise."]
    assert state["fit"]["mood"] == "warn"


def test_what_is_not_finite_is_null_on_the_socket(client, session):
    calibration = make_calibration(
        estimates={"s_ss": Estimate(math.nan, (0.0, math.inf), "")},
        levels=(replace(LEVELS[0], variance_dn2=math.nan, signal=np.float32(0.0)),),
    )
    session.calibrator.now = CalibrationState(fit=fit_state(calibration, 4))
    with client.websocket_connect("/ws/preview") as socket:
        fit = socket.receive_json()["calibration"]["fit"]
    assert fit["estimates"]["s_ss"]["value"] is None
    assert fit["estimates"]["s_ss"]["high"] is None
    assert fit["points"][0]["variance_dn2"] is None
    assert fit["points"][0]["signal"] == 0.0


def test_the_state_of_a_whole_calibration_is_small(session):
    fit = fit_state(make_calibration(), 20)
    mark = {name: fit.estimates[name] for name in ("s_ss", "s_r")}
    state = CalibrationState(fit=fit, trail=(mark,) * 9)
    assert len(json.dumps(asdict(state), allow_nan=False)) < 16_384  # sent four times per second


def test_a_foreign_page_cannot_calibrate():
    session = FakeSession()
    app = create_app(session, token="a secret", host_names=host_names("0.0.0.0"))
    public = TestClient(app, base_url="http://lab.example:8000")
    foreign = {"Origin": "http://evil.example", "Authorization": "Bearer a secret"}
    for method, path in (
        ("POST", "/api/calibration"),
        ("POST", "/api/calibration/proceed"),
        ("POST", "/api/calibration/apply"),
        ("DELETE", "/api/calibration"),
        ("GET", "/api/calibration/profile.json"),
        ("GET", "/api/calibration/correction.npz"),
        ("GET", "/api/calibration/report.html"),
    ):
        assert public.request(method, path, json={"reads": 4}).status_code == 401
        if method != "GET":
            refused = public.request(method, path, json={"reads": 4}, headers=foreign)
            assert refused.status_code == 403
    assert not session.calibrator.asked
    with pytest.raises(WebSocketDisconnect):
        public.websocket_connect("/ws/preview").__enter__()


def test_the_routes_are_described(client):
    paths = client.get("/openapi.json").json()["paths"]
    post = paths["/api/calibration"]["post"]
    assert {"202", "409", "422", "503"} <= set(post["responses"])
    assert re.search("stream is paused", post["description"])


def test_a_preview_without_calibration_loads_no_scipy():
    program = (
        "import sys, focalloop.host.live.session, focalloop.host.service.api; "
        "assert not {'scipy', 'focalloop.calibration.fitting'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
