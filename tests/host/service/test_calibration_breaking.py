"""A calibration that is done wrong: requests out of turn, two pages at once, a cable pulled out."""

import json
import random
from collections import Counter
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.settings import BoardSettings
from focalloop.host.live import session as live_session
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.session import LiveSession
from focalloop.host.service.api import create_app
from tests.support.lamp import Lamp
from tests.support.made_calibration import PROFILE
from tests.support.served import free_port, on_tcp
from tests.support.waiting import wait_until

SHAPE = (16, 24)
MAP = RatioMap.uniform(2, SHAPE)
STEPS = ("start", "proceed", "apply", "undo", "discard", "cancel")


class Bench:
    """A session over a board on a cable, and a page of it."""

    def __init__(self, stack):
        self._board = VirtualBoard(
            Lamp(SHAPE), BoardSettings(profile=PROFILE, seed=3, slot_rate_hz=4800.0)
        )
        self._board.warm_up()
        self._port, self._cable = free_port(), stack.enter_context(ExitStack())
        self.connect()
        self.session = stack.enter_context(
            LiveSession(
                BoardAt(f"socket://127.0.0.1:{self._port}"), bundle="network-free", ratio_map=MAP
            )
        )
        wait_until(lambda: self.session.picture() is not None, 60)
        self.page = TestClient(create_app(self.session))

    def connect(self):
        self._cable.enter_context(on_tcp(self._board, port=self._port))

    def disconnect(self):
        self._cable.close()

    def state(self):
        return self.page.get("/api/state").json()["calibration"]

    @property
    def runs(self):
        return self.session.calibrator.state().running

    def ask(self, step, turn=None):
        """The status of the answer, which says why if it is a refusal."""
        path = {"start": "", "cancel": ""}.get(step, f"/{step}")
        query = "" if turn is None else f"?turn={turn}"
        answer = self.page.request(
            "DELETE" if step == "cancel" else "POST",
            f"/api/calibration{path}{query}",
            json={"reads": 2} if step == "start" else None,
        )
        if answer.status_code >= 400:
            assert answer.status_code in {409, 422, 503}, answer.text
            assert answer.json()["detail"].endswith(".")
        return answer.status_code


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(live_session, "RECONNECT_TIMEOUT_S", 0.2)
        yield Bench(stack)


@pytest.mark.parametrize(
    "turn", ["-1", "", "x", "1.5", "1e3", "9" * 5000, "null", "%00", "0&turn=-1", "NaN"]
)
@pytest.mark.parametrize("step", STEPS)
def test_a_turn_that_is_none_is_refused_and_changes_nothing(bench, step, turn):
    if step == "cancel":  # whatever is going on
        turn = 0
    before = bench.state()
    assert bench.ask(step, turn) in {409, 422}
    assert bench.state() == before


def test_whatever_is_asked_for_the_board_can_be_calibrated_afterwards(bench):
    rng, answered, seen = random.Random(0), Counter(), Counter()
    for request in range(70):
        state = bench.state()
        seen[state["phase"]] += 1
        step = rng.choices(STEPS, (6, 3, 3, 3, 1, 1))[0]
        turn = rng.choice([None, state["turn"], state["turn"], rng.randrange(100)])
        answered[step, bench.ask(step, turn)] += 1
        if request == 30:
            bench.disconnect()
        if request == 40:
            wait_until(lambda: bench.session.state().phase == "lost")
            bench.ask("cancel")
            wait_until(lambda: bench.session.state().board is None and not bench.runs)
            assert bench.ask("start") == 503
            bench.connect()
        if rng.random() < 0.1:
            wait_until(lambda: bench.state()["phase"] != "running")
        json.dumps(bench.state(), allow_nan=False)
    assert seen["done"]
    assert answered["start", 202]

    wait_until(lambda: bench.session.state().phase in {"streaming", "calibrating"})
    if bench.runs:
        assert bench.ask("cancel") == 200
    wait_until(lambda: not bench.runs)
    window = bench.session.picture().window
    wait_until(lambda: bench.session.picture().window != window)
    assert bench.session.ratio_map.hash() == MAP.hash()
    assert bench.ask("start", bench.state()["turn"]) == 202
    wait_until(lambda: bench.state()["phase"] == "done", 60)
    assert bench.ask("apply", bench.state()["turn"]) == 200
    assert bench.session.state().corrected_by == "the calibration of this session"
    assert bench.ask("undo", bench.state()["turn"]) == 200
    assert bench.ask("discard", bench.state()["turn"]) == 200
    assert bench.session.failure is None
