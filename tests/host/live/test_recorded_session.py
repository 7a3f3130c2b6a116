"""A session that is recorded unattended, whatever its line and other programs do."""

from itertools import pairwise

import pytest

from focalloop.firmware_sim.faults import Faults
from focalloop.host.board.client import Board
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.session import LiveSession
from focalloop.host.live.state import Phase
from focalloop.host.recording.store import RecordingStore
from tests.support.served import assert_exact, make_board, make_map, on_pty, on_tcp
from tests.support.waiting import wait_until


@pytest.fixture
def store(tmp_path):
    return RecordingStore(tmp_path / "recordings", floor_bytes=0)


def unattended(url, store=None):
    return LiveSession(
        BoardAt(url),
        bundle="network-free",
        ratio_map=make_map(),
        recordings=store,
        unattended=True,
    )


def await_windows(session, count):
    wait_until(lambda: session.recordings.state().windows >= count)


def recorded(store):
    """The windows of the only recording, each of which holds what the board sent."""
    [entry] = store.recordings()
    with store.open(entry.id) as recording:
        windows = list(recording.windows())
    for window in windows:
        assert_exact(window)
    return windows


def test_what_a_bad_line_brings_is_right_or_not_there(store):
    faults = Faults.parse("flips=1e-5, drops=1e-5, stall=every 700 ms for 50 ms, seed=1")
    with (
        on_tcp(make_board(slot_rate_hz=960), faults=faults) as server,
        unattended(server.url, store) as session,
    ):
        wait_until(lambda: session.state().phase is Phase.STREAMING)
        session.recordings.start()
        for number in range(3):
            await_windows(session, 20 * (number + 1))
            server.inject("reset")
        await_windows(session, 80)
        session.recordings.stop()
    numbers = [window.number for window in recorded(store)]
    restarts = sum(later <= earlier for earlier, later in pairwise(numbers))
    assert restarts == 3
    assert len(numbers) >= 80


def test_while_it_is_recorded_the_line_brings_windows_alone(store, monkeypatch):
    asked, over_the_line = [], Board.scene

    def scene(board, window, first_slot=0, step=1):
        asked.append(window)
        return over_the_line(board, window, first_slot, step)

    monkeypatch.setattr(Board, "scene", scene)
    with (
        on_tcp(make_board(slot_rate_hz=480)) as server,
        unattended(server.url, store) as session,
    ):

        def await_picture(truth):
            before = -1 if session.picture() is None else session.picture().window
            wait_until(
                lambda: (
                    (picture := session.picture())
                    and picture.window > before
                    and (picture.truth is not None) == truth
                )
            )

        session.want(store, 4)
        await_picture(truth=True)
        session.recordings.start()
        await_picture(truth=False)
        await_windows(session, 5)
        session.recordings.stop()
        await_picture(truth=True)
    assert not {window.number for window in recorded(store)} & set(asked)


def test_a_second_service_is_told_and_does_not_disturb_the_first(store):
    with (
        on_pty(make_board(slot_rate_hz=960)) as server,
        unattended(server.url, store) as session,
    ):
        wait_until(lambda: session.state().phase is Phase.STREAMING)
        session.recordings.start()
        await_windows(session, 10)
        with unattended(server.url) as second:
            wait_until(lambda: second.state().messages)
            assert "another program" in second.state().messages[-1].text
            await_windows(session, session.recordings.state().windows + 20)
        assert session.recordings.stop().gaps == 0
    numbers = [window.number for window in recorded(store)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
