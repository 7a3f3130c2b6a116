"""Adaptive maps on the emulator and on the C firmware: the same tests, with a simulated clock."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from focalloop.firmware_sim import wire
from focalloop.firmware_sim.maps.adaptive_map import AdaptiveMap
from focalloop.firmware_sim.maps.ratio_map import RatioMap
from focalloop.firmware_sim.wire import ErrorCode, Feature, MessageType, UploadKind
from tests.support.board_bench import (
    Bench,
    adaptive_map,
    aperture_map,
    capture,
    credit,
    grid_request,
    resend,
    stream,
    tile_map,
)
from tests.support.c_board import PipedBoard
from tests.support.conformance import Make, expected

WINDOW_US = 100_000
"""Of a board with 160 slots per second."""


def grids_for(made: AdaptiveMap, count: int, seed: int = 1) -> list[np.ndarray]:
    """Return grids that read something."""
    drawn = np.random.default_rng(seed).integers(0, len(made.tiles), (count, *made.grid_shape))
    drawn[:, 0, 0] = 1 + np.arange(count) % (len(made.tiles) - 1)  # tile 0 reads nothing
    return list(drawn.astype(np.uint8))


def adaptive_bench(make: Make, made: AdaptiveMap, slot_rate_hz: int = 0) -> Bench:
    """Return a bench whose board runs an adaptive map; skip boards that cannot."""
    bench = make(made.resting, slot_rate_hz=slot_rate_hz)
    if Feature.ADAPTIVE not in bench.hello(1024).features:
        pytest.skip("this board has no adaptive maps")
    bench.upload(made)
    assert [log.level for log in bench.take_logs()] == [wire.LogLevel.INFO]
    return bench


def assert_under(
    windows: dict[int, tuple[wire.WindowDescriptor, bytes]],
    number: int,
    ratio_map: RatioMap,
    map_hash: bytes,
) -> None:
    descriptor, data = windows[number]
    assert descriptor.map_hash == map_hash[:8]
    assert data == expected(ratio_map, number + descriptor.skipped)


@pytest.mark.parametrize("block", [1, 7, 16, 255])
def test_each_window_is_read_under_the_grid_that_it_names(make: Make, block: int) -> None:
    made = adaptive_map(block=block)
    bench = adaptive_bench(make, made)
    assert bench.status().map_hash == made.hash()
    bench.ask(*stream(1))
    grids = grids_for(made, 5)
    for number, grid in enumerate(grids, 1):
        assert bench.set_grid(number, grid) == number
        bench.ask(*credit(number + 1))
    windows = bench.take_windows()
    assert list(windows) == list(range(6))
    assert_under(windows, 0, made.resting, made.resting.hash())
    for number, grid in enumerate(grids, 1):
        assert_under(windows, number, made.compose(grid), made.grid_hash(grid))
    bench.ask(*resend(5))
    assert bench.take_windows()[5] == windows[5]


def test_a_grid_holds_until_another_or_none(make: Make) -> None:
    made = adaptive_map(2)
    bench = adaptive_bench(make, made)
    first, second = grids_for(made, 2)
    for number, grid in ((1, first), (3, None), (4, second)):
        bench.set_grid(number, grid)
    bench.ask(*capture(3))
    assert bench.refused(*grid_request(2, first))[0] == ErrorCode.BAD_ARGUMENT
    bench.ask(*capture(3))
    windows = bench.take_windows()
    rests = made.resting, made.resting.hash()
    for number, grid in ((1, first), (2, first), (4, second), (5, second)):
        assert_under(windows, number, made.compose(grid), made.grid_hash(grid))
    for number in (0, 3):
        assert_under(windows, number, *rests)


def test_a_paced_window_is_begun_when_its_exposure_is(make: Make) -> None:
    made = adaptive_map(3)
    bench = adaptive_bench(make, made, slot_rate_hz=160)
    grids = grids_for(made, 3)
    assert bench.set_grid(0, grids[0]) == 0
    bench.ask(*stream(3))
    assert bench.refused(*grid_request(0, grids[1]))[0] == ErrorCode.BAD_ARGUMENT
    bench.poll(WINDOW_US - 1)
    assert bench.set_grid(1, grids[1]) == 1
    bench.poll(1)
    assert bench.refused(*grid_request(1, grids[2]))[0] == ErrorCode.BAD_ARGUMENT
    assert bench.set_grid(3, grids[2]) == 2
    bench.poll(2 * WINDOW_US)
    bench.poll(3 * WINDOW_US)  # without credit: three exposures that would be number 3
    bench.ask(*credit(5))
    assert bench.refused(*grid_request(3, grids[0]))[0] == ErrorCode.BAD_ARGUMENT
    assert bench.set_grid(4, None) == 4
    bench.poll(WINDOW_US)
    bench.poll(WINDOW_US)
    windows = bench.take_windows()
    for number, grid in enumerate((grids[0], grids[1], grids[1], grids[2])):
        assert_under(windows, number, made.compose(grid), made.grid_hash(grid))
    assert_under(windows, 4, made.resting, made.resting.hash())
    assert windows[3][0].skipped == windows[4][0].skipped > 0


def test_grids_that_cannot_be_are_refused_and_change_nothing(make: Make) -> None:
    made = adaptive_map(4)
    bench = adaptive_bench(make, made)
    (grid,) = grids_for(made, 1)
    bench.ask(*capture(2))
    bench.unasked.clear()
    bench.set_grid(5, grid)
    wrong, nothing, short = grid.copy(), np.zeros_like(grid), grid[:, 1:]
    wrong[-1, -1] = len(made.tiles)
    for window, bad, code in (
        (6, wrong, ErrorCode.BAD_ARGUMENT),
        (6, nothing, ErrorCode.BAD_ARGUMENT),
        (6, short, ErrorCode.BAD_BODY),
        (1, grid, ErrorCode.BAD_ARGUMENT),
        (5, grid, ErrorCode.BAD_ARGUMENT),
        (4, None, ErrorCode.BAD_ARGUMENT),
        (2 + wire.MAX_GRID_AHEAD + 1, grid, ErrorCode.BAD_ARGUMENT),
        (2**32 - 1, grid, ErrorCode.BAD_ARGUMENT),
    ):
        assert bench.refused(*grid_request(window, bad))[0] == code
    assert bench.refused(MessageType.GRID, b"\0\0\0")[0] == ErrorCode.BAD_BODY
    for number in range(wire.MAX_PENDING_GRIDS - 1):
        bench.set_grid(6 + number, None)
    assert bench.refused(*grid_request(20, grid))[0] == ErrorCode.BUSY
    bench.ask(*capture(5))
    windows = bench.take_windows()
    assert_under(windows, 4, made.resting, made.resting.hash())
    assert_under(windows, 5, made.compose(grid), made.grid_hash(grid))
    assert_under(windows, 6, made.resting, made.resting.hash())


def test_hello_reset_and_other_maps_drop_all_grids(make: Make) -> None:
    made = adaptive_map(5)
    bench = adaptive_bench(make, made)
    (grid,) = grids_for(made, 1)
    bench.set_grid(0, grid)
    bench.set_grid(2, grid)
    bench.ask(*capture(1))
    assert bench.hello(1024).boot_id == bench.status().boot_id
    bench.unasked.clear()
    assert bench.status().map_hash == made.hash()
    bench.ask(*capture(2))
    windows = bench.take_windows()
    for number in (1, 2):
        assert_under(windows, number, made.resting, made.resting.hash())
    bench.set_grid(3, grid)
    bench.upload(aperture_map())
    assert bench.refused(*grid_request(4, grid))[0] == ErrorCode.NO_MAP
    bench.ask(*capture(1))
    assert_under(bench.take_windows(), 3, aperture_map(), aperture_map().hash())
    bench.ask(MessageType.RESET)
    bench.hello(1024)
    assert bench.refused(*grid_request(0, grid))[0] == ErrorCode.NO_MAP


def test_a_palette_goes_over_the_active_map_or_with_its_own(make: Make) -> None:
    made = adaptive_map(6)
    bench = adaptive_bench(make, made)
    other = AdaptiveMap(made.resting, made.tiles[1:], 5)
    bench.put(UploadKind.PALETTE, other.pack_palette())
    bench.commit(UploadKind.PALETTE, other.hash())  # over the resting map of the active one
    bench.commit(UploadKind.PALETTE, other.hash())  # repeated
    assert bench.status().map_hash == other.hash()
    (grid,) = grids_for(other, 1)
    bench.set_grid(0, grid)
    bench.ask(*capture(1))
    bench.take_logs()
    assert_under(bench.take_windows(), 0, other.compose(grid), other.grid_hash(grid))
    bench.upload(made.resting)  # an ordinary map again
    assert bench.status().map_hash == made.resting.hash()
    coded = RatioMap(aperture_map().levels, aperture=aperture_map().aperture)
    bench.upload(coded)
    bench.put(UploadKind.PALETTE, made.pack_palette())
    commit = wire.UploadCommitRequest(UploadKind.PALETTE, made.hash()).pack()
    assert bench.refused(MessageType.UPLOAD_COMMIT, commit)[0] == ErrorCode.BAD_MAP
    assert bench.status().map_hash == coded.hash()


def test_a_grid_under_way_survives_the_next_palette(make: Make) -> None:
    """A window keeps the map that it was begun under, or is skipped."""
    made, other = adaptive_map(7), adaptive_map(8, block=9)
    bench = adaptive_bench(make, made, slot_rate_hz=160)
    grid, later = grids_for(made, 1)[0], grids_for(other, 1)[0]
    bench.set_grid(0, grid)
    bench.ask(*stream(8))
    bench.poll(WINDOW_US // 2)
    bench.upload(other)
    next_begun = bench.set_grid(2, later)
    assert next_begun == 1
    for _ in range(5):
        bench.poll(WINDOW_US)
    known = {
        made.grid_hash(grid)[:8]: made.compose(grid),
        made.resting.hash()[:8]: made.resting,
        other.grid_hash(later)[:8]: other.compose(later),
    }
    windows = bench.take_windows()
    assert len(windows) >= 4
    for number, (descriptor, data) in windows.items():
        assert data == expected(known[descriptor.map_hash], number + descriptor.skipped)
    assert windows[max(windows)][0].map_hash == other.grid_hash(later)[:8]


def test_damaged_palettes_are_refused_and_dropped(make: Make) -> None:
    made = adaptive_map(9)
    bench = adaptive_bench(make, made)
    good = made.pack_palette()
    odd = AdaptiveMap(made.resting, np.ones((2, 1, 3), int), 7).pack_palette()
    head = 2 + 5
    for data in (
        good[:-1],
        good + b"\0",
        good[:-1] + b"\x5f",
        odd[:-1] + bytes([odd[-1] | 0x10]),
        bytes([15]) + good[1:],
        good[:head] + b"\x19" + good[head + 1 :],
        good[: head + 4] + b"\0" + good[head + 5 :],
        good[: head + 5] + b"\0" + good[head + 6 : head + 10],
        good[: head + 6] + b"\x19" + good[head + 7 :],
        good[:5],
    ):
        bench.put(UploadKind.PALETTE, data)
        digest = hashlib.sha256(made.resting.hash() + data).digest()
        commit = wire.UploadCommitRequest(UploadKind.PALETTE, digest).pack()
        assert bench.refused(MessageType.UPLOAD_COMMIT, commit)[0] == ErrorCode.BAD_MAP
        assert bench.refused(MessageType.UPLOAD_COMMIT, commit)[0] == ErrorCode.UPLOAD_NOT_BEGUN
    bench.put(UploadKind.PALETTE, odd)
    commit = wire.UploadCommitRequest(UploadKind.PALETTE, made.hash()[::-1]).pack()
    assert bench.refused(MessageType.UPLOAD_COMMIT, commit)[0] == ErrorCode.HASH_MISMATCH
    for kinds in (6, 7, 8):
        commit = wire.UploadCommitRequest(UploadKind(kinds), made.hash()[::-1]).pack()
        assert bench.refused(MessageType.UPLOAD_COMMIT, commit)[0] == ErrorCode.BAD_ARGUMENT
    assert bench.status().map_hash == made.hash()


def test_without_a_map_a_palette_is_refused(make: Make) -> None:
    bench = make()
    if Feature.ADAPTIVE not in bench.hello(1024).features:
        pytest.skip("this board has no adaptive maps")
    bench.put(UploadKind.PALETTE, adaptive_map().pack_palette())
    commit = wire.UploadCommitRequest(UploadKind.PALETTE, adaptive_map().hash()).pack()
    assert bench.refused(MessageType.UPLOAD_COMMIT, commit)[0] == ErrorCode.NO_MAP
    assert bench.refused(*grid_request(0, None))[0] == ErrorCode.NO_MAP


def test_dark_windows_pass_grids_by(make: Make) -> None:
    made = adaptive_map(10)
    bench = adaptive_bench(make, made)
    (grid,) = grids_for(made, 1)
    bench.set_grid(1, grid)
    bench.ask(MessageType.DARK_CAPTURE, wire.DarkCaptureRequest(1, 3).pack())
    bench.ask(*capture(1))
    windows = bench.take_windows()
    assert [d.kind for d, _ in windows.values()] == [wire.WindowKind.DARK] * 3 + [0]
    assert_under(windows, 3, made.compose(grid), made.grid_hash(grid))
    assert windows[1][0].map_hash == RatioMap.uniform(1, tile_map().shape).hash()[:8]


def test_what_exceeds_the_memory_of_the_firmware_is_refused() -> None:
    bench = Bench(PipedBoard(array="256x256"))  # type: ignore[arg-type]
    bench.hello(1024)
    resting = RatioMap.uniform(1, (256, 256))
    long = wire.UploadBeginRequest(UploadKind.PALETTE, 1025, bytes(32)).pack()
    assert bench.refused(MessageType.UPLOAD_BEGIN, long)[0] == ErrorCode.TOO_LARGE
    bench.upload(resting)
    many = AdaptiveMap(resting, np.array([[[8]], [[2]]]), 7)
    bench.put(UploadKind.PALETTE, many.pack_palette())
    commit = wire.UploadCommitRequest(UploadKind.PALETTE, many.hash()).pack()
    code, text = bench.refused(MessageType.UPLOAD_COMMIT, commit)
    assert (code, "1369 blocks; this board stores 1020" in text) == (ErrorCode.BAD_MAP, True)
    made = AdaptiveMap(resting, many.tiles, 16)
    bench.upload(made)
    grid = np.ones(made.grid_shape, int)
    assert bench.set_grid(0, grid) == 0
    grid[3, 5] = 0
    code, text = bench.refused(*grid_request(1, grid))
    assert (code, "265216 bytes; this board can store 1 to 262144" in text) == (
        ErrorCode.BAD_ARGUMENT,
        True,
    )
    bench.board.close()  # type: ignore[attr-defined]
