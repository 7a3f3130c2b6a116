"""An adaptive map in a live session: it follows the scene within its budget, or says why not."""

import threading
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from focalloop.firmware_sim.allocation import BudgetError
from focalloop.firmware_sim.block_features import FEATURES
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.checks import RatioMapError
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import (
    FLAG_ERROR,
    FLAG_RESPONSE,
    ErrorAnswer,
    ErrorCode,
    Feature,
    HelloAnswer,
    MessageType,
)
from focalloop.host.adaptive.controller import Controller, Seen
from focalloop.host.adaptive.network import BlockNetwork
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, UnknownMapError
from focalloop.host.live import adaptive_loop
from focalloop.host.live.adaptive_loop import AdaptiveLoop
from focalloop.host.live.board_source import BoardAt
from focalloop.host.live.session import LiveSession
from tests.support.lying_board import LyingBoard, with_body
from tests.support.served import SHAPE, expected_codes, make_board, make_map, on_pty, on_tcp
from tests.support.tiny_bundle import tiny_network, write_tiny_bundle
from tests.support.waiting import wait_until

SLOT_RATE_HZ = 160.0
"""Ten windows per second, so that a busy machine rebuilds them in time."""

TILES = np.array([[[1, 0], [0, 0]], [[1, 0], [0, 1]], [[1, 1], [1, 1]], [[8, 4], [4, 8]]], np.uint8)
ONCE = 1 / 16


class Network(BlockNetwork):
    """Expects that reads help in half of the blocks, by their features; it can be held up."""

    def __init__(self):
        super().__init__(())
        object.__setattr__(self, "go", threading.Event())
        self.go.set()

    @property
    def inputs(self):
        return FEATURES

    def __call__(self, features):
        assert self.go.wait(30)
        total = features.sum(axis=0)
        helped = total > np.median(total)
        return np.float32(-2 * helped * np.arange(len(TILES))[:, None, None])


def controller():
    """Choose among four tiles, the third of which is at rest."""
    palette = AdaptiveMap(RatioMap.from_tile(TILES[2], (16, 16)), TILES, 8)
    return Controller(palette, Network(), 0.0, None, {})


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    """Motion is followed although these boards show another scene in every window."""
    monkeypatch.setattr("focalloop.host.adaptive.controller.UNREST", np.inf)


@pytest.fixture(scope="module")
def universal(tmp_path_factory):
    """A bundle for any map."""
    folder = tmp_path_factory.mktemp("bundles") / "any"
    return str(write_tiny_bundle(folder, network=tiny_network(factor=0.03), reach=3))


@pytest.fixture
def following(universal):
    """Start sessions, each over the URL of a board."""
    with ExitStack() as stack:

        def start(url, loop, **options):
            options.setdefault("bundle", universal)
            return stack.enter_context(LiveSession(BoardAt(url), adaptive=loop, **options))

        yield start


def collected(session):
    """Return a list that gets a picture of every window of a session, which one watches."""
    pictures = []
    session.want(pictures, 4)
    session.subscribe(lambda: pictures.append(session.picture()))
    return pictures


def assert_whole(picture, adaptive_map):
    """Fail unless a picture was read under the grid that it names."""
    grid = picture.grid
    read_under = adaptive_map.resting if grid is None else adaptive_map.compose(grid)
    assert picture.map_hash == read_under.hash()
    np.testing.assert_array_equal(picture.readout, expected_codes(read_under, picture.window))


