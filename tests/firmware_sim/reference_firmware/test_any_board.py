"""What every board must do, whatever its scene: run this on your own.

    FOCALLOOP_BOARD=/dev/ttyACM0 pytest tests/firmware_sim/reference_firmware/test_any_board.py

Without the variable two of our own stand in. The board is reset, and its map replaced.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import (
    BoardState,
    ErrorCode,
    Feature,
    Frame,
    MessageType,
    UploadKind,
)
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError
from focalloop.host.link.port import DEFAULT_BAUD, open_port
from tests.support.c_board import SMALL, TIMEOUT_S, native_board, qemu_board
from tests.support.conformance import expected

BAUD = int(os.environ.get("FOCALLOOP_BAUD", DEFAULT_BAUD))


OWN = os.environ.get("FOCALLOOP_BOARD")


@pytest.fixture(scope="module", params=["own"] if OWN else ["native C", "Cortex-M3"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if OWN:
        yield OWN
    elif request.param == "native C":
        with native_board(array="40x24", slot_rate=2000) as address:
            yield address
    else:
        with qemu_board(SMALL) as address:
            yield address


@pytest.fixture
def board(url: str) -> Iterator[Board]:
    with Board.open(url, baud=BAUD, timeout_s=TIMEOUT_S, on_event=lambda text: None) as opened:
        yield opened


class Line:
    """Frames in and out without a host: nothing is repeated or reordered."""

    def __init__(self, url: str) -> None:
        self.port = open_port(url, BAUD)
        self.decoder = wire.FrameDecoder()
        self.port.write(b"\0")
        self.ask(1, MessageType.HELLO, wire.HelloRequest(1024, "line").pack())

    def ask(self, sequence: int, type_: int, body: bytes = b"", before: bytes = b"") -> Frame:
        self.port.write(before + Frame(type_, sequence, body).encode())
        deadline_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline_s:
            for frame in self.decoder.feed(self.port.read()):
                if frame.is_response and (frame.type, frame.sequence) == (type_, sequence):
                    return frame
        raise AssertionError(f"no answer to request {type_:#x} in {TIMEOUT_S} s")

    def status(self, sequence: int) -> wire.StatusAnswer:
        return wire.StatusAnswer.unpack(self.ask(sequence, MessageType.STATUS).body)


@pytest.fixture
def line(url: str) -> Iterator[Line]:
    opened = Line(url)
    yield opened
    opened.port.close()


def tile_for(board: Board) -> RatioMap:
    """Return a map of at most two levels whose readout any board can store."""
    info = board.info
    low = next(level for level in info.level_set if level > 0)
    tile = np.full((2, 2), low)
    tile[0, 1] = info.level_set[0]
    return RatioMap.from_tile(tile, info.shape, info.slots, info.level_set)


@pytest.fixture
def board_map(url: str) -> RatioMap:
    with Board.open(url, baud=BAUD, timeout_s=TIMEOUT_S) as board:
        return board.upload(tile_for(board))


def test_it_says_what_it_is(board: Board) -> None:
    info = board.info
    assert info.protocol == wire.PROTOCOL_VERSION
    assert 0 < info.full_scale_dn <= 2**info.bits
    assert info.max_in_flight >= 1
    assert info.held_windows >= 1
    assert info.name
    assert info.max_object >= len(RatioMap.random(info.shape, level_set=info.level_set).pack())
    assert board.status().boot_id == info.boot_id


def test_maps_are_taken_whole_and_windows_fit_them(board: Board) -> None:
    ratio_map = board.upload(tile_for(board))
    assert board.status().map_hash == ratio_map.hash()
    windows = board.capture(4)
    assert len({window.number for window in windows}) == 4
    times = [window.time_s for window in windows]
    assert times == sorted(times)
    limit = 2**board.info.bits
    for window in windows:
        assert len(window.codes) == ratio_map.levels.sum()
        assert int(window.codes.max(initial=0)) < limit
    assert board.status().state is BoardState.IDLE


def test_an_aperture_is_taken_with_its_map(board: Board) -> None:
    if Feature.APERTURE not in board.info.features:
        pytest.skip("this board has no coded aperture")
    levels = tile_for(board)
    half = np.random.default_rng(0).random((board.info.slots, *board.info.shape)) < 0.5
    ratio_map = board.upload(levels.with_aperture(half))
    assert board.status().map_hash == ratio_map.hash()
    assert len(board.capture()[0].codes) == ratio_map.levels.sum()


def test_a_stream_follows_its_grids(board: Board) -> None:
    if Feature.ADAPTIVE not in board.info.features:
        pytest.skip("this board has no adaptive maps")
    none, low = board.info.level_set[0], next(n for n in board.info.level_set if n > 0)
    tiles = np.array([[[none, none]], [[low, none]], [[low, low]]])
    side = max(board.info.height, board.info.width) // 8 + 1
    made = board.upload(AdaptiveMap(tile_for(board), tiles, side))
    assert board.status().map_hash == made.hash()
    rng = np.random.default_rng(4)
    wanted, seen = set(), set()
    with closing(board.stream()) as stream:
        for window in islice(stream, 20):
            seen.add(window.ratio_map)
            if not OWN:
                readout = window.codes.astype("<u2").tobytes()
                assert readout == expected(window.ratio_map, window.number + window.skipped)
            grid = rng.integers(0, 3, made.grid_shape)
            grid[0, 0] = 2
            with suppress(BoardError):  # the window has begun by now, or enough grids wait
                board.set_grid(board.status().next_window + 2, grid)
                wanted.add(made.compose(grid))
    assert board.stats.lost == 0
    assert seen <= {made.resting, *wanted}
    assert len(seen) > 2


def test_a_stream_goes_on_and_ends(board: Board) -> None:
    board.upload(tile_for(board))
    with closing(board.stream()) as stream:
        numbers = [window.number for window in islice(stream, 12)]
    assert numbers == list(range(numbers[0], numbers[0] + 12))
    assert board.stats.lost == 0
    assert board.status().state is BoardState.IDLE


def test_dark_and_flat_windows(board: Board) -> None:
    if Feature.CALIBRATION not in board.info.features:
        pytest.skip("this board takes no calibration captures")
    level = next(level for level in board.info.level_set if level > 0)
    pixels = board.info.height * board.info.width
    for window in [*board.dark_capture(level, 2), *board.calibration_capture(level, 0.5, 2)]:
        assert len(window.codes) == level * pixels


def test_its_clock_runs_as_ours(board: Board) -> None:
    def drift() -> float:
        first, start_s = board.time_sync(), time.monotonic()
        time.sleep(0.5)
        return abs(board.time_sync() - first) / (time.monotonic() - start_s)

    # It is round trips that differ, not the quartz: a busy machine delays some of them.
    assert any(drift() < 0.1 for _ in range(5))


def test_a_reset_changes_the_boot_id(board: Board) -> None:
    before = board.info.boot_id
    board.reset()
    assert board.info.boot_id != before
    assert board.status().next_window == 0


def test_rubbish_on_the_line_costs_nothing(line: Line) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 3000, np.uint8).tobytes()
    before = line.status(10)
    after = wire.StatusAnswer.unpack(line.ask(11, MessageType.STATUS, before=noise + b"\0").body)
    assert after.boot_id == before.boot_id
    assert after.bad_frames > before.bad_frames


def test_a_repeated_request_is_carried_out_once(board_map: RatioMap, line: Line) -> None:
    body = wire.CaptureRequest(1).pack()
    first = line.ask(20, MessageType.CAPTURE, body)
    again = line.ask(20, MessageType.CAPTURE, body)
    assert not first.is_error
    assert first == again
    time.sleep(0.3)
    window = wire.WindowNumber.unpack(first.body).window
    assert line.status(21).next_window <= window + 1


def test_a_host_that_vanishes_in_mid_stream_is_forgotten(board_map: RatioMap, url: str) -> None:
    gone = Line(url)
    gone.ask(25, MessageType.STREAM_START, wire.StreamStartRequest(1000).pack())
    gone.port.close()
    with Board.open(url, baud=BAUD, timeout_s=TIMEOUT_S) as board:
        assert board.status().state is BoardState.IDLE
        assert board.upload(board_map).hash() == board_map.hash()
        assert len(board.capture()[0].codes) == board_map.levels.sum()


def test_half_a_map_never_runs(board_map: RatioMap, line: Line) -> None:
    level_set = board_map.level_set
    other = RatioMap.random(board_map.shape, seed=1, slots=board_map.slots, level_set=level_set)
    data = other.pack()
    begin = wire.UploadBeginRequest(UploadKind.MAP, len(data), hashlib.sha256(data).digest())
    answer = line.ask(30, MessageType.UPLOAD_BEGIN, begin.pack())
    size = wire.UploadBeginAnswer.unpack(answer.body).chunk_size
    chunk = wire.UploadChunkRequest(UploadKind.MAP, 0, data[: min(size, len(data) - 1)])
    line.ask(31, MessageType.UPLOAD_CHUNK, chunk.pack())
    commit = wire.UploadCommitRequest(UploadKind.MAP, other.hash())
    refused = line.ask(32, MessageType.UPLOAD_COMMIT, commit.pack())
    assert wire.ErrorAnswer.unpack(refused.body).code == ErrorCode.UPLOAD_INCOMPLETE
    assert line.status(33).map_hash == board_map.hash()


def test_what_it_cannot_do_it_says(line: Line) -> None:
    for sequence, (type_, body, codes) in enumerate(
        [
            (0x77, b"", {ErrorCode.UNKNOWN_TYPE}),
            (MessageType.CAPTURE, b"\1", {ErrorCode.BAD_BODY}),
            (MessageType.RESEND, wire.ResendRequest(2**31).pack(), {ErrorCode.WINDOW_GONE}),
            (MessageType.STREAM_CREDIT, bytes(4), {ErrorCode.BAD_ARGUMENT}),
        ]
    ):
        answer = line.ask(40 + sequence, type_, body)
        assert answer.is_error
        assert wire.ErrorAnswer.unpack(answer.body).code in codes
