"""A recording as a board: the host gets the very same readouts."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.virtual_board.board import VirtualBoard
from focalloop.firmware_sim.virtual_board.replay import NoScene, replay_settings
from focalloop.firmware_sim.wire import ErrorCode, Feature, WindowKind
from focalloop.host.board.client import Board
from focalloop.host.errors import BoardError, RecordingError
from focalloop.host.recording.messages import NS, RecordedReadout
from focalloop.host.recording.recording import Recording
from focalloop.host.recording.replay import RecordedReplay
from focalloop.host.recording.writer import RecordingWriter
from tests.support.command_line import complaint, run
from tests.support.made_windows import BOARD, make_window
from tests.support.running import Running
from tests.support.served import SHAPE, make_map, on_tcp

COLUMN = RatioMap.from_tile([[1, 2]], SHAPE)


def record(url, path, ratio_map, count):
    """Record windows of the board at a URL; return its HELLO."""
    with Board.open(url) as board:
        board.upload(ratio_map)
        with (
            RecordingWriter(path, board.info, floor_bytes=0) as writer,
            closing(board.stream(count=count)) as stream,
        ):
            for window in stream:
                writer.add(window)
        return board.info


def readouts(path):
    with Recording(path) as recording:
        return [
            (each.readout.data, each.readout.descriptor.map_hash, each.window.bits)
            for each in recording.recorded_windows()
        ]


@contextmanager
def replayed(path, said=lambda text: None):
    """URL of a board that plays a recording."""
    with Recording(path) as recording:
        replay = RecordedReplay(recording, said)
        settings = replay_settings(replay, 0.0, 8192)
        board = VirtualBoard(NoScene(replay.board), settings, replay=replay)
        with on_tcp(board) as server:
            yield server.url


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A recording of five windows of an emulated board, under an uneven map."""
    path = tmp_path_factory.mktemp("first") / "a.mcap"
    with on_tcp() as server:
        record(server.url, path, make_map(), 5)
    return path


def test_a_replay_that_is_recorded_again_has_the_same_readouts(first, tmp_path):
    with replayed(first) as url:
        info = record(url, tmp_path / "b.mcap", make_map(), 5)
        record(url, tmp_path / "c.mcap", make_map(), 7)
    assert readouts(tmp_path / "b.mcap") == readouts(first)
    assert readouts(tmp_path / "c.mcap") == [*readouts(first), *readouts(first)[:2]]
    with Recording(first) as recording:
        was = recording.board
    assert (info.name, info.serial, info.shape) == (was.name, was.serial, was.shape)
    assert (info.bits, info.black_level_dn) == (was.bits, was.black_level_dn)
    assert Feature.REPLAY in info.features
    assert not info.simulated


def test_a_replay_takes_the_maps_that_were_recorded_and_no_other(tmp_path):
    windows = [make_window(number, (make_map(), COLUMN)[number % 2]) for number in range(6)]
    with RecordingWriter(tmp_path / "a.mcap", BOARD, floor_bytes=0) as writer:
        for window in windows:
            writer.add(window)
    with replayed(tmp_path / "a.mcap") as url, Board.open(url) as board:
        for ratio_map, own in ((COLUMN, windows[1::2]), (make_map(), windows[::2])):
            board.upload(ratio_map)
            found = board.capture(3)
            assert [each.codes.tobytes() for each in found] == [e.codes.tobytes() for e in own]
        with pytest.raises(BoardError, match="has nothing under the map") as refused:
            board.upload(RatioMap.uniform(1, SHAPE))
        assert refused.value.code == ErrorCode.BAD_MAP
        with pytest.raises(BoardError, match="no dark and flat captures"):
            board.dark_capture(1)
        with pytest.raises(BoardError, match="as it was taken"):
            board.configure(seed=1)


def test_what_cannot_be_replayed_is_left_out_and_told(tmp_path):
    adaptive = AdaptiveMap(COLUMN, np.array([[[1]], [[2]]]), 16)
    grid = np.ones(adaptive.grid_shape, np.uint8)
    path, said = tmp_path / "a.mcap", []
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add(make_window(0, COLUMN, kind=WindowKind.DARK))
        writer.add(make_window(1, adaptive.compose(grid), grid=(adaptive, grid.tobytes())))
        writer.add(make_window(2, COLUMN))
    with replayed(path, said.append) as url, Board.open(url) as board:
        board.upload(COLUMN)
        (window,) = board.capture(1)
        assert window.codes.tobytes() == make_window(2, COLUMN).codes.tobytes()
    assert said[0].startswith("2 windows are left out")


