"""A lab as it is run: a gateway, and a process for each board."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from benchmarks.preview import DeadViewer
from focalloop import Board
from focalloop.firmware_sim.maps import map_files
from focalloop.firmware_sim.wire import BoardState
from focalloop.host.lab.client import LabError
from focalloop.host.recording.recording import Recording
from tests.support import ROOT
from tests.support.command_line import complaint, run
from tests.support.running import is_running
from tests.support.running_lab import running_lab
from tests.support.served import SHAPE, assert_exact, make_board, make_map
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    boards = {name: make_board(slot_rate_hz=480) for name in ("north", "south")}
    with running_lab(tmp_path_factory.mktemp("lab"), boards) as lab:
        lab.await_streaming("north", "south")
        yield lab


@pytest.fixture
def lease(lab):
    """A lease of the board north."""
    lab.await_streaming("north")
    held = lab.client.lease("a test", "north", wait_s=20)
    yield held
    with suppress(LabError):  # it has ended already
        lab.client.release(held.token)


def upload(lab, lease, ratio_map):
    body = map_files.encode(ratio_map, ".npz")
    return lab.gateway.ask(
        "boards/north/api/map", method="PUT", body=body, **{"Focalloop-Lease": lease.token}
    )


def next_picture(socket):
    """Ask for a picture as a page does, and return the number of its window."""
    socket.send('{"credit": 1, "step": 4}')
    while isinstance(message := socket.recv(timeout=60), str):
        pass
    assert message[0] == 1
    return int.from_bytes(message[12:16], "little")


def map_hash(lab, board="north"):
    return lab.ask(board, "GET", "api/state")["map"]["hash"]


def test_everybody_may_look(lab):
    found = lab.client.boards()
    assert [board["name"] for board in found["boards"]] == ["north", "south"]
    assert found["boards"][0]["tags"] == ["any", "tag-north"]
    assert found["boards"][0]["phase"] == "streaming"
    assert lab.ask("north", "GET", "api/state")["phase"] == "streaming"
    assert b"<!doctype html>" in lab.fetch("boards/south/")
    assert b"import" in lab.fetch("boards/south/web/main.js")
    metrics = lab.fetch("metrics").decode()
    assert 'focalloop_board_up{board="south"} 1.0' in metrics
    assert 'focalloop_windows_received_total{board="north"}' in metrics


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "api/recordings"),
        ("PUT", "api/map"),
        ("PUT", "api/bundle"),
        ("DELETE", "api/calibration"),
        ("DELETE", "api/recordings/20260131T120000Z-0a1b2c"),
    ],
)
def test_nothing_is_changed_without_a_lease(method, path, lab):
    with pytest.raises(LabError, match="changing the board north needs a lease") as refusal:
        lab.ask("north", method, path, {})
    assert refusal.value.status == 403


def test_a_lease_of_another_board_changes_nothing(lab, lease):
    with pytest.raises(LabError, match="is of the board north, not of south") as refusal:
        lab.ask("south", "POST", "api/recordings", {}, lease.token)
    assert refusal.value.status == 403


def test_the_routes_of_the_gateway_are_not_to_be_had_through_it(lab, lease):
    for path in ("lab/stop", "lab/worker", "/lab/stop", "%6cab/stop"):
        with pytest.raises(LabError) as refusal:
            lab.ask("north", "POST", path, None, lease.token)
        assert refusal.value.status in (404, 405)
    assert lab.board("north")["phase"] == "streaming"


@pytest.mark.parametrize("name", ["..", "../x", "..%2fx", "%2e%2e%2fx", "north%00", "x" * 300])
def test_what_is_no_board_has_no_address(name, lab):
    with pytest.raises(LabError) as refusal:
        lab.ask(name, "GET", "api/state")
    assert refusal.value.status == 404


def test_what_a_lease_changed_is_as_before_when_it_is_given_back(lab, lease):
    before = map_hash(lab)
    status, said = upload(lab, lease, make_map(3))
    assert status == 200, said
    assert map_hash(lab) == make_map(3).hash_hex
    lab.ask("north", "POST", "api/recordings", {}, lease.token)
    lab.client.release(lease.token)
    assert map_hash(lab) == before
    wait_until(lambda: (lab.board("north")["recording"] or {}).get("recording") is False)
    with pytest.raises(LabError, match="was given back"):
        lab.ask("north", "POST", "api/recordings", {}, lease.token)


def test_a_recording_has_every_window_as_it_came(lab, lease, tmp_path):
    begun = lab.ask("north", "POST", "api/recordings", {"note": "by a test"}, lease.token)
    wait_until(lambda: lab.board("north")["recording"]["windows"] >= 30)
    done = lab.ask("north", "POST", "api/recordings/stop", None, lease.token)
    assert done["gaps"] == 0
    file = tmp_path / "taken.mcap"
    file.write_bytes(lab.fetch(f"boards/north/api/recordings/{begun['name']}/file"))
    with Recording(file) as recording:
        numbers = []
        for index in range(done["windows"]):
            window = recording.window(index).window
            assert_exact(window)
            numbers.append(window.number)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_raw_line_is_a_board_for_one_client(lab, lease):
    url = lab.client.open_line(lease)
    with Board.open(url) as board:
        board.upload(make_map(5))
        for window in board.capture(3):
            assert_exact(window)
        host, port = url.removeprefix("socket://").rsplit(":", 1)
        with socket.create_connection((host, int(port)), 5) as second:
            assert second.recv(1) == b""
    with Board.open(url) as board:  # one after the other
        assert board.status().map_hash == make_map(5).hash()
    with pytest.raises(LabError, match="is open already") as refusal:
        lab.client.open_line(lease)
    assert refusal.value.status == 409
    lab.client.close_line(lease)
    wait_until(lambda: lab.board("north")["phase"] == "streaming")
    assert map_hash(lab) != make_map(5).hash_hex


def test_the_end_of_a_lease_cuts_its_line(lab):
    lease = lab.client.lease("a test", "north", seconds=2)
    url = lab.client.open_line(lease)
    host, port = url.removeprefix("socket://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5) as client:
        client.settimeout(10)
        while client.recv(1000):
            pass
        with pytest.raises(LabError, match="has ended after 2 s"):
            lab.client.renew(lease.token)
    lab.await_streaming("north")


def test_a_board_that_is_recorded_gives_no_line(lab, lease):
    lab.ask("north", "POST", "api/recordings", {}, lease.token)
    with pytest.raises(LabError, match="is being recorded") as refusal:
        lab.client.open_line(lease)
    assert refusal.value.status == 409


def test_who_waits_is_next(lab, lease):
    with pytest.raises(LabError, match="no board was free within 0 s, at place 1"):
        lab.client.lease("another", "north")
    assert lab.client.boards()["queue"] == []
    eve = lab.client.take_over("north", "eve", "the demonstration begins")
    with pytest.raises(LabError, match="taken over by eve: the demonstration begins"):
        lab.client.look(lease.token)
    lab.client.release(eve.token)
    again = lab.client.lease("another", tags=["tag-north"], wait_s=20)
    assert again.board == "north"
    lab.client.release(again.token)


def test_a_viewer_gets_states_and_pictures_of_a_board(lab):
    with lab.look("south") as socket:
        assert json.loads(socket.recv(timeout=30))["phase"] == "streaming"
        next_picture(socket)
        socket.send("nonsense")
        with suppress(ConnectionClosed):
            while True:
                socket.recv(timeout=30)
        assert (socket.close_code, socket.close_reason) == (1003, "not JSON")
    with pytest.raises(InvalidStatus), lab.look("west"):
        pass


def test_viewers_that_read_nothing_hold_nobody_up(lab, lease):
    lab.ask("north", "POST", "api/recordings", {}, lease.token)
    with ExitStack() as stack:
        url = lab.client.url + "boards/north/"
        dead = [stack.enter_context(closing(DeadViewer(url))) for _ in range(2)]
        live = [stack.enter_context(lab.look("north")) for _ in range(3)]
        seen = [-1, -1, -1]
        for _ in range(20):
            for viewer in dead:
                viewer.ask()
            before, seen = seen, [next_picture(viewer) for viewer in live]
            assert all(new > old for old, new in zip(before, seen, strict=True))
    done = lab.ask("north", "POST", "api/recordings/stop", None, lease.token)
    assert done["gaps"] == 0


def test_who_looks_at_no_picture_has_none_rebuilt(lab):
    with lab.look("south") as socket:
        speeds = [json.loads(socket.recv(timeout=30))["speed"] for _ in range(8)]
    late, last = speeds[4], speeds[-1]  # somebody else may have looked just before
    assert last["windows_received"] > late["windows_received"]
    assert last["windows_reconstructed"] == late["windows_reconstructed"]


def test_the_commands_of_a_user(lab):
    def command(*words):
        done = run("lab", *words, "--lab", lab.client.url)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    lab.await_streaming("north", "south")
    token = command("lease", "--tag", "tag-south", "--seconds", 60, "--name", "ada")
    assert re.search(r"ada, \d+ s", command("boards"))
    assert json.loads(command("renew", "--lease", token, "--seconds", 90, "--json"))["board"] == (
        "south"
    )
    with Board.open(command("line", "--lease", token)) as board:
        assert board.info.shape == SHAPE
    assert command("line", "--lease", token, "--close") == ""
    taken = command("takeover", "south", "--reason", "a demonstration", "--name", "eve")
    assert "taken over by eve: a demonstration" in complaint(
        run("lab", "release", "--lease", token, "--lab", lab.client.url)
    )
    command("release", "--lease", taken)
    assert "north" in command("reload")
    assert "no lab answers at http://127.0.0.1:9/" in complaint(
        run("lab", "boards", "--lab", "http://127.0.0.1:9/")
    )


def test_a_crashed_gateway_stops_no_recording_and_keeps_leases(lab, lease):
    lab.ask("north", "POST", "api/recordings", {}, lease.token)
    before = {name: lab.pid(name) for name in ("north", "south")}
    assert (lab.state / "leases.json").stat().st_mode & 0o077 == 0
    wait_until(lambda: lab.board("north")["recording"]["windows"])
    lab.crash()
    recording = lab.ask("north", "POST", "api/recordings/stop", None, lease.token)
    assert recording["gaps"] == 0
    assert "goes on" not in lab.ask("north", "GET", "api/recordings")["recordings"][0]["note"]
    assert {name: lab.pid(name) for name in ("north", "south")} == before


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with its gateway"])
def test_a_crashed_worker_is_started_again_and_records_on(alone, lab, lease):
    south, north = lab.pid("south"), lab.pid("north")
    body = {"note": "by a test"}
    cut_off = lab.ask("north", "POST", "api/recordings", body, lease.token)["name"]
    wait_until(lambda: lab.board("north")["recording"]["windows"])
    restarts = lab.board("north")["restarts"] if alone else 0
    if alone:
        os.kill(north, signal.SIGKILL)
    else:
        lab.crash("north")
    wait_until(lambda: (lab.board("north")["recording"] or {"name": cut_off})["name"] != cut_off)
    assert lab.pid("north") != north
    assert lab.pid("south") == south
    assert (lab.board("north")["restarts"] > restarts) == alone
    lab.client.release(lease.token)
    listed = {each["id"]: each for each in lab.ask("north", "GET", "api/recordings")["recordings"]}
    assert listed[cut_off]["recovered"]
    newest = listed[max(listed)]
    assert newest["note"] == "by a test (goes on after a crash of its worker)"


def test_a_crashed_pool_is_started_again_and_stops_no_recording(lab, lease):
    lab.ask("north", "POST", "api/recordings", {}, lease.token)
    pool, workers = lab.pool(), [lab.pid("north"), lab.pid("south")]
    with lab.look("north") as socket:
        before = next_picture(socket)
        os.kill(pool, signal.SIGKILL)
        while (after := next_picture(socket)) <= before or lab.pool() in (None, pool):
            before = after
    done = lab.ask("north", "POST", "api/recordings/stop", None, lease.token)
    assert done["gaps"] == 0
    assert [lab.pid("north"), lab.pid("south")] == workers


def test_boards_come_and_go_without_a_restart(lab):
    north, south = lab.pid("north"), lab.pid("south")
    lab.describe(["north"])
    assert [board["name"] for board in lab.client.reload()["boards"]] == ["north"]
    wait_until(lambda: not is_running(south))
    with pytest.raises(LabError, match="there is no board 'south' here; there are: north"):
        lab.ask("south", "GET", "api/state")
    lab.file.write_text("[boards.north")
    with pytest.raises(LabError, match="is not a TOML file"):
        lab.client.reload()
    lab.describe(["north", "south"])
    lab.gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(lab.client.boards()["boards"]) == 2)
    lab.await_streaming("south")
    pool = lab.pool()
    described = lab.file.read_text()
    lab.file.write_text(
        f"{described}\n[lab]\nrebuilders = 7\n[boards.gone]\nserial = 'no such board'"
    )
    lab.client.reload()
    wait_until(lambda: lab.pool() not in (None, pool))
    why = "gone: no board with the serial number no such board is plugged in"
    wait_until(lambda: why in run("lab", "boards", "--lab", lab.client.url).stdout)
    lab.file.write_text(described)
    lab.client.reload()
    assert lab.pid("north") == north


TESTS = """
import pytest

