"""`focalloop live` and `serve` as users run them: processes, a pty between them, a page."""

import os
import shutil
import signal
import socket

import numpy as np
import pytest

from focalloop.firmware_sim.emulator.pattern import draw_pattern
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.noise import preset
from focalloop.host.cli.board_memory import remember
from focalloop.models.zoo import ADAPTIVE_BUNDLE
from tests.support.made_calibration import make_calibration
from tests.support.made_windows import write_recording
from tests.support.running import START_TIMEOUT_S, Running, fails, is_running
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle
from tests.support.waiting import wait_until

# Beside other programs, each command may take most of a minute to start.
pytestmark = pytest.mark.timeout(2 * START_TIMEOUT_S)

LIVE = ("live", "--http-port", "0", "--no-open", "--bundle", "network-free")


@pytest.fixture(scope="module")
def live():
    with Running(*LIVE, "--slot-rate", "80") as running:
        yield running


def test_a_real_clip_goes_through_a_real_serial_device_to_the_page(live):
    state = live.state()
    assert state["board"]["simulated"]
    assert state["board"]["url"].startswith("/dev/")
    assert (state["board"]["height"], state["board"]["width"]) == (256, 256)
    assert state["profile"] == "paper"
    assert state["map"]["ratio"] == 0.125
    assert live.document["board"]["url"] == state["board"]["url"]
    assert live.document["map"]["hash"] == state["map"]["hash"]
    wait_until(lambda: live.state()["scores"] is not None)
    assert live.state()["scores"]["psnr_final_db"] > 15  # a picture of the clip, not of noise
    status, page = live.ask("")
    assert status == 200
    assert "<title>focalloop" in page


def test_a_recording_is_played_live(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    windows = write_recording(tmp_path / "a.mcap")
    with Running(*LIVE, "--replay", str(tmp_path / "a.mcap")) as running:
        state = running.state()
    assert state["board"]["replay"]
    assert not state["board"]["simulated"]
    assert state["board"]["serial"] == "s"
    assert state["map"]["hash"] == windows[0].ratio_map.hash_hex


def test_an_adaptive_map_follows_a_scene_within_its_budget():
    words = ("--map", "adaptive", "--budget", "0.05", "--scene", "synthetic", "--size", "64x64")
    with Running(*LIVE[:-2], *words, "--slot-rate", "80") as running:
        wait_until(lambda: running.state()["adaptive"]["windows_under_grid"] > 0)
        state = running.state()
    adaptive = state["adaptive"]
    assert running.document["map"]["budget"] == adaptive["budget"] == 0.05
    assert adaptive["budget_reads"] == int(0.05 * 64 * 64 * 16)
    assert adaptive["windows_over_budget"] == adaptive["grids_refused"] == 0
    assert state["reconstructed_by"] == ADAPTIVE_BUNDLE
    assert "follows the scene within 0.05 of a full readout" in running.complaints


def test_a_kept_correction_is_used_and_said_and_can_be_left_off(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pattern = draw_pattern("scamp5", (64, 96), 1, defects=0.01, serial="bench 1")
    pattern.save(tmp_path / "pattern.npz")
    remember(make_calibration(profile=preset("scamp5")), pattern)
    words = (*LIVE, "--scene", "synthetic", "--profile", "scamp5")
    words += ("--pattern", str(tmp_path / "pattern.npz"))
    scores = []
    for more, by in ([], "what is kept of board bench 1"), (["--uncorrected"], ""):
        with Running(*words, *more) as running:
            state = running.state()
            assert (state["board"]["serial"], state["corrected_by"]) == ("bench 1", by)
            assert running.document["corrected_by"] == by
            wait_until(lambda live=running: live.state()["scores"] is not None)
            scores.append(running.state()["scores"]["psnr_final_db"])
        assert ("corrected by what is kept" in running.complaints) == bool(by)
    assert scores[0] > scores[1]


def test_an_emulator_that_dies_is_started_again(live):
    wait_until(lambda: live.state()["phase"] == "streaming")
    (emulator,) = live.children()
    os.kill(emulator, signal.SIGKILL)
    wait_until(lambda: live.children() not in ([], [emulator]))  # "lost" may pass unseen
    wait_until(lambda: live.state()["phase"] == "streaming")
    seen = live.state()["speed"]["windows_reconstructed"]
    wait_until(lambda: live.state()["speed"]["windows_reconstructed"] > seen + 2)
    assert any("error" in message["level"] for message in live.state()["messages"])
    assert live.children() != [emulator]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_end_leaves_an_emulator_behind(number):
    running = Running(*LIVE, "--scene", "synthetic")
    (emulator,) = running.children()
    code = running.stop(number)
    assert code == (-number if number == signal.SIGKILL else 0)
    wait_until(lambda: not is_running(emulator))
    assert "Traceback" not in running.complaints


def test_a_users_own_bundle_is_shown_whatever_it_was_trained_for(tmp_path):
    rng = np.random.default_rng(0)
    # Of another T and size than usual, without a period, under a coded aperture, and zipped.
    ratio_map = RatioMap.random((40, 48), slots=8).with_aperture(rng.random((8, 40, 48)) < 0.5)
    folder = write_tiny_bundle(
        tmp_path / "mine", ratio_map, network=tiny_network(slots=8, aperture=True)
    )
    path = shutil.make_archive(str(tmp_path / "mine"), "zip", folder)
    words = ("live", "--http-port", "0", "--no-open", "--scene", "synthetic", "--bundle", path)
    with Running(*words) as running:
        state = running.state()
        assert (state["board"]["height"], state["board"]["width"]) == (40, 48)
        assert state["map"]["hash"] == ratio_map.hash_hex
        assert state["map"]["aperture"]
        assert state["bundle"] == state["reconstructed_by"] == path
        wait_until(lambda: running.state()["scores"] is not None)
    assert "Traceback" not in running.complaints


def test_serve_shows_any_board_and_asks_others_for_the_token():
    with Running("emulate", "--size", "64x48", "--slot-rate", "240") as board:
        words = ("serve", "--port", board.url, "--bundle", "network-free", "--http-port", "0")
        with Running(*words, "--http-host", "0.0.0.0", "--token", "a/secret") as service:
            port = service.url.rpartition(":")[2].partition("/")[0]
            service.document["url"] = f"http://127.0.0.1:{port}/"
            assert service.ask("api/state")[0] == 401
            assert service.ask("")[0] == 200
            status, text = service.ask("api/board", Authorization="Bearer a/secret")
            assert status == 200
            assert '"width":64' in text
        wait_until(lambda: is_running(board.process.pid))  # the board goes on without its host


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (("live", "--port", "/dev/nowhere", "--wait", "0", "--no-open"), 1, "/dev/nowhere"),
        (("live", "--bundle", "nowhere", "--no-open"), 2, "bundle 'nowhere'"),
        (("serve", "--port", "/dev/nowhere", "--http-host", "0.0.0.0"), 2, "--token"),
    ],
)
def test_what_cannot_start_is_told_in_one_sentence(words, exit_code, says):
    code, out, errors = fails(*words)
    assert (code, out) == (exit_code, "")
    sentences = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1
    assert says in sentences[0]
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, errors = fails("live", "--http-port", str(port), "--no-open")
    assert code == 1
    assert f"127.0.0.1:{port}" in errors