ADAPTIVE = AdaptiveMap(COLUMN, np.array([[[1]], [[2]]]), 16)
MAPS = {"column": COLUMN, "random": make_map(), "even": RatioMap.uniform(2, SHAPE)}


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*MAPS, "grid", "dark", "other ADC"]),
            st.integers(1, 3),
            st.booleans(),
        ),
        min_size=1,
        max_size=15,
    )
)
def test_any_recording_is_replayed_bit_for_bit_under_each_of_its_maps(tmp_path_factory, drawn):
    """Maps that change, gaps, grids, other settings: what is left is in order, and counted."""
    path, said = tmp_path_factory.mktemp("replay") / "a.mcap", []
    expected, number, first_bits = {}, 0, None
    with (
        pytest.MonkeyPatch.context() as patch,
        RecordingWriter(path, BOARD, floor_bytes=0) as writer,
    ):
        for what, step, chunk_ends in drawn:
            patch.setattr("focalloop.host.recording.writer.CHUNK_NS", 0 if chunk_ends else NS)
            number += step
            window = make_window(number, MAPS.get(what, COLUMN))
            if what == "grid":
                grid = np.full(ADAPTIVE.grid_shape, number % 2, np.uint8)
                window = make_window(
                    number, ADAPTIVE.compose(grid), grid=(ADAPTIVE, grid.tobytes())
                )
            elif what == "dark":
                window = replace(window, kind=WindowKind.DARK)
            elif what == "other ADC":
                window = make_window(number, COLUMN, 12)
            first_bits = first_bits or window.bits
            writer.add(window)
            if what not in ("grid", "dark") and window.bits == first_bits:
                expected.setdefault(window.ratio_map, []).append(window)
    with Recording(path) as recording:
        if not expected:
            with pytest.raises(RecordingError, match="alone can be replayed"):
                RecordedReplay(recording)
            return
        replay = RecordedReplay(recording, said.append)
        assert replay.maps == tuple(expected)
        for ratio_map, windows in expected.items():
            assert replay.count(ratio_map) == len(windows)
            for place, window in enumerate(windows):
                found = replay.readout(ratio_map, place)
                assert found == window.codes.astype(window.codes.dtype.newbyteorder("<")).tobytes()
    left_out = len(drawn) - sum(map(len, expected.values()))
    assert [int(text.split()[0]) for text in said] == ([left_out] if left_out else [])


def test_windows_under_grids_that_nobody_knows_are_never_taken_for_others(tmp_path):
    """The board ran another palette than the host thought: those windows have no map."""
    grid = np.ones(ADAPTIVE.grid_shape, np.uint8)
    other = AdaptiveMap(COLUMN, np.array([[[2]], [[1]]]), 16)
    under = make_window(1, ADAPTIVE.compose(grid), grid=(ADAPTIVE, grid.tobytes()))
    sent = RecordedReadout.of(under).descriptor
    unknown = replace(under, descriptor=sent, grid=(other, grid.tobytes()))
    path, said = tmp_path / "a.mcap", []
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        for window in (make_window(0, COLUMN), unknown, make_window(2, COLUMN)):
            writer.add(window)
    with Recording(path) as recording:
        replay = RecordedReplay(recording, said.append)
        assert replay.maps == (COLUMN,)
        for place, number in enumerate((0, 2)):
            assert replay.readout(COLUMN, place) == make_window(number, COLUMN).codes.tobytes()
    assert said == ["1 windows are left out: damaged, or recorded without their map"]
    for words in (["reconstruct", path], ["recording", "export", path, "--to", "npz"]):
        refused = complaint(run(*words, "-o", tmp_path / "out.npz"))
        assert "window 1 was recorded without its board, or without the map or grid" in refused
    assert not (tmp_path / "out.npz").exists()


def test_a_recording_without_scenes_cannot_be_replayed(tmp_path):
    path = tmp_path / "a.mcap"
    with RecordingWriter(path, BOARD, floor_bytes=0) as writer:
        writer.add(make_window(0, COLUMN, kind=WindowKind.DARK))
    with Recording(path) as recording, pytest.raises(RecordingError, match="alone can be replayed"):
        RecordedReplay(recording)


def test_emulate_serves_a_recording(first, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Running("emulate", "--replay", str(first), "--slot-rate", "0") as emulate:
        assert emulate.document["windows"] == 5
        assert emulate.document["maps"] == [make_map().hash_hex]
        record(emulate.document["url"], tmp_path / "b.mcap", make_map(), 5)
    assert readouts(tmp_path / "b.mcap") == readouts(first)