pytestmark = pytest.mark.focalloop("tag-north")

def test_good(focalloop_board):
    assert len(focalloop_board.capture(2)) == 2

def test_bad(focalloop_board):
    windows = focalloop_board.capture(3)
    assert not windows
"""


def test_the_fixture_leases_a_board_and_keeps_what_a_failed_test_took(lab, tmp_path):
    lab.await_streaming("north")
    (tmp_path / "test_it.py").write_text(TESTS)
    options = f"-c {os.devnull} --rootdir {tmp_path} -p no:focalloop -p no:cacheprovider".split()
    options += ["-p", "focalloop.host.lab.pytest_plugin", "--junitxml=report.xml"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_it.py"],
        cwd=tmp_path,
        env=os.environ | {"FOCALLOOP_LAB": lab.client.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    [kept] = (tmp_path / "focalloop-recordings").iterdir()
    assert kept.name.startswith("test_it.py-test_bad-")
    assert f"the windows of this test, of north, are in focalloop-recordings/{kept.name}" in (
        done.stdout
    )
    assert f'value="focalloop-recordings/{kept.name}"' in (tmp_path / "report.xml").read_text()
    with Recording(kept) as recording:
        for index in range(3):
            assert_exact(recording.window(index).window)
    assert lab.board("north")["lease"] is None


def test_two_labs_do_not_share_their_boards(lab):
    said = complaint(run("lab", lab.file, "--state", lab.state, "--http-port", 0))
    assert "another lab service runs with the state folder" in said


def test_sigterm_leaves_every_board_idle_under_its_resting_map(lab, lease):
    lab.client.release(lease.token)
    resting = map_hash(lab)
    lease = lab.client.lease("a test", "north")
    upload(lab, lease, make_map(3))
    lab.ask("north", "POST", "api/recordings", {}, lease.token)
    pids = [lab.pid(name) for name in ("north", "south")]
    assert lab.stop() == 0
    wait_until(lambda: not any(map(is_running, pids)))
    with Board.open(lab.urls["north"]) as board:
        status = board.status()
        assert status.map_hash.hex() == resting
        assert status.state is BoardState.IDLE
    kept = {file.suffix for file in (lab.folder / "recordings" / "north").iterdir()}
    assert ".mcap" in kept
    assert ".unfinished" not in kept