def test_the_map_follows_the_scene_within_the_budget(following):
    loop = AdaptiveLoop(controller())
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        session = following(server.url, loop)
        pictures = collected(session)
        wait_until(lambda: loop.state().windows_under_grid >= 10)
        setups = {picture.setup for picture in pictures}
        state, adaptive_map = session.state(), session.adaptive_map
    under_grid = [picture for picture in pictures if picture.grid is not None]
    assert len({picture.grid.tobytes() for picture in under_grid}) > 1
    for picture in pictures:
        assert_whole(picture, adaptive_map)
        assert len(picture.readout) <= state.adaptive.budget_reads == SHAPE[0] * SHAPE[1]
    assert setups == {state.setup}  # one map, whatever its grid
    assert state.map.hash == adaptive_map.hash_hex
    assert session.ratio_map == adaptive_map.resting == RatioMap.from_tile(TILES[2], SHAPE)
    counted = state.adaptive
    assert (counted.windows_over_budget, counted.grids_refused) == (0, 0)
    assert min(counted.delays) == 2
    assert sum(counted.delays.values()) == counted.windows_under_grid
    assert counted.choice_ms > 0
    assert (counted.rows, counted.columns, counted.block) == (4, 6, 8)
    assert counted.tile_reads == (0.25, 0.5, 1, 6)


def test_windows_that_nobody_looks_at_lead_the_map_and_are_not_drawn(following):
    loop = AdaptiveLoop(controller())
    drawn = []
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        session = following(server.url, loop, unattended=True)
        session.subscribe(lambda: drawn.append(session.picture().window))
        wait_until(lambda: loop.state().windows_under_grid >= 8)
        assert not drawn
        session.want(drawn, 4)
        wait_until(lambda: drawn)


def test_windows_that_last_long_are_read_under_one_tile_and_it_says_why(following):
    loop = AdaptiveLoop(controller())
    with on_pty(make_board(slot_rate_hz=56)) as server:
        session = following(server.url, loop)
        pictures = collected(session)
        wait_until(lambda: "windows of more than 0.25 s are too long" in loop.state().activity)
    assert all(len(np.unique(one.grid)) == 1 for one in pictures if one.grid is not None)


def test_one_cautious_tile_for_all_blocks_is_not_called_following(following, monkeypatch):
    monkeypatch.setattr("focalloop.host.adaptive.controller.UNREST", -1.0)
    loop = AdaptiveLoop(replace(controller(), cautious=1), 3 * ONCE)
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        following(server.url, loop)
        wait_until(lambda: loop.state().windows_under_grid > 0)
        assert loop.state().activity == adaptive_loop.ONE_TILE


class Driven:
    """A loop over a board without a slot rate, which exposes a window when another is taken."""

    def __init__(self, board):
        self.chooser = controller()
        self.loop = AdaptiveLoop(self.chooser)
        self.adaptive_map = board.upload(self.loop.fitted_to(board.info))
        self.told, self.seen = [], []
        self.loop.follow(board, self.adaptive_map, self.told.append)
        self.windows = board.stream(1)
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def take(self, video=None):
        """Take a window through the loop, with a noisy video or this one; return its grid."""
        window = next(self.windows)
        self.loop.received(window)
        if video is None:
            rng = np.random.default_rng(window.number)
            video = rng.random((16, *SHAPE), np.float32) / 20
        grid = None if window.grid is None else self.adaptive_map.grid(window.grid[1])
        at_rest = np.full(self.adaptive_map.grid_shape, 2, np.uint8)
        self.seen.append(Seen(video, at_rest if grid is None else grid))
        self.loop.rebuilt(window, video)
        return grid

    def take_settled(self, video=None):
        """Take a window, and wait for what is chosen from it."""
        before = self.loop.state()
        grid = self.take(video)
        wait_until(
            lambda: (
                self.loop.state().grids_taken > before.grids_taken
                or self.loop.state().windows_not_used > before.windows_not_used
            )
        )
        return grid


@pytest.fixture
def driven():
    """A driven loop over a served board."""
    with on_tcp() as server, Board.open(server.url, on_event=lambda text: None) as board:
        made = Driven(board)
        made.server, made.board = server, board
        yield made
        made.loop.close()
        made.thread.join()
        made.windows.close()


