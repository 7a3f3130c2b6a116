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
from hypothesis import HealthCheck, given, settings, strategies as st
from starlette.websockets import WebSocketDisconnect

from focalloop.calibration import CalibrationError, Estimate
from focalloop.firmware_sim.fixed_pattern import FixedPattern
from focalloop.firmware_sim.noise import NoiseProfile
from focalloop.host.errors import BoardLostError, CaptureError
from focalloop.host.live.calibration_state import (
    CalibrationPhase,
    CalibrationState,
    MarkState,
    StepState,
    fit_state,
)
from focalloop.host.live.calibrator import MAX_READS, CalibratorError
from focalloop.host.live.light_meter import LightState
from focalloop.host.service.api import create_app
from focalloop.host.service.binding import host_names
from tests.support.fake_session import FakeSession, make_picture
from tests.support.made_calibration import LEVELS, S_SS, make_calibration


def test_a_calibration_is_started_and_controlled(client, session):
    assert client.post("/api/calibration", json={"reads": 8}).status_code == 202
    assert client.post("/api/calibration?turn=3", json={}).status_code == 202
    for path in ("proceed", "apply", "undo", "discard"):
        assert client.post(f"/api/calibration/{path}?turn=5").status_code == 200
    assert client.delete("/api/calibration").json()["phase"] == "idle"
    assert session.calibrator.asked == [
        ("start", 8, None),
        ("start", 4, 3),
        ("proceed", 5),
        ("apply", 5),
        ("undo", 5),
        ("discard", 5),
        ("cancel",),
    ]


def test_what_will_be_captured_is_told_before_the_start(client, session):
    plan = client.get("/api/calibration/plan?reads=8").json()
    assert session.calibrator.asked == [("plan", 8)]
    assert plan["windows"] == sum(step["windows"] for step in plan["steps"]) == 14
    assert plan["steps"][0] == {"light": 0.0, "level": 1, "windows": 4}
    for reads in (1, MAX_READS + 1, "many"):
        answer = client.get(f"/api/calibration/plan?reads={reads}")
        assert answer.status_code == 422
        assert answer.json()["detail"].endswith(".")


def test_the_light_is_judged_by_the_windows_that_stream(client, session):
    assert client.get("/api/calibration/light").json() is None  # no window yet
    picture = make_picture(1, session.ratio_map)
    session.put(replace(picture, readout=np.full_like(picture.readout, 30_000)))
    light = client.get("/api/calibration/light").json()
    assert light["signal"] == pytest.approx((30_000 - 4096) / 49_152)
    assert (light["mood"], light["saturated"], light["unevenness"]) == ("good", 0.0, 0.0)
    session.put(replace(picture, window=2, readout=np.full_like(picture.readout, 65_535)))
    light = client.get("/api/calibration/light").json()
    assert (light["mood"], light["saturated"]) == ("bad", 1.0)
    assert light["sentences"][0] == "Too bright: 100.0 % of the reads are saturated."
    session.calibrator.now = CalibrationState(CalibrationPhase.RUNNING)
    assert client.get("/api/calibration/light").json() is None  # the stream is paused
    session.calibrator.shown_light = LightState(0.0, 0.0, 0.0, None, None, "good", ("Dark.",))
    assert client.get("/api/calibration/light").json()["sentences"] == ["Dark."]


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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_accepted_or_refused_with_a_sentence(client, session, value):
    session.calibrator.asked.clear()
    answer = client.post("/api/calibration", json={"reads": value})
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
    for path, body in (
        ("", {"reads": 4}),
        ("/proceed", None),
        ("/apply", None),
        ("/undo", None),
        ("/discard", None),
    ):
        answer = client.post(f"/api/calibration{path}", json=body)
        assert answer.status_code == status
        assert str(error)[1:] in answer.json()["detail"]


def test_without_a_result_there_is_nothing_to_save(client, session):
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
        activity="fitting",
        windows=20,
        windows_total=24,
        fit=fit,
        trail=({"s_ss": MarkState(S_SS, 4.90e-3, 5.00e-3)},),
    )
    state = client.get("/api/state").json()["calibration"]
    assert (state["phase"], state["windows"], state["windows_total"]) == ("running", 20, 24)
    assert [point["signal"] for point in state["fit"]["points"]] == [at.signal for at in LEVELS]
    assert [point["used"] for point in state["fit"]["points"]] == [True] * 6 + [False]
    assert state["fit"]["estimates"]["s_ss"] == {
        "title": "Shot noise, s_ss",
        "meaning": "standard deviation at full scale, in units of full scale",
        "value": S_SS,
        "low": 4.90e-3,
        "high": 5.00e-3,
        "unit": "",
        "text": "0.004950",
        "interval": "0.004900 … 0.005000",
    }
    assert state["trail"] == [{"s_ss": {"value": S_SS, "low": 4.90e-3, "high": 5.00e-3}}]
    assert state["fit"]["warnings"] == ["Row noise."]
    assert state["fit"]["mood"] == "warn"
    assert state["fit"]["correction"] == "64x48, 0 defective pixels"
    assert state["fit"]["defects"] == {"hot": 0, "dead": 0, "stuck": 0}
    for shown, level in zip(state["fit"]["points"], LEVELS, strict=True):
        off = (level.variance_dn2 - level.model_variance_dn2) / level.variance_error_dn2
        assert shown["residual"] == pytest.approx(off)
        half = (shown["high_dn2"] - shown["low_dn2"]) / 2
        assert half == pytest.approx(1.96 * level.variance_error_dn2, rel=1e-3)


def test_a_result_without_a_correction_says_why():
    fit = fit_state(make_calibration(pattern=CalibrationError("too many defects")), 4)
    assert (fit.correction, fit.defects) == ("too many defects", {})


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
    mark = {name: MarkState(0.0123456789, 0.0123456789, 0.0123456789) for name in ("s_ss", "s_r")}
    steps = (StepState(0.9, 1, 4),) * 9
    state = CalibrationState(fit=fit, trail=(mark,) * 9, steps=steps)
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
        ("POST", "/api/calibration/undo"),
        ("POST", "/api/calibration/discard"),
        ("GET", "/api/calibration/plan"),
        ("GET", "/api/calibration/light"),
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
