"""`focalloop live --radio` as users run it, over networks of which the transform is known."""

import json
import subprocess
import sys

import pytest

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from tests.support import ROOT
from tests.support.command_line import run
from tests.support.radio_networks import write_radio_bundle
from tests.support.running import START_TIMEOUT_S, Running
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.waiting import wait_until

SIZE = "64x48"

PROGRAM = """
import json, sys, time
from focalloop.host.cli.emulator_process import EmulatorProcess
from focalloop.host.live.radio_link import RadioLink
from focalloop.host.live.session import LiveSession

bundle, model, size = sys.argv[1:]
link = RadioLink("semcom", "awgn", 10.0, model=model)
with LiveSession(EmulatorProcess(f"--size={size}"), bundle=bundle, radio=link) as session:
    while link.state().windows_sent < 3 and session.failure is None:
        time.sleep(0.1)
print(json.dumps([link.state().problem, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Paths of the bundle that senses and of the networks of the link."""
    folder = tmp_path_factory.mktemp("networks")
    ratio_map = RatioMap.load("tile-2of16", shape=(48, 64))
    sensing = write_tiny_bundle(folder / "tiny", ratio_map)
    return sensing, write_radio_bundle(folder / "radio", ratio_map)


@pytest.fixture(scope="module")
def live(networks):
    bundle, model = map(str, networks)
    words = ("live", "--http-port", "0", "--no-open", "--size", SIZE, "--bundle", bundle)
    sent = ("--radio", "semcom", "--snr", "12", "--max-papr", "6", "--model", model)
    with Running(*words, *sent) as running:
        yield running


def radio(live):
    return live.state()["radio"]


def choose(live, **changes):
    body = radio(live)["choice"] | changes
    return put(live, "api/radio", json.dumps(body).encode(), "application/json")


def put(live, path, body, kind):
    return live.ask(path, method="PUT", body=body, **{"Content-Type": kind})


def test_what_starts_says_how_its_windows_are_sent(live):
    assert live.document["radio"] == {
        "method": "semcom", "channel": "awgn", "snr_db": 12.0, "symbols": round(0.2 * 48 * 64)
    }  # fmt: skip
    wait_until(lambda: "First picture" in live.complaints)
    assert "semcom over awgn at 12 dB, 614 symbols per window" in live.complaints


def test_windows_come_over_the_link(live):
    wait_until(lambda: radio(live)["windows_sent"] > 3)
    state = radio(live)
    assert state["choice"] == {
        "method": "semcom", "channel": "awgn", "snr_db": 12.0, "symbols": round(0.2 * 48 * 64)
    }  # fmt: skip
    parts = [state[f"{part}_symbols"] for part in ("payload", "rate_map", "header")]
    assert 0.95 * state["choice"]["symbols"] <= sum(parts) <= state["choice"]["symbols"]
    assert [len(row) for row in state["rate_map"]] == [4, 4, 4]
    assert (state["windows_lost"], state["problem"]) == (0, "")


def test_the_snr_and_the_symbols_of_the_next_windows_are_set(live):
    status, _ = choose(live, snr_db=30.0, symbols=1100)
    assert status == 200
    wait_until(lambda: radio(live)["windows_sent"] > 1)
    state = radio(live)
    assert 900 < state["payload_symbols"] <= 1100
    assert state["choice"]["snr_db"] == 30.0
    wait_until(lambda: (live.state()["scores"] or {}).get("radio") == state["choice"])


def test_windows_under_another_map_come_without_the_link_and_that_is_said(live, tmp_path):
    RatioMap.load("fixed-2of16", shape=(48, 64)).save(tmp_path / "other.npz")
    body = (tmp_path / "other.npz").read_bytes()
    assert put(live, "api/map", body, "application/x-npz")[0] == 200
    wait_until(lambda: "not under this one" in radio(live)["problem"])
    seen = live.state()["speed"]["windows_reconstructed"]
    wait_until(lambda: live.state()["speed"]["windows_reconstructed"] > seen)
    assert radio(live)["payload_symbols"] is None


def test_neither_torch_nor_what_needs_it_is_loaded(networks):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, networks), SIZE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    problem, modules = json.loads(done.stdout)
    assert problem == ""
    assert "onnxruntime" in modules
    assert not {"torch", "sionna", "sigmf", "matplotlib"} & set(modules)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--radio", "semcom", "--snr", "nan"), "--snr"),
        (("--radio", "semcom", "--snr", "41"), "--snr"),
        (("--radio", "morse"), "morse"),
        (("--radio", "semcom", "--model", "nowhere"), "no radio bundle 'nowhere'"),
        (("--radio", "semcom", "--model", "radio-codec-edge"), "of kind 'codec', where one of"),
        (("--radio", "compr-ldpc", "--model", "radio-semcom"), "of kind 'semcom', where one of"),
        (("--snr", "5"), "is for --radio"),
        (("--symbols", "500"), "is for --radio"),
        (("--max-papr", "6"), "is for --radio"),
    ],
)
def test_what_no_link_can_be_set_to_is_wrong_usage(words, says):
    result = run("live", "--no-open", *words)
    assert result.exit_code == 2
    assert says in result.output