def test_every_grid_is_the_choice_from_two_windows_before(driven):
    grids = [driven.take_settled() for _ in range(10)]
    assert grids[:3] == [None] * 3
    chooser = replace(controller(), adaptive_map=driven.adaptive_map)
    for number in range(3, 10):
        wanted = chooser.next_grid(driven.seen[: number - 1], SHAPE[0] * SHAPE[1])
        np.testing.assert_array_equal(grids[number], wanted)
    assert driven.loop.state().delays == {2: 7}


def test_a_controller_that_falls_behind_lets_the_map_rest_and_goes_on(driven):
    for _ in range(6):
        driven.take_settled()
    go = driven.chooser.network.go
    go.clear()
    standing = [driven.take() for _ in range(9)]  # none waits for the controller
    assert {grid.tobytes() for grid in standing[2:]} == {standing[-1].tobytes()}
    go.set()
    wait_until(lambda: driven.loop.state().grids_taken == 6)  # five choices, and the rest
    assert driven.told == [adaptive_loop.BEHIND]
    state = driven.loop.state()
    assert (state.grids_late, state.grids_refused) == (1, 0)
    assert list(state.delays) == list(range(2, 10))
    after = [driven.take_settled() for _ in range(5)]
    assert after[2] is None  # three windows later
    assert after[4] is not None
    assert driven.loop.state().activity == adaptive_loop.FOLLOWS
    assert driven.loop.state().grids_refused == 0


def test_after_a_change_of_the_scene_the_map_rests_for_one_window(driven):
    ramp = np.broadcast_to(np.linspace(0.1, 1, SHAPE[1], dtype=np.float32), (16, *SHAPE))
    dark, bright = ramp / 10, ramp
    grids = [driven.take_settled(light) for light in (dark, dark, dark, bright)]
    assert driven.loop.state().activity == adaptive_loop.CHANGED
    grids += [driven.take_settled(bright) for _ in range(3)]
    assert [grid is None for grid in grids] == [True, True, True, False, False, True, False]


def test_what_was_chosen_before_a_reset_names_no_window_after_it(driven):
    for _ in range(9):
        driven.take_settled()
    driven.chooser.network.go.clear()
    driven.take()
    driven.server.inject("reset", 0.0)
    wait_until(lambda: driven.board.stats.reconnects == 1 and driven.board.state == "connected")
    taken = driven.loop.state().grids_taken
    driven.chooser.network.go.set()
    while driven.take() is not None:
        pass  # windows of before that had arrived
    assert driven.loop.state().grids_taken == taken
    assert any(driven.take_settled() is not None for _ in range(12))  # a busy machine is late
    assert driven.loop.state().grids_refused == 0


def test_a_board_that_was_reset_unnoticed_is_not_complained_of(driven, monkeypatch):
    def refuse(window, grid):
        raise BoardError("GRID", ErrorCode.NO_MAP, "no adaptive map is active")

    monkeypatch.setattr(driven.board, "set_grid", refuse)
    for _ in range(3):
        driven.take_settled()
    state = driven.loop.state()
    assert (state.grids_late, state.grids_refused, driven.told) == (0, 0, [])
    assert state.windows_not_used == 3


def test_a_map_at_rest_keeps_a_smaller_budget():
    loop = AdaptiveLoop(controller(), 0.6 * ONCE)
    with on_pty(make_board()) as server, LiveSession(BoardAt(server.url), adaptive=loop) as session:
        wait_until(lambda: loop.state().windows > 0)
        assert session.ratio_map == RatioMap.from_tile(TILES[1], SHAPE)
        assert loop.state().windows_over_budget == 0


@pytest.mark.parametrize("budget", [0.0, 0.2 * ONCE, 6.1 * ONCE, float("nan")])
def test_a_budget_that_no_choice_meets_is_refused_with_what_can_be_met(budget):
    with pytest.raises(BudgetError, match=r"read 0\.0156 to 0\.375 of a full readout"):
        AdaptiveLoop(controller(), budget)


def without_feature(frame):
    """Lie that a board has no adaptive maps."""

    def features(body):
        hello = HelloAnswer.unpack(body)
        return replace(hello, features=hello.features & ~Feature.ADAPTIVE).pack()

    return with_body(features)(frame) if frame.type == MessageType.HELLO else (frame,)


class NoRoom:
    """Refuse every second object of an upload, which is a palette after a map."""

    begun = 0

    def __call__(self, frame):
        self.begun += frame.type == MessageType.UPLOAD_BEGIN
        if frame.type != MessageType.UPLOAD_BEGIN or self.begun != 2:
            return (frame,)
        body = ErrorAnswer(ErrorCode.TOO_LARGE, "no room").pack()
        return (replace(frame, flags=FLAG_RESPONSE | FLAG_ERROR, body=body),)


@pytest.mark.parametrize(
    ("lie", "why"), [(without_feature, "cannot run an adaptive map"), (NoRoom(), "no room")]
)
def test_a_board_that_cannot_follow_runs_the_resting_map(following, lie, why):
    loop = AdaptiveLoop(controller())
    with on_tcp(LyingBoard(lie, slot_rate_hz=SLOT_RATE_HZ)) as server:
        session = following(server.url, loop)
        wait_until(lambda: session.picture() is not None)
        state = session.state()
        if lie is without_feature:
            with pytest.raises(RatioMapError, match=why):
                session.follow_scene()
    assert session.ratio_map == RatioMap.from_tile(TILES[2], SHAPE)
    assert session.adaptive_map is None
    assert (state.adaptive.active, state.adaptive.activity) == (False, adaptive_loop.STATIC)
    said = [message.text for message in state.messages if message.level == "warning"]
    assert any(why in text and "resting map runs" in text for text in said)
    assert (state.adaptive.rows, state.adaptive.columns) == (4, 6)  # of this board


def test_another_map_ends_it_until_it_is_asked_for_again(following):
    loop = AdaptiveLoop(controller())
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        session = following(server.url, loop)
        wait_until(lambda: loop.state().windows_under_grid > 0)
        session.upload(make_map())
        state = session.state()
        assert (state.adaptive.active, state.map.hash) == (False, make_map().hash_hex)
        wait_until(lambda: session.picture().map_hash == make_map().hash())
        assert loop.state().activity == adaptive_loop.STATIC
        under_grid = loop.state().windows_under_grid
        session.follow_scene()
        assert session.state().map.hash == session.adaptive_map.hash_hex
        wait_until(lambda: loop.state().windows_under_grid > under_grid)
        assert session.failure is None


def test_a_session_without_an_adaptive_map_cannot_follow(following):
    with on_pty() as server, pytest.raises(UnknownMapError, match="no adaptive map"):
        following(server.url, None).follow_scene()


def test_without_a_network_the_map_rests(following):
    loop = AdaptiveLoop(controller())
    with on_pty(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        session = following(server.url, loop)
        wait_until(lambda: loop.state().activity == adaptive_loop.FOLLOWS)
        session.select("network-free")
        wait_until(lambda: loop.state().activity == adaptive_loop.NO_NETWORK)
        wait_until(lambda: session.picture().grid is None)


@pytest.mark.parametrize("event", ["disconnect", "reset"])
def test_a_line_that_drops_while_grids_fly_gives_no_wrong_window(following, event):
    loop = AdaptiveLoop(controller())
    with on_tcp(make_board(slot_rate_hz=SLOT_RATE_HZ)) as server:
        session = following(server.url, loop)
        pictures = collected(session)
        for _ in range(2):
            under_grid, lost = loop.state().windows_under_grid, session.state().link.reconnects
            wait_until(lambda under=under_grid: loop.state().windows_under_grid > under + 2)
            server.inject(event, 0.1)
            wait_until(lambda lost=lost: session.state().link.reconnects > lost)
        under_grid = loop.state().windows_under_grid
        wait_until(lambda: loop.state().windows_under_grid > under_grid + 2)
        state, adaptive_map = session.state(), session.adaptive_map
    for picture in pictures:
        assert_whole(picture, adaptive_map)
    assert state.adaptive.windows_over_budget == 0
    assert session.failure is None
